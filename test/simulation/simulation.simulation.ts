// A few of the virtual months that run.ts runs, and tests of the simulator: it is deterministic,
// detects broken promises, and shrinks a failing plan to the faults that it needs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlan } from './draw.ts';
import { KINDS } from './faults.ts';
import { revokeToken } from './faults-tokens.ts';
import { Life } from './life.ts';
import { HOUR, SECOND } from './plan.ts';
import { shrink } from './shrink.ts';
import { trySeed } from './try-seed.ts';

const SEEDS = [2, 8, 9, 10, 16];

test('keeps every promise in a few virtual months', async (t) => {
  for (const seed of SEEDS) {
    const { steps, calls, kinds, report } = await trySeed(seed);
    if (report !== undefined) assert.fail(report);
    assert.ok(steps > 10_000 && kinds.length > 20, `the month of seed ${seed} was eventful`);
    t.diagnostic(`seed ${seed}: ${steps} steps, ${calls} calls, ${kinds.length} faults`);
  }
});

test('a seed always gives the same run', async () => {
  const [first, second] = [await new Life(drawPlan(5, 5)).live(), await new Life(drawPlan(5, 5)).live()];
  assert.ok(first.story.length > 10);
  assert.deepEqual(second, first);
});

test('plans draw every kind of fault', () => {
  const faults = Array.from({ length: 40 }, (_, seed) => drawPlan(seed).faults).flat();
  assert.deepEqual([...new Set(faults.map(({ kind }) => kind))].sort(), Object.keys(KINDS).sort());
});

test('the simulator detects a broken promise', async () => {
  const breakings: Readonly<Record<string, (life: Life) => void>> = {
    V7: () => {
      throw new Error('planted');
    },
    V11: ({ ledger, settings }) => {
      const [{ name } = { name: '' }] = settings;
      for (const token of ledger.tokens.values()) Object.assign(token, { role: `${name}#9` });
    },
    K17: (life) => {
      for (const { troubles } of life.vaults) troubles.push({ operations: ['lookup', 'renew'], network: 'silent' });
      const fault = { id: 0, kind: 'planted', atMs: 0, forMs: HOUR, args: {} };
      for (const name of life.names()) revokeToken(life, name, fault, true);
    },
    V14: (life) => {
      for (const path of life.host.files.keys()) if (path.startsWith('/vault/')) life.host.files.delete(path);
      life.kill();
      life.start();
      life.time.at(life.time.now + 10 * SECOND, () => {
        for (const token of life.ledger.tokens.values()) Object.assign(token, { issuedAt: 0 });
      });
    },
    V8: ({ vaults }) => {
      for (const { troubles } of vaults) troubles.push({ network: 'silent' });
    },
    F15: ({ host, settings }) => {
      for (const path of settings.flatMap(({ sinks }) => sinks.map((sink) => sink.path))) {
        host.troubles.set(path, { isHung: true });
        host.files.delete(path);
      }
    },
  };
  const drawn = drawPlan(9, 2);
  const vaults = drawn.setup.vaults.map(({ address }) => {
    return { address, ttlMs: HOUR, maxTtlMs: 768 * HOUR, tokenType: 'service' } as const;
  });
  for (const [rule, breakIt] of Object.entries(breakings)) {
    const life = new Life({ ...drawn, setup: { ...drawn.setup, vaults }, faults: [] });
    life.time.at(life.time.now + 60_000, () => breakIt(life));
    assert.equal((await life.live()).violation?.rule, rule);
  }
});

test('shrink keeps only the elements that a failure needs', async () => {
  const all = Array.from({ length: 60 }, (_, index) => index);
  let tries = 0;
  const fails = async (part: readonly number[]) => {
    tries += 1;
    return part.includes(7) && part.includes(41);
  };
  assert.deepEqual(await shrink(all, fails), [7, 41]);
  assert.ok(tries < 60, `${tries} tries`);
  assert.deepEqual(await shrink(all, async () => true), []);
});
