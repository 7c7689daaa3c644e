// Short plans: regression tests for bugs that the simulation found, each with the shortest plan that showed it, and for
// behaviour that only the whole process shows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeSettings, SourceSettings } from '../../src/core/settings.ts';
import { settingsOf } from '../support/world.ts';
import { Life, type Outcome } from './life.ts';
import { type Fault, HOUR, MINUTE, type Plan, SECOND, type Setup } from './plan.ts';

const [VAULT_A, VAULT_B] = ['https://vault-a.test:8200', 'https://vault-b.test:8200'];

function exchangeOf(name: string, source: SourceSettings, address = VAULT_A): ExchangeSettings {
  const settings = settingsOf();
  return {
    ...settings,
    name,
    source,
    vault: { ...settings.vault, address, tls: { caFile: '/ca/ca.pem' } },
    login: { mount: 'jwt', role: `${name}#0` },
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

/** Simulates two hours, or `hours`; fails with the log if a promise is broken. */
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

test("a reload that moves an exchange to another Vault never sends a token to a Vault that didn't grant it (V11, B11)", async () => {
  for (const exchanges of [
    [APP, FED],
    [FED, APP],
  ])
    await live({
      exchanges,
      faults: [at(HOUR, 'a reload moves an exchange to the other vault', MINUTE, { exchange: 'app' })],
    });
});

test('an exchange that is removed and added again provides identity tokens to the other exchange again (V11, B11)', async () => {
  const faults = [at(HOUR, 'reloads remove an exchange and add it again', 10 * MINUTE, { exchange: 'app' })];
  await live({ exchanges: [APP, FED], faults });
});

test('a reload that changes the role keeps the exchange ready throughout (B11)', async () => {
  await live({ faults: [at(HOUR, 'a reload changes the role', MINUTE, { exchange: 'app' })] });
});

test('failing renewals leave enough of the call budget for a login, so that no token expires (C15)', async () => {
  const faults = [at(10 * MINUTE, 'vault answers renewals with malformed replies', HOUR, { vault: 0, with: 'html' })];
  await live({ faults, ttlMs: 5 * MINUTE });
});

test('keeps the current token when the machine sleeps until a newly granted lease has expired (V3, H4)', async () => {
  const faults = [
    at(30 * MINUTE, 'leases are short', 10 * MINUTE, { vault: 0, ms: 60_000 }),
    at(30 * MINUTE + SECOND, 'vault is slow', 9 * MINUTE, { vault: 0, ms: 2000 }),
    at(30 * MINUTE + 2 * SECOND, 'two jwts come at once', SECOND, { exchange: 'app', ms: 1 }),
    at(30 * MINUTE + 3 * SECOND, 'the machine sleeps', 5 * MINUTE),
  ];
  await live({ faults });
});

test('a slow write that was started before a reload never overwrites a newer token (V2, F16)', async () => {
  const faults = [
    at(30 * MINUTE, 'a sink is slow', 2 * SECOND, { path: '/vault/app.raw', ms: 30_000 }),
    at(30 * MINUTE + SECOND, 'two jwts come at once', SECOND, { exchange: 'app', ms: 1 }),
    at(30 * MINUTE + 3 * SECOND, 'a reload changes the role', MINUTE, { exchange: 'app' }),
  ];
  await live({ faults });
});

test('gets a token soon after the machine slept or the process was stopped for hours, woken by timers alone (H4, I6)', async () => {
  // no sinks to check, and a long poll interval
  const idle = { ...exchangeOf('app', { kind: 'file', path: '/jwt/app', pollIntervalMs: HOUR }), sinks: [] };
  for (const kind of ['the machine sleeps', 'the process is stopped'])
    await live({ exchanges: [idle], hours: 5, faults: [at(30 * MINUTE, kind, 3 * HOUR)] });
});

test('kills every two seconds cause at most one login in five seconds, and the file always holds a token (I8, I9)', async () => {
  const { calls } = await live({ faults: [at(30 * MINUTE, 'killed repeatedly', 5 * MINUTE, { everyMs: 2000 })] });
  assert.ok(calls >= 60 && calls <= 70, `${calls} calls with 150 starts`);
});

/** Keeps its token over restarts. */
const REUSING: ExchangeSettings = {
  ...APP,
  onStart: 'reuse',
  onNewJwt: 'when-needed',
  sinks: [{ kind: 'file', path: '/vault/app.json', mode: 0o640, format: 'json' }],
};

test('a token that an operator revokes is replaced at the next renewal, by a check, or after a denied request (K17, L4)', async () => {
  const revoked = (use: string) => [
    at(10 * MINUTE, 'an operator revokes a token', 100 * MINUTE, { exchange: 'app', use }),
  ];
  const renewed = await live({ faults: revoked('idle') });
  const checked = await live({ faults: revoked('idle'), exchanges: [{ ...APP, checkIntervalMs: 10 * MINUTE }] });
  const denied = await live({ faults: revoked('busy') });
  // two logins, a denied renewal and three or four others; checks replace the token earlier, and so do denied requests
  assert.ok(
    renewed.calls >= 5 && denied.calls > renewed.calls && checked.calls > denied.calls,
    'each way has its calls',
  );
});

test('a restart keeps the token of its file, and logs in without one (V14)', async () => {
  const calls = async (kind: string, args: Fault['args']) => {
    const { calls: sent } = await live({
      exchanges: [REUSING],
      ttlMs: 12 * HOUR,
      faults: [at(HOUR, kind, MINUTE, args)],
    });
    return sent;
  };
  assert.equal(await calls('killed and started again', { downMs: SECOND }), 2, 'a login and a lookup');
  for (const by of ['gone', 'empty', 'other'])
    assert.equal(await calls('restarted without its files', { downMs: SECOND, by }), 2, 'two logins');
});

test('after a restart with another role or Vault, the token in the file is never taken over (V11)', async () => {
  for (const to of ['role', 'vault']) {
    const faults = [at(HOUR, 'restarted with another role or vault', MINUTE, { exchange: 'app', downMs: SECOND, to })];
    const { calls } = await live({ exchanges: [REUSING], ttlMs: 12 * HOUR, faults });
    assert.equal(calls, 2, `${to}: two logins`);
  }
});
