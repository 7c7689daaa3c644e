// Virtual months in the life of a sidecar, a few of those that npm run test:simulation lives; and that the simulation is what
// it says: the same seed is the same story, a broken promise is noticed, and its faults are cut down to the ones it takes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlan } from './draw.ts';
import { KINDS } from './faults.ts';
import { Life } from './life.ts';
import { HOUR } from './plan.ts';
import { shrink } from './shrink.ts';
import { trySeed } from './try-seed.ts';

const SEEDS = [2, 8, 9, 10, 16];

test('a few virtual months: every promise is kept', async (t) => {
  for (const seed of SEEDS) {
    const { steps, calls, kinds, report } = await trySeed(seed);
    if (report !== undefined) assert.fail(report);
    assert.ok(steps > 10_000 && kinds.length > 20, `the month of seed ${seed} was eventful`);
    t.diagnostic(`seed ${seed}: ${steps} steps, ${calls} calls, ${kinds.length} faults`);
  }
});

test('the same seed is the same story', async () => {
  const [first, second] = [await new Life(drawPlan(5, 5)).live(), await new Life(drawPlan(5, 5)).live()];
  assert.ok(first.story.length > 10);
  assert.deepEqual(second, first);
});

test('every kind of fault is drawn', () => {
  const faults = Array.from({ length: 40 }, (_, seed) => drawPlan(seed).faults).flat();
  assert.deepEqual([...new Set(faults.map(({ kind }) => kind))].sort(), Object.keys(KINDS).sort());
});

test('a broken promise is noticed', async () => {
  const breakings: Readonly<Record<string, (life: Life) => void>> = {
    V7: () => {
      throw new Error('planted');
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

test('what does not matter to a failure is cut away', async () => {
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
