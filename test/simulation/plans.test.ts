// Plans of a few faults: what the simulation found in the sidecar, each as the shortest plan that showed it, and what only
// the whole process can show.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeSettings, SourceSettings } from '../../src/core/settings.ts';
import { Life, type Outcome } from './life.ts';
import { type Fault, HOUR, MINUTE, type Plan, SECOND, type Setup } from './plan.ts';

const [VAULT_A, VAULT_B] = ['https://vault-a.test:8200', 'https://vault-b.test:8200'];

function exchangeOf(name: string, source: SourceSettings, address = VAULT_A): ExchangeSettings {
  return {
    name,
    source,
    vault: { address, tls: { caFile: '/ca/ca.pem' }, timeoutMs: 15_000, redirectHosts: [], useProxyEnv: false },
    login: { mount: 'jwt', role: `${name}#0` },
    expect: {},
    onNewJwt: 'login',
    onStop: 'keep',
    sinks: [{ kind: 'file', path: `/vault/${name}.raw`, mode: 0o640, format: 'raw' }],
  };
}

const fromFile = (name: string): SourceSettings => ({ kind: 'file', path: `/jwt/${name}`, pollIntervalMs: 10_000 });

const APP = exchangeOf('app', fromFile('app'));
const FED = exchangeOf('fed', {
  kind: 'vault-identity',
  vault: APP.vault,
  role: 'fed',
  token: { exchange: 'app' },
});

interface Told {
  readonly faults: readonly Omit<Fault, 'id'>[];
  readonly exchanges?: Setup['exchanges'];
  readonly ttlMs?: number;
  readonly hours?: number;
}

/** Lives for two hours; fails with the story if a promise is broken. */
async function live({ faults, exchanges = [APP], ttlMs = HOUR, hours = 2 }: Told): Promise<Outcome> {
  const vaults = [VAULT_A, VAULT_B].map((address) => {
    return { address, ttlMs, maxTtlMs: 768 * HOUR, tokenType: 'service' } as const;
  });
  const setup = { vaults, exchanges, jwtLifeMs: 8 * HOUR, rotationMs: 6 * HOUR };
  const numbered = faults.map((fault, index) => ({ id: index + 1, ...fault }));
  const plan: Plan = { seed: 1, days: hours / 24, setup, faults: numbered };
  const outcome = await new Life(plan).live();
  const { violation, story } = outcome;
  assert.equal(violation, undefined, `${violation?.rule}: ${violation?.text}\n${story.join('\n')}`);
  return outcome;
}

const at = (atMs: number, kind: string, forMs: number, args: Fault['args'] = {}) => ({ atMs, kind, forMs, args });

test('a reload moves the exchange that feeds another one: no token goes to the Vault that did not grant it (V11, B11)', async () => {
  for (const exchanges of [
    [APP, FED],
    [FED, APP],
  ])
    await live({
      exchanges,
      faults: [at(HOUR, 'a reload moves an exchange to the other vault', MINUTE, { exchange: 'app' })],
    });
});

test('an exchange that is taken away and brought back feeds the other one again (V11, B11)', async () => {
  const faults = [at(HOUR, 'reloads take an exchange away, and bring it back', 10 * MINUTE, { exchange: 'app' })];
  await live({ exchanges: [APP, FED], faults });
});

test('a reload that changes the role leaves the exchange ready, also for the instant of the change (B11)', async () => {
  await live({ faults: [at(HOUR, 'a reload changes the role', MINUTE, { exchange: 'app' })] });
});

test('renewals that fail do not use up what a login needs, so that no token runs out (C15)', async () => {
  const faults = [at(10 * MINUTE, 'vault lies about renewals', HOUR, { vault: 0, with: 'html' })];
  await live({ faults, ttlMs: 5 * MINUTE });
});

test('the machine sleeps over the answer to a login, whose lease is over by then: the token in hand is kept (V3, H4)', async () => {
  const faults = [
    at(30 * MINUTE, 'leases are short', 10 * MINUTE, { vault: 0, ms: 60_000 }),
    at(30 * MINUTE + SECOND, 'vault is slow', 9 * MINUTE, { vault: 0, ms: 2000 }),
    at(30 * MINUTE + 2 * SECOND, 'two jwts come at once', SECOND, { exchange: 'app', ms: 1 }),
    at(30 * MINUTE + 3 * SECOND, 'the machine sleeps', 5 * MINUTE),
  ];
  await live({ faults });
});

test('a slow write that a reload overtakes does not put the older token back (V2, F16)', async () => {
  const faults = [
    at(30 * MINUTE, 'a sink is slow', 2 * SECOND, { path: '/vault/app.raw', ms: 30_000 }),
    at(30 * MINUTE + SECOND, 'two jwts come at once', SECOND, { exchange: 'app', ms: 1 }),
    at(30 * MINUTE + 3 * SECOND, 'a reload changes the role', MINUTE, { exchange: 'app' }),
  ];
  await live({ faults });
});

test('the machine sleeps for hours, or the process stands still: a token soon after, also where nothing but timers wakes it (H4, I6)', async () => {
  // no sink to look at, and a file that is seldom read
  const idle = { ...exchangeOf('app', { kind: 'file', path: '/jwt/app', pollIntervalMs: HOUR }), sinks: [] };
  for (const kind of ['the machine sleeps', 'the process stands still'])
    await live({ exchanges: [idle], hours: 5, faults: [at(30 * MINUTE, kind, 3 * HOUR)] });
});

test('killed every two seconds for minutes: a login in five seconds, and the file always holds a token (I8, I9)', async () => {
  const { calls } = await live({ faults: [at(30 * MINUTE, 'killed again and again', 5 * MINUTE, { everyMs: 2000 })] });
  assert.ok(calls >= 60 && calls <= 70, `${calls} calls with 150 starts`);
});
