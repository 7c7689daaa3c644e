// Each change of state is one log line with the fields that an operator needs; without a change there is no line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import { record } from '../../src/core/record.ts';
import { jwtText } from '../support/jwt-text.ts';
import { type Line, type ObservedWorld, observedWorld } from '../support/observed-world.ts';
import { MOMENT, NOW, POLICY, sink, stateOf, token } from '../support/states.ts';
import { settingsOf, T0, type World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const iso = (at: number) => new Date(at).toISOString();
const jwtFor = (ms: number) => jwtText({ iss: 'https://issuer', sub: 'app', aud: 'vault', exp: (T0 + ms) / 1000 });
const eventsIn = (lines: readonly Line[]) => lines.map(({ level, event }) => `${level} ${event}`);

/** A world that has its first token; the lines so far are taken away. */
function ready(options: Parameters<typeof observedWorld>[0] = {}) {
  const observed = observedWorld(options);
  observed.world.writeJwt(jwtFor(24 * HOUR));
  observed.world.pass(5 * SECOND);
  const before = observed.lines.length;
  return { ...observed, news: () => observed.lines.slice(before) };
}

test('a delivery is a line of its own sink alone', () => {
  const { lines, observer } = observedWorld();
  const writing = { generation: 1, revision: 1, expiresAt: T0 + HOUR, attempt: 7, startedAt: T0 };
  const sinks = ['/one', '/two'].map((id) => sink({ id, writing }));
  const policy = { ...POLICY, sinks: ['/one', '/two'] };
  const before = stateOf({ token: token(), sinks });
  const event = { type: 'delivered', sink: '/one', attempt: 7, written: true } as const;
  observer.stepped(policy, before, record(policy, before, event, MOMENT), event, MOMENT);
  assert.deepEqual(
    lines.filter(({ sink: of }) => of !== undefined).map(({ event: name, sink: of }) => [name, of]),
    [['sink_written', '/one']],
  );
});

test('the lines of a login have the exchange, the JWT, the token and wall-clock times', () => {
  const { world, lines } = observedWorld();
  // the wall clock is five minutes ahead of the steady one
  world.wallOffsetMs = 5 * MINUTE;
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(SECOND);
  const granted = world.state.token?.grantedAt ?? 0;
  const wall = (at: number) => iso(at + 5 * MINUTE);
  const [changed, loggedIn] = lines;
  assert.deepEqual(changed, {
    level: 'info',
    time: wall(T0 + 1),
    event: 'jwt_changed',
    exchange: 'app',
    issuer: 'https://issuer',
    subject: 'app',
    audience: ['vault'],
    jwt_expires_at: iso(T0 + 24 * HOUR),
  });
  assert.deepEqual(loggedIn, {
    level: 'info',
    time: wall(T0 + 21),
    event: 'logged_in',
    exchange: 'app',
    accessor: 'accessor-00000001',
    ttl_seconds: 3600,
    renewable: true,
    token_type: 'service',
    policies: ['default'],
    expires_at: wall(granted + HOUR),
    next_at: wall(world.state.token?.renewAt ?? 0),
    correlation_id: '80000000-2',
    request_id: 'request-2',
  });
});

test("each renewal is one line; reads and deliveries without a change aren't logged", () => {
  const { world, news } = ready();
  world.pass(2 * HOUR);
  assert.deepEqual(new Set(eventsIn(news())), new Set(['info renewed']));
  assert.equal(news().length, world.calls.length - 1);
  const ids = new Set(news().map((line) => line['correlation_id']));
  assert.equal(ids.size, news().length);
});

test('logs every new JWT, and no repeated read of it', () => {
  const { world, told } = ready();
  for (const hours of [25, 26]) {
    world.writeJwt(jwtFor(hours * HOUR));
    world.pass(MINUTE);
    world.writeJwt(jwtFor(hours * HOUR));
    world.pass(MINUTE);
  }
  assert.deepEqual(
    told('jwt_changed').map((line) => line['jwt_expires_at']),
    [24, 25, 26].map((hours) => iso(T0 + hours * HOUR)),
  );
});

test('logs each reason for an unusable JWT, with evidence and hint, and its recovery', () => {
  const { world, news } = ready();
  for (const failure of [
    { code: 'jwt_unreadable', facts: { kind: 'file', path: '/jwt', errno: 'EACCES' } },
    { code: 'jwt_missing' },
  ] as const) {
    world.writeJwt(failure);
    world.pass(5 * MINUTE);
  }
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(MINUTE);
  assert.deepEqual(eventsIn(news()), ['warn jwt_unusable', 'warn jwt_unusable', 'info jwt_usable']);
  const { time: _time, hint, ...first } = news()[0] ?? {};
  assert.deepEqual(first, {
    level: 'warn',
    event: 'jwt_unusable',
    exchange: 'app',
    code: 'jwt_unreadable',
    title: "the workload JWT can't be read",
    evidence: '/jwt: EACCES',
  });
  assert.match(String(hint), /read access/);
});

test('logs a JWT past 90 % of its lifetime once', () => {
  const { world, told } = observedWorld();
  world.writeJwt(jwtText({ iat: T0 / 1000, exp: (T0 + 10 * HOUR) / 1000 }));
  world.pass(8.9 * HOUR);
  assert.equal(told('jwt_not_rotated').length, 0);
  world.pass(HOUR);
  assert.deepEqual(
    told('jwt_not_rotated').map((line) => [line['level'], line['jwt_expires_at']]),
    [['warn', iso(T0 + 10 * HOUR)]],
  );
});

test('logs policies that a renewal changes; those of a login are in its own line (C32)', () => {
  const { world, told } = ready();
  world.vault.overrides = { policies: ['default', 'more'] };
  world.pass(HOUR);
  assert.deepEqual(
    told('policies_changed').map((line) => [line['level'], line['policies']]),
    [['warn', ['default', 'more']]],
  );
  world.vault.overrides = { policies: ['less'] };
  world.writeJwt(jwtFor(25 * HOUR));
  world.pass(MINUTE);
  assert.deepEqual(told('logged_in').at(-1)?.['policies'], ['less']);
  assert.equal(told('policies_changed').length, 1);
});

test("logs Vault's warnings at a login, and only new ones later", () => {
  const { world, told } = observedWorld();
  const warnings = () => told('vault_warning').map((line) => line['warning']);
  world.vault.overrides = { warnings: ['old'] };
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(2 * HOUR);
  assert.deepEqual(warnings(), ['old']);
  world.vault.overrides = { warnings: ['old', 'new'] };
  world.pass(2 * HOUR);
  assert.deepEqual(warnings(), ['old', 'new']);
  world.writeJwt(jwtFor(25 * HOUR));
  world.pass(MINUTE);
  assert.deepEqual(warnings(), ['old', 'new', 'old', 'new']);
});

test('logs a token with limited uses once, at its login (C21)', () => {
  const { world, told } = observedWorld();
  world.vault.overrides = { numUses: 1 };
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(2 * HOUR);
  assert.ok(told('renewed').length > 0);
  assert.deepEqual(
    told('token_uses_limited').map((line) => [line['level'], line['num_uses']]),
    [['warn', 1]],
  );
});

/** Lets time pass in small steps until `is` holds, an hour at most. */
function passUntil(world: World, is: () => boolean): void {
  const end = world.now + HOUR;
  while (!is()) {
    assert.ok(world.now < end, 'not within an hour');
    world.pass(10);
  }
}

/** Failures that Vault gives from now on, and the lines about them. */
function failing({ world, told }: ObservedWorld, event: string, code: ErrorCode | undefined) {
  if (event === 'login_failed') world.vault.refusal = code && { code };
  else world.vault.renewalRefusal = code && { code };
  return () => told(event).map((line) => [line['code'], line['attempts']]);
}

test('logs a failing renewal once a minute, and its recovery (J8)', () => {
  const observed = ready();
  const { world, told } = observed;
  const failures = failing(observed, 'renewal_failed', 'vault_sealed');
  passUntil(world, () => failures().length > 0);
  const calls = world.calls.length;
  world.pass(5 * MINUTE);
  const times = told('renewal_failed').map((line) => Date.parse(String(line['time'])));
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.ok(gaps.length >= 2 && gaps.every((gap) => gap >= MINUTE && gap <= 2 * MINUTE), `${gaps}`);
  // the count goes on in between
  assert.deepEqual(failures()[0], ['vault_sealed', 1]);
  assert.ok(world.calls.length - calls > gaps.length && Number(failures().at(-1)?.[1]) > failures().length);
  assert.equal(told('login_failed').length, 0);
  assert.equal(new Set(told('renewal_failed').map((line) => line['since'])).size, 1);
  failing(observed, 'renewal_failed', undefined);
  world.pass(2 * MINUTE);
  assert.deepEqual(
    told('recovered').map((line) => line['code']),
    ['vault_sealed'],
  );
});

test('the times of a failure are on the wall clock, and the retry comes at the logged time (J8)', () => {
  const observed = observedWorld();
  const { world, told } = observed;
  world.wallOffsetMs = -3 * HOUR;
  failing(observed, 'login_failed', 'vault_sealed');
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(SECOND);
  const [line] = told('login_failed');
  const retryAt = Date.parse(String(line?.['retry_at'])) + 3 * HOUR;
  assert.equal(Date.parse(String(line?.['since'])) + 3 * HOUR, T0 + 21);
  assert.equal(world.calls.length, 1);
  world.pass(retryAt - world.now - 1);
  assert.equal(world.calls.length, 1);
  world.pass(10);
  assert.equal(world.calls.length, 2);
});

test('logs the first failure after a recovery at once, also within a minute of the previous one (J8)', () => {
  const observed = observedWorld();
  const { world } = observed;
  const failures = failing(observed, 'login_failed', 'vault_sealed');
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(SECOND);
  failing(observed, 'login_failed', undefined);
  world.pass(15 * SECOND);
  assert.equal(world.status().ready, true);
  failing(observed, 'login_failed', 'vault_sealed');
  world.writeJwt(jwtFor(25 * HOUR));
  world.pass(10 * SECOND);
  assert.deepEqual(failures(), [
    ['vault_sealed', 1],
    ['vault_sealed', 1],
  ]);
});

test('logs equal failures of a login and a renewal, and of two exchanges, separately (J8)', () => {
  const { world, observer, told } = observedWorld();
  const other = { ...world.policy, settings: { ...settingsOf(), name: 'other' } };
  const streak = { failure: { code: 'vault_sealed' }, since: T0, count: 2, retryAt: T0 } as const;
  // each failure makes a streak of its own
  const failed = () => ({ ...world.state, loginStreak: { ...streak }, renewalStreak: { ...streak } });
  for (const policy of [world.policy, other]) {
    for (const type of ['login-failed', 'renewal-failed'] as const) {
      const event = { type, attempt: 1, failure: streak.failure };
      for (let time = 0; time < 2; time += 1) observer.stepped(policy, failed(), failed(), event, world.moment());
    }
  }
  const names = (event: string) => told(event).map((line) => line['exchange']);
  assert.deepEqual(names('login_failed'), ['app', 'other']);
  assert.deepEqual(names('renewal_failed'), ['app', 'other']);
});

test('the hint of a failed login names the mount and the role of the exchange', () => {
  const { world, told } = ready();
  world.vault.outage = { code: 'role_missing' };
  world.writeJwt(jwtFor(48 * HOUR));
  world.pass(MINUTE);
  const [line] = told('login_failed');
  assert.match(String(line?.['hint']), /vault write auth\/jwt\/role\/app /);
});

test('two replies of a replica that lags are no line, the third is', () => {
  const observed = observedWorld();
  const failures = failing(observed, 'login_failed', 'vault_behind');
  observed.world.writeJwt(jwtFor(24 * HOUR));
  passUntil(observed.world, () => observed.world.calls.length === 3);
  assert.deepEqual(failures(), []);
  observed.world.pass(SECOND);
  assert.deepEqual(failures(), [['vault_behind', 3]]);
});

test('logs one recovery when a login and a renewal have both recovered', () => {
  const observed = ready();
  const { world, told } = observed;
  failing(observed, 'renewal_failed', 'renewal_denied');
  failing(observed, 'login_failed', 'vault_sealed');
  world.pass(HOUR);
  assert.ok(told('renewal_failed').length > 0 && told('login_failed').length > 0);
  assert.equal(told('recovered').length, 0);
  failing(observed, 'login_failed', undefined);
  world.pass(2 * MINUTE);
  assert.deepEqual(
    told('recovered').map((line) => line['code']),
    ['vault_sealed'],
  );
});

test('logs each reason of a failing sink, and its recovery (J8)', () => {
  const { world, told, news } = ready();
  for (const code of ['sink_no_space', 'sink_denied'] as const) {
    world.sinkFailure = { code, facts: { kind: 'file', path: '/vault/token', errno: 'EX' } };
    world.pass(3 * MINUTE);
  }
  assert.deepEqual(
    told('sink_failed').map((line) => [line['level'], line['sink'], line['code'], line['evidence']]),
    [
      ['error', '/vault/token', 'sink_no_space', '/vault/token: EX'],
      ['error', '/vault/token', 'sink_denied', '/vault/token: EX'],
    ],
  );
  assert.deepEqual(
    told('not_ready').map((line) => line['reasons']),
    [["sink /vault/token: there is no space left for the sink's file"]],
  );
  world.sinkFailure = undefined;
  world.pass(MINUTE);
  assert.deepEqual(eventsIn(news()), [
    'error sink_failed',
    'error not_ready',
    'error sink_failed',
    'info sink_recovered',
    'info ready',
  ]);
});

test('logs a deleted file as restored, and a file with a new token as written (F15)', () => {
  const { world, news } = ready();
  world.file = undefined;
  world.pass(15 * SECOND);
  assert.deepEqual(eventsIn(news()), ['warn sink_restored']);
  world.writeJwt(jwtFor(25 * HOUR));
  world.pass(5 * SECOND);
  assert.deepEqual(eventsIn(news()).slice(1), ['info jwt_changed', 'info logged_in', 'debug sink_written']);
});

test('logs each change of readiness once, and none during a stop', () => {
  const { world, news } = ready({ settings: { onStop: 'revoke' } });
  world.vault.outage = { code: 'vault_unreachable' };
  world.pass(3 * HOUR);
  world.vault.outage = undefined;
  world.pass(2 * MINUTE);
  const changes = eventsIn(news()).filter((line) => line.endsWith('ready'));
  assert.deepEqual(changes, ['error not_ready', 'info ready']);
  world.post({ type: 'stop-requested' });
  world.pass(5 * SECOND);
  assert.equal(world.state.token, undefined);
  assert.equal(eventsIn(news()).filter((line) => line.endsWith('not_ready')).length, 1);
});

test('a call that never returned is among the failures of the last hour', (t) => {
  const { observer } = observedWorld();
  const call = { operation: 'login', attempt: 1, startedAt: NOW - MINUTE, timeoutMs: SECOND, jwtSerial: 1 } as const;
  const [before, event] = [stateOf({ call }), { type: 'woke' } as const];
  observer.stepped(POLICY, before, record(POLICY, before, event, MOMENT), event, MOMENT);
  t.mock.timers.enable({ apis: ['Date'], now: NOW });
  assert.deepEqual(observer.recent('app').failures, [{ code: 'vault_call_stuck', count: 1, at: NOW }]);
});
