// Vault's replies and failures, in virtual time: the exchange keeps its token, retries within its limits and recovers
// soon after. test/core tests how each reply is classified.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode, Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeGrant } from '../../src/core/vault-protocol.ts';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { seededRandom } from '../support/random.ts';
import { T0, World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const jwtOf = (fromMs: number): string => jwtText({ iat: (T0 + fromMs) / 1000, exp: (T0 + fromMs) / 1000 + 86_400 });

function begin<W extends World>(world: W): W {
  world.jwt = jwtOf(0);
  world.post({ type: 'woke' });
  return world;
}

const of = (operation: 'login' | 'renew', { calls }: World) => calls.filter((call) => call.operation === operation);
const gapsOf = (calls: World['calls']) => calls.slice(1).map(({ at }, index) => at - (calls[index]?.at ?? 0));
const most = (calls: World['calls'], windowMs: number) =>
  Math.max(...calls.map(({ at }) => calls.filter((other) => other.at >= at && other.at < at + windowMs).length));

/** Makes every call fail until `times` calls have failed. */
function failFor(world: World, failure: Failure, times: number): void {
  const before = world.calls.length;
  world.vault.outage = failure;
  while (world.calls.slice(before).filter(({ outcome }) => outcome === failure.code).length < times) world.pass(10);
  world.vault.outage = undefined;
}

test('two replies of a lagging node (412) delay a call by at most three seconds, without a log line (C6)', () => {
  const { world, lines } = observedWorld();
  const loud = () => lines.filter(({ level }) => level === 'warn' || level === 'error');
  world.jwt = jwtOf(0);
  world.post({ type: 'woke' });
  failFor(world, { code: 'vault_behind' }, 2);
  world.pass(3 * SECOND);
  assert.equal(world.status().ready, true);
  assert.equal(world.calls.length, 3);
  assert.deepEqual(loud(), []);
  failFor(world, { code: 'vault_behind' }, 2);
  assert.equal(world.status().ready, true);
  assert.deepEqual(loud(), []);
  failFor(world, { code: 'vault_behind' }, 6);
  assert.deepEqual(
    loud().map(({ event, code }) => [event, code]),
    [['renewal_failed', 'vault_behind']],
    'a node that keeps lagging is reported',
  );
});

test('waits within growing bounds after each of five server errors, then recovers (C8)', () => {
  const world = new World({ random: seededRandom(8) });
  world.vault.outage = { code: 'vault_unavailable' };
  begin(world);
  failFor(world, { code: 'vault_unavailable' }, 5);
  world.pass(32 * SECOND);
  assert.equal(world.status().ready, true);
  assert.equal(world.calls.length, 6);
  const gaps = gapsOf(world.calls);
  for (const [index, gap] of gaps.entries()) {
    const whole = 2 ** index * SECOND;
    const [low, high] = [Math.max(SECOND, whole / 2), Math.max(whole, (index + 1) * 5 * SECOND)];
    assert.ok(gap >= low && gap <= high + 50, `${gaps}`);
    // the login budget: two logins a second apart, then one every five seconds
    if (index > 0) assert.ok(gap + (gaps[index - 1] ?? 0) >= 5 * SECOND, `${gaps}`);
  }
});

test('keeps the token while Vault refuses the signature for two minutes, then logs in (C9)', () => {
  const world = begin(new World({ random: seededRandom(9) }));
  world.pass(SECOND);
  world.vault.refusal = { code: 'signature_invalid' };
  world.writeJwt(jwtOf(1000));
  world.pass(2 * MINUTE);
  assert.equal(world.status().ready, true);
  assert.ok(of('login', world).length >= 5 && of('login', world).length <= 12, `${of('login', world).length} logins`);
  world.vault.refusal = undefined;
  world.pass(2 * MINUTE);
  assert.equal(of('login', world).at(-1)?.outcome, 'ok');
});

test("retries a JWT that isn't valid yet as soon as Vault accepts it (C11)", () => {
  const world = begin(new World());
  world.pass(SECOND);
  const validAt = T0 + 200 * SECOND;
  world.vault.refusal = { code: 'jwt_not_yet_valid' };
  // Vault's leeway is a minute
  world.at(validAt - MINUTE, () => {
    world.vault.refusal = undefined;
  });
  world.writeJwt(jwtText({ iat: validAt / 1000, nbf: validAt / 1000, exp: validAt / 1000 + 3600 }));
  world.pass(10 * MINUTE);
  const [, refused, taken, ...more] = of('login', world);
  assert.deepEqual([refused?.outcome, taken?.outcome, more.length], ['jwt_not_yet_valid', 'ok', 0]);
  const late = (taken?.at ?? 0) - (validAt - MINUTE);
  assert.ok(late >= 0 && late <= 5 * SECOND, `${late} ms late`);
});

for (const [row, code] of [
  ['C12', 'login_forbidden'],
  ['C13', 'mount_missing'],
] as const) {
  test(`${code}: keeps and renews the token, backs off logins to five minutes, and logs in with the next JWT (${row})`, () => {
    const world = begin(new World({ random: seededRandom(12) }));
    world.pass(SECOND);
    world.vault.refusal = { code };
    world.writeJwt(jwtOf(1000));
    world.pass(3 * HOUR);
    assert.equal(world.status().ready, true);
    assert.equal(world.status().failure?.code, code);
    assert.ok(of('renew', world).every(({ outcome }) => outcome === 'ok') && of('renew', world).length >= 4);
    const gaps = gapsOf(of('login', world)).slice(10);
    assert.ok(Math.min(...gaps) >= 150 * SECOND && Math.max(...gaps) <= 300 * SECOND + 100, `${gaps}`);
    world.vault.refusal = undefined;
    world.writeJwt(jwtOf(2000));
    world.pass(5 * SECOND);
    assert.equal(of('login', world).at(-1)?.outcome, 'ok');
  });
}

const AUTH = { client_token: 'hvs.CAESIexample', accessor: 'a', renewable: true, token_type: 'service', policies: [] };
const judged = (status: number, body: unknown) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return judgeGrant('login', { status, headers: {}, body: new Secret(text), durationMs: 1 }, []);
};

test('extreme lease durations cause no hot loop and no timer overflow (C19)', () => {
  for (const seconds of [0, 0.001, 1.5, 60, 3600, 768 * 3600, 1e9, 1e18]) {
    const grant = judged(200, { auth: { ...AUTH, lease_duration: seconds } });
    assert.ok(!('code' in grant));
    const world = new World({
      check: (self, _before, _event, wakeAt) => assert.ok(wakeAt > self.now && wakeAt <= self.now + HOUR, `${wakeAt}`),
    });
    world.vault.overrides = { leaseMs: grant.leaseMs, renewable: grant.renewable };
    begin(world);
    world.pass(HOUR);
    assert.ok(most(world.calls, MINUTE) <= 60, `lease ${seconds}: ${most(world.calls, MINUTE)} calls in a minute`);
    if (seconds >= 3600) assert.ok(world.calls.length <= 4, `lease ${seconds}: ${world.calls.length} calls`);
    if (seconds === 0 || seconds >= 60) assert.equal(world.status().ready, true, `lease ${seconds}`);
  }
});

test('with leases of 1, 2 and 5 s, is never ready with a dead token and stays within the call limits (C20)', () => {
  for (const ttlMs of [1000, 2000, 5000]) {
    const world = new World({ random: seededRandom(ttlMs) });
    world.vault.ttlMs = ttlMs;
    begin(world);
    let readyLooks = 0;
    world.pass(SECOND);
    for (let look = 0; look < 3000; look++) {
      world.pass(100);
      const { ready } = world.status();
      if (ready) readyLooks += 1;
      const alive = world.file !== undefined && world.vault.isAlive(world.file, world.now);
      assert.ok(!ready || alive, `${ttlMs}: ready with a dead token`);
    }
    assert.ok(most(world.calls, MINUTE) <= 61, `${ttlMs}: ${most(world.calls, MINUTE)} calls in a minute`);
    assert.ok(most(of('login', world), MINUTE) <= 14);
    if (ttlMs >= 2000) assert.equal(readyLooks, 3000, `${ttlMs}`);
  }
});

const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
const NO_GRANTS: readonly (readonly [rows: string, what: string, status: number, body: unknown])[] = [
  ['C22', 'a reply without auth', 200, { auth: null }],
  ['C22', 'an empty token', 200, { auth: { ...AUTH, client_token: '', lease_duration: 60 } }],
  ['C22', 'a wrapped token', 200, { auth: null, wrap_info: { token: 'hvs.wrapping' } }],
  [
    'C22',
    'a demand for a second factor',
    200,
    { auth: { client_token: '', mfa_requirement: { mfa_request_id: 'x' } } },
  ],
  ['C23', 'a token of two lines', 200, { auth: { ...AUTH, client_token: 'hvs.one\nhvs.two', lease_duration: 60 } }],
  ['C23', 'a token of 100 kB', 200, { auth: { ...AUTH, client_token: 'x'.repeat(100_000), lease_duration: 60 } }],
  ['C24', 'HTML', 200, '<html><body>Welcome</body></html>'],
  ['C24', 'an empty body', 200, ''],
  ['C24', 'a list', 200, '[]'],
  ['C24', 'null', 200, 'null'],
  ['C24', 'deeply nested JSON', 200, deep],
  ['C24', 'a deeply nested auth', 200, `{"auth":${deep}}`],
  [
    'C24',
    'a token in the __proto__ of auth',
    200,
    '{"auth":{"__proto__":{"client_token":"hvs.polluted1","lease_duration":60}}}',
  ],
  ['C24', 'auth in a __proto__', 200, '{"__proto__":{"auth":{"client_token":"hvs.polluted1","lease_duration":60}}}'],
  [
    'C24',
    'a duplicate auth whose second value is null',
    200,
    '{"auth":{"client_token":"hvs.firstauth","lease_duration":60},"auth":null}',
  ],
  ['C25', 'a truncated body', 200, JSON.stringify({ auth: { ...AUTH, lease_duration: 60 } }).slice(0, 60)],
  ['C27', 'a 204', 204, ''],
];

for (const [row, what, status, body] of NO_GRANTS) {
  test(`a login answered with ${what} fails: keeps the token and backs off (${row})`, () => {
    const outcome = judged(status, body);
    assert.ok('code' in outcome);
    const { world, told } = observedWorld({ random: seededRandom(24) });
    begin(world);
    world.pass(SECOND);
    const { file } = world;
    world.vault.outage = outcome;
    world.writeJwt(jwtOf(1000));
    world.pass(0.9 * HOUR);
    assert.deepEqual([world.status().ready, world.file], [true, file]);
    assert.equal(told('login_failed')[0]?.['code'], outcome.code);
    assert.ok(most(world.calls, 15 * MINUTE) <= 40, `${most(world.calls, 15 * MINUTE)} calls in 15 minutes`);
    world.vault.outage = undefined;
    world.pass(5 * MINUTE);
    assert.notEqual(world.file, file);
    assert.equal(world.status().phase, 'active');
  });
}

test('tokens that are dead on arrival cause one more renewal, then a login, within the login budget (C29)', () => {
  for (const [ttlMs, hours, mostLogins] of [
    [HOUR, 12, 29],
    [6 * SECOND, 1, 2 + 3600 / 5],
  ] as const) {
    const world = new World({ random: seededRandom(29) });
    world.vault.ttlMs = ttlMs;
    const { login } = world.vault;
    world.vault.login = (...asked) => {
      const grant = login(...asked);
      world.vault.forget();
      return grant;
    };
    begin(world);
    world.pass(hours * HOUR);
    assert.ok(of('login', world).length <= mostLogins, `${of('login', world).length} logins`);
    assert.ok(most(of('login', world), MINUTE) <= 14);
    const retry = gapsOf(of('renew', world))[0] ?? 0;
    if (ttlMs < HOUR) assert.ok(retry >= 1000 && retry <= 1100, `asked again after ${retry} ms`);
  }
});

test('a login whose reply is lost with the leader is retried once, which leaves one orphaned token (C30)', () => {
  for (const lost of ['vault_connection_lost', 'vault_timeout', 'vault_no_leader'] satisfies ErrorCode[]) {
    const world = new World({ random: seededRandom(30) });
    const { login } = world.vault;
    let answers = 0;
    world.vault.login = (...asked) => {
      answers += 1;
      const grant = login(...asked);
      return answers === 1 ? { code: lost } : grant;
    };
    begin(world);
    world.pass(10 * SECOND);
    assert.equal(world.status().ready, true);
    assert.equal(world.vault.issued.size, 2);
    assert.ok(world.file && world.vault.isAlive(world.file, world.now));
  }
});

test('a renewal that changes the policies updates the status and logs a warning, without a login (C32)', () => {
  const { world, told } = observedWorld();
  world.jwt = jwtOf(0);
  world.post({ type: 'woke' });
  world.pass(SECOND);
  assert.deepEqual(world.status().token?.policies, ['default']);
  world.vault.overrides = { policies: ['default', 'more'] };
  world.pass(HOUR);
  assert.deepEqual(world.status().token?.policies, ['default', 'more']);
  assert.deepEqual(
    told('policies_changed').map(({ level, policies }) => [level, policies]),
    [['warn', ['default', 'more']]],
  );
  assert.equal(of('login', world).length, 1);
  assert.equal(world.state.sinks[0]?.holds?.revision, world.state.token?.revision, 'the sinks have them too');
});
