// A client that reads the token file again each half of the lease never holds a dead token: over JWT rotations, maximum TTLs
// and both kinds of tokens. The real exchanges run without faults, on punctual timers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { T0 } from '../support/simulated-time.ts';
import { drawPlan } from './draw.ts';
import { Life } from './life.ts';
import { HOUR, MINUTE, SECOND, type VaultSetup } from './plan.ts';

const SINK = '/vault/app.raw';
const LATEST_TIMER_MS = 50;

type Tokens = Omit<VaultSetup, 'address'>;

const TOKENS: Readonly<Record<string, Tokens>> = {
  'a maximum TTL of three hours': { ttlMs: HOUR, maxTtlMs: 3 * HOUR, tokenType: 'service' },
  'a maximum TTL that is the TTL': { ttlMs: HOUR, maxTtlMs: HOUR, tokenType: 'service' },
  'leases of five minutes, for twelve at most': { ttlMs: 5 * MINUTE, maxTtlMs: 12 * MINUTE, tokenType: 'service' },
  'leases of thirty seconds, for a minute at most': { ttlMs: 30 * SECOND, maxTtlMs: MINUTE, tokenType: 'service' },
  'batch tokens': { ttlMs: HOUR, maxTtlMs: HOUR, tokenType: 'batch' },
};

/** Lives without faults, and returns how often the reader looked, and when it held a dead token. */
async function read(tokens: Tokens, onNewJwt: 'login' | 'when-needed') {
  const { setup, ...drawn } = drawPlan(1);
  const vaults = setup.vaults.map(({ address }) => ({ address, ...tokens }));
  const [one] = setup.exchanges;
  assert.ok(one);
  const sinks = [{ kind: 'file', path: SINK, mode: 0o640, format: 'raw' } as const];
  const source = { kind: 'file', path: '/jwt/app', pollIntervalMs: 10_000 } as const;
  const exchanges = [{ ...one, name: 'app', onNewJwt, source, sinks }];
  const rotation = { jwtLifeMs: HOUR, rotationMs: 45 * MINUTE };
  const days = tokens.ttlMs < HOUR ? 0.25 : 1.5;
  const life = new Life({ ...drawn, days, setup: { vaults, exchanges, ...rotation }, faults: [] });
  const { time, host, ledger } = life;
  time.at(T0, () => {
    time.lateness = () => life.chance.random() * LATEST_TIMER_MS;
  });
  const dead: number[] = [];
  let readings = 0;
  const look = () => {
    const token = ledger.tokens.get(host.files.get(SINK) ?? '');
    assert.ok(token, 'the file holds a token');
    readings += 1;
    time.at(time.now + tokens.ttlMs / 2, () => {
      if (token.expiresAt <= time.now) dead.push(time.now - T0);
      look();
    });
  };
  time.at(T0 + SECOND, look);
  const { violation } = await life.live();
  assert.equal(violation, undefined);
  return { readings, dead };
}

for (const [name, tokens] of Object.entries(TOKENS)) {
  test(`a reader that reads each half of the lease never holds a dead token: ${name}`, async () => {
    for (const onNewJwt of ['login', 'when-needed'] as const) {
      const { readings, dead } = await read(tokens, onNewJwt);
      assert.ok(readings > 70, `${readings} readings`);
      assert.deepEqual(dead, [], onNewJwt);
    }
  });
}
