// How each event changes the facts, one at a time, without a story around it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode, Failure } from '../../src/core/errors.ts';
import { record } from '../../src/core/record.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Call, ExchangeEvent, Moment, SinkState, State } from '../../src/core/state.ts';
import { initialState } from '../../src/core/step.ts';
import { jwtText } from '../support/jwt-text.ts';
import {
  grant,
  HOUR,
  holding,
  jwt,
  MINUTE,
  MOMENT,
  NOW,
  POLICY,
  policyOf,
  SECOND,
  sink,
  stateOf,
  stopping,
  streak,
  token,
} from '../support/states.ts';
import { settingsOf } from '../support/world.ts';

const recorded = (
  changes: Partial<State>,
  event: ExchangeEvent,
  moment: Partial<Moment> = {},
  settings: Partial<ExchangeSettings> = {},
): State => record(policyOf(settings), stateOf(changes), event, { ...MOMENT, ...moment });
const at = (now: number): Partial<Moment> => ({ now, wall: now });
const reading = (changes: Partial<State['reading']>): Pick<State, 'reading'> => ({
  reading: { ...stateOf().reading, ...changes },
});
const inFlight = { attempt: 7, startedAt: NOW };
const call = (operation: Call['operation'], changes: Partial<Call> = {}): Pick<State, 'call'> => ({
  call: { operation, attempt: 7, startedAt: NOW, timeoutMs: 15 * SECOND, jwtSerial: 1, ...changes },
});
const writing = { ...holding, attempt: 7, startedAt: NOW };
const WOKE = { type: 'woke' } as const;
const failed = (code: ErrorCode): Failure => ({ code });
const secretsOf = ({ replaced }: State) => replaced.map(({ secret }) => secret.reveal());

test('a hint brings the next reading forward: at once after a quiet time, in a burst now and then', () => {
  const hinted = (changes: Partial<State['reading']>) =>
    recorded(reading(changes), { type: 'jwt-hinted' }).reading.nextAt - NOW;
  assert.equal(hinted({ endedAt: NOW - HOUR }), 20);
  assert.equal(hinted({ endedAt: NOW - 10 }), 90);
  assert.equal(hinted({ endedAt: NOW - HOUR, inFlight }), 100);
  assert.equal(hinted({ endedAt: NOW - HOUR, nextAt: NOW + 5 }), 5);
});

test('a reading that answers another attempt is ignored', () => {
  const before = stateOf(reading({ inFlight, nextAt: Number.POSITIVE_INFINITY }));
  const read = { type: 'jwt-read', secret: new Secret(jwtText({ jti: 'new' })), watched: true } as const;
  const unreadable = { type: 'jwt-unreadable', failure: failed('jwt_missing'), watched: true } as const;
  for (const event of [read, unreadable]) {
    assert.deepEqual(recorded(before, { ...event, attempt: 6 }), before);
    assert.equal(recorded(before, { ...event, attempt: 7 }).reading.inFlight, undefined);
  }
});

test('a new JWT gets the next serial and ends the streak of failed logins; the same one changes nothing', () => {
  const read = (text: string, changes: Partial<State> = {}, event: { watched?: boolean; mayBeTorn?: boolean } = {}) =>
    recorded(
      { ...reading({ inFlight, nextAt: Number.POSITIVE_INFINITY }), loginStreak: streak(3, NOW + HOUR), ...changes },
      { type: 'jwt-read', attempt: 7, secret: new Secret(text), watched: true, ...event },
    );
  const fresh = jwtText({ jti: 'new' });
  const state = read(fresh);
  assert.deepEqual([state.jwt?.serial, state.loginStreak], [2, undefined]);
  assert.deepEqual(
    [state.reading.endedAt, state.reading.nextAt, state.reading.failure],
    [NOW, NOW + 10 * SECOND, undefined],
  );
  assert.equal(read(fresh, {}, { watched: false }).reading.nextAt, NOW + 2 * SECOND);
  const same = read(jwtText());
  assert.deepEqual([same.jwt?.serial, same.loginStreak?.count], [1, 3]);
  assert.equal(read(fresh, { jwt: undefined }).jwt?.serial, 1);
  const asked = read(fresh, reading({ inFlight, nextAt: NOW + 100 }));
  assert.equal(asked.reading.nextAt, NOW + 100, 'a hint during the reading asks for one more');
});

test('an older JWT is not taken while the held one is good', () => {
  const [old, young] = [
    { iat: NOW / 1000 - 600, exp: NOW / 1000 + 600 },
    { iat: NOW / 1000, exp: NOW / 1000 + 1200 },
  ];
  const serial = (changes: Partial<State>) =>
    recorded(
      { ...reading({ inFlight }), ...changes },
      { type: 'jwt-read', attempt: 7, secret: new Secret(jwtText(old)), watched: true },
    ).jwt?.serial;
  assert.equal(serial({ jwt: jwt(1, young) }), 1);
  assert.equal(serial({ jwt: jwt(1, young), loginStreak: streak(1) }), 2);
  assert.equal(serial({ jwt: jwt(1, { iat: NOW / 1000, exp: NOW / 1000 }) }), 2);
  assert.equal(serial({ jwt: jwt(1, { iat: NOW / 1000 - 900, exp: NOW / 1000 + 500 }) }), 2);
});

test('a JWT that may still be being written counts when a second look finds the same', () => {
  const secret = new Secret(jwtText({ jti: 'torn' }));
  const look = (candidate: Secret | undefined) =>
    recorded(reading({ inFlight, candidate }), {
      type: 'jwt-read',
      attempt: 7,
      secret,
      watched: true,
      mayBeTorn: true,
    });
  const first = look(undefined);
  assert.deepEqual([first.jwt?.serial, first.reading.nextAt], [1, NOW + 100]);
  assert.ok(first.reading.candidate?.equals(secret));
  assert.equal(look(new Secret('another')).jwt?.serial, 1);
  const second = look(secret);
  assert.deepEqual([second.jwt?.serial, second.reading.candidate], [2, undefined]);
});

test('an unreadable JWT is counted while the reason stays the same, and looked for again soon', () => {
  const unreadable = (
    code: ErrorCode,
    failure: State['reading']['failure'],
    settings: Partial<ExchangeSettings> = {},
  ) =>
    recorded(
      reading({ inFlight, failure, nextAt: Number.POSITIVE_INFINITY }),
      { type: 'jwt-unreadable', attempt: 7, failure: failed(code), watched: true },
      {},
      settings,
    ).reading;
  const earlier = { failure: failed('jwt_missing'), since: NOW - HOUR, count: 3 };
  const first = unreadable('jwt_missing', undefined);
  assert.deepEqual([first.failure?.since, first.failure?.count, first.nextAt], [NOW, 1, NOW + 200]);
  const fourth = unreadable('jwt_missing', earlier);
  assert.deepEqual([fourth.failure?.since, fourth.failure?.count], [NOW - HOUR, 4]);
  assert.equal(fourth.nextAt, NOW + 10 * SECOND);
  const other = unreadable('jwt_malformed', earlier);
  assert.deepEqual([other.failure?.since, other.failure?.count], [NOW, 1]);
  assert.equal(unreadable('jwt_missing', earlier, { source: { kind: 'env', name: 'JWT' } }).nextAt, NOW + MINUTE);
});

test('an overdue call fails half a second after a step that the timer did not cause, unless its result comes before', () => {
  const hinted = { type: 'jwt-hinted' } as const;
  const late = NOW + 30_000;
  for (const event of [hinted, { type: 'hook-ended' } as const]) {
    const held = recorded(call('login'), event, at(late));
    assert.deepEqual([held.call?.attempt, held.overdueUntil], [7, late + 500]);
  }
  const still = recorded({ ...call('login'), overdueUntil: late + 500 }, WOKE, at(late + 499));
  assert.deepEqual([still.call?.attempt, still.overdueUntil], [7, late + 500]);
  for (const event of [WOKE, hinted]) {
    const over = recorded({ ...call('login'), overdueUntil: late + 500 }, event, at(late + 500));
    assert.deepEqual([over.loginStreak?.failure.code, over.overdueUntil], ['vault_call_stuck', undefined]);
  }
  const granted = { type: 'logged-in', attempt: 7, grant: grant() } as const;
  const done = recorded({ ...call('login'), overdueUntil: late + 500 }, granted, at(late + 500));
  assert.deepEqual(
    [done.loginStreak, done.token?.secret.reveal(), done.overdueUntil],
    [undefined, 'hvs.granted-token', undefined],
  );
});

test('a reading, a call and a delivery without a result by their deadlines count as failed', () => {
  const reads = (now: number) =>
    recorded(reading({ inFlight, nextAt: Number.POSITIVE_INFINITY }), WOKE, at(now)).reading;
  assert.equal(reads(NOW + 14_999).failure, undefined);
  assert.deepEqual(
    [reads(NOW + 15_000).failure?.failure.code, reads(NOW + 15_000).inFlight],
    ['jwt_read_stuck', undefined],
  );
  const failure = { failure: failed('jwt_read_stuck'), since: NOW, count: 3 };
  const stuckAgain = recorded(reading({ inFlight, failure, nextAt: Number.POSITIVE_INFINITY }), WOKE, at(NOW + 15_000));
  assert.equal(stuckAgain.reading.nextAt, NOW + 25_000, 'at the poll interval of a watched file');
  for (const operation of ['login', 'renew'] as const) {
    const calls = (now: number) => recorded({ ...call(operation), token: token() }, WOKE, at(now));
    assert.equal(calls(NOW + 19_999).call?.attempt, 7);
    const { call: left, loginStreak, renewalStreak } = calls(NOW + 20_000);
    const [own, other] = operation === 'login' ? [loginStreak, renewalStreak] : [renewalStreak, loginStreak];
    assert.deepEqual([left, own?.failure.code, other], [undefined, 'vault_call_stuck', undefined]);
  }
  const two = [sink({ writing }), sink({ id: 'other', writing: { ...writing, startedAt: NOW + SECOND } })];
  const writes = (now: number) => recorded({ token: token(), sinks: two }, WOKE, at(now)).sinks;
  assert.deepEqual(writes(NOW + 29_999), two);
  const [late, inTime] = writes(NOW + 30_000);
  assert.deepEqual([late?.writing, late?.failure?.failure.code], [undefined, 'sink_write_stuck']);
  assert.deepEqual(inTime, two[1]);
});

test('a delivery that fails is counted and tried again later; one that answers another attempt or sink is ignored', () => {
  const fails = (one: SinkState, changes: { sink?: string; attempt?: number } = {}) =>
    recorded(
      { sinks: [one] },
      { type: 'delivery-failed', sink: '/vault/token', attempt: 7, failure: failed('sink_no_space'), ...changes },
    ).sinks[0];
  const first = fails(sink({ writing }));
  assert.deepEqual([first?.writing, first?.failure?.count, first?.checkAt], [undefined, 1, NOW + 1500]);
  const again = fails(sink({ writing, failure: { failure: failed('sink_no_space'), count: 2 } }));
  assert.deepEqual([again?.failure?.count, again?.checkAt], [3, NOW + 6000]);
  const pending = sink({ writing });
  assert.deepEqual(fails(pending, { attempt: 6 }), pending);
  assert.deepEqual(fails(pending, { sink: 'other' }), pending);
});

test('a delivery is held from then on, checked in ten seconds, and dated only when it wrote', () => {
  const delivered = (written: boolean) =>
    recorded(
      { sinks: [sink({ writing, writtenAt: 5, failure: { failure: failed('sink_no_space'), count: 2 } })] },
      { type: 'delivered', sink: '/vault/token', attempt: 7, written },
    ).sinks[0];
  assert.deepEqual(delivered(true), sink({ holds: holding, writtenAt: NOW, checkAt: NOW + 10 * SECOND }));
  assert.equal(delivered(false)?.writtenAt, 5);
});

test('an exchange has started once a token is in every sink, and stays so', () => {
  const started = (changes: Partial<State>) => recorded(changes, WOKE).started;
  const [full, empty] = [sink({ holds: holding }), sink({ id: 'other' })];
  assert.equal(started({ token: token(), sinks: [full] }), true);
  assert.equal(started({ token: token(), sinks: [full, empty] }), false);
  assert.equal(started({ sinks: [full] }), false);
  assert.equal(started({ started: true, sinks: [empty] }), true);
});

test('a retry ends the backoff of what a retry can help', () => {
  const failure = { failure: failed('sink_no_space'), count: 2 };
  const refused = { ...streak(2, NOW + HOUR), failure: failed('jwt_expired') };
  const before = {
    ...reading({ nextAt: NOW + MINUTE }),
    loginStreak: streak(2, NOW + HOUR),
    renewalStreak: streak(2, NOW + HOUR),
    sinks: [sink({ failure, checkAt: NOW + MINUTE }), sink({ id: 'fine', checkAt: NOW + MINUTE })],
  };
  const after = recorded(before, { type: 'retry-requested' });
  assert.deepEqual([after.loginStreak, after.renewalStreak], [undefined, undefined]);
  assert.deepEqual(
    after.sinks.map(({ checkAt }) => checkAt),
    [NOW, NOW + MINUTE],
  );
  assert.equal(after.reading.nextAt, NOW + MINUTE, 'a reading that works keeps its plan');
  const unreadable = { failure: failed('jwt_missing'), since: NOW, count: 9 };
  const retried = (nextAt: number) =>
    recorded(reading({ failure: unreadable, nextAt }), { type: 'retry-requested' }).reading.nextAt;
  assert.deepEqual([retried(NOW + MINUTE), retried(NOW - 5)], [NOW, NOW - 5]);
  assert.deepEqual(recorded({ loginStreak: refused }, { type: 'retry-requested' }).loginStreak, refused);
  assert.equal(after.refreshRequestedAt, undefined);
});

test('a refresh wants a login, ends backoffs, and does not wait for the start turn', () => {
  const refreshed = (startsAt: number) =>
    recorded({ startsAt, renewalStreak: streak(2) }, { type: 'refresh-requested' });
  const { refreshRequestedAt, renewalStreak, startsAt } = refreshed(NOW + MINUTE);
  assert.deepEqual([refreshRequestedAt, renewalStreak, startsAt], [NOW, undefined, NOW]);
  assert.equal(refreshed(NOW - MINUTE).startsAt, NOW - MINUTE);
});

test('a stop begins once; a withdrawal counts only during a stop', () => {
  const stop = { type: 'stop-requested' } as const;
  assert.deepEqual(recorded({}, stop).stopping, { since: NOW, withdrawal: 'due', revocation: undefined });
  const running = stopping({ since: NOW - 500, withdrawal: 'running' });
  assert.deepEqual(recorded({ stopping: running }, stop).stopping, running);
  assert.equal(recorded({ stopping: running }, { type: 'withdrawn' }).stopping?.withdrawal, 'done');
  assert.equal(recorded({}, { type: 'withdrawn' }).stopping, undefined);
});

test('a clock set by more than five seconds brings the renewal of a renewable token forward, once', () => {
  const jumped = (ms: number, held = token(), clockOffsetMs = 0) =>
    recorded({ token: held, clockOffsetMs }, WOKE, { wall: NOW + ms });
  for (const ms of [5001, -5001])
    assert.deepEqual([jumped(ms).token?.renewAt, jumped(ms).clockOffsetMs], [NOW, ms], `${ms} ms`);
  for (const ms of [5000, -5000])
    assert.deepEqual([jumped(ms).token?.renewAt, jumped(ms).clockOffsetMs], [token().renewAt, 0], `${ms} ms`);
  assert.equal(jumped(5001, token(), 5001).token?.renewAt, token().renewAt);
  assert.equal(jumped(5001, token({ renewAt: NOW - 1 })).token?.renewAt, NOW - 1);
  assert.equal(jumped(5001, token({ renewable: false })).token?.renewAt, token().renewAt);
});

test("an earlier process's login counts as a login of this one by its age", () => {
  const level = (ageMs: number) => recorded({}, { type: 'last-login-found', ageMs }).logins.level;
  assert.deepEqual([level(0), level(5000), level(Number.POSITIVE_INFINITY)], [0, 1, 2]);
});

test('a result of a call that is not in flight changes nothing, and its token is kept for a revoking stop', () => {
  const loggedIn = (attempt: number) => ({ type: 'logged-in', attempt, grant: grant() }) as const;
  for (const before of [{}, call('renew'), call('login', { attempt: 8 })]) {
    const after = recorded(before, loggedIn(7));
    assert.deepEqual([after.token, secretsOf(after)], [undefined, ['hvs.granted-token']]);
    assert.equal(after.replaced[0]?.expiresAt, NOW + HOUR);
    assert.deepEqual(after.call, stateOf(before).call);
  }
  const held = { token: token() };
  for (const before of [held, { ...held, ...call('login') }, { ...held, ...call('renew', { attempt: 8 }) }])
    for (const event of [
      { type: 'renewed', attempt: 7, grant: grant() },
      { type: 'renewal-failed', attempt: 7, failure: failed('renewal_denied') },
    ] as const)
      assert.deepEqual(recorded(before, event), stateOf(before));
  const renewing = call('renew');
  const late = { type: 'login-failed', attempt: 7, failure: failed('role_missing') } as const;
  assert.deepEqual(recorded(renewing, late), stateOf(renewing));
});

test('the token of a login that an earlier config started is kept for a revoking stop, unless it is a batch token', () => {
  const origin = { address: 'http://earlier', namespace: undefined };
  const late = (type: string) => recorded({}, { type: 'late-grant', origin, grant: grant({ type }) });
  assert.deepEqual(late('service').replaced, [
    { secret: grant().secret, accessor: 'a', origin, expiresAt: NOW + HOUR },
  ]);
  assert.deepEqual(late('batch').replaced, []);
});

test('fifty replaced tokens are remembered, the newest, without expired ones and without the same one twice', () => {
  const origin = { address: 'http://vault', namespace: undefined };
  const one = (name: string, expiresAt = NOW + HOUR) => ({
    secret: new Secret(name),
    accessor: 'a',
    origin,
    expiresAt,
  });
  const after = (replaced: State['replaced']) =>
    secretsOf(recorded({ replaced }, { type: 'late-grant', origin, grant: grant() }));
  assert.deepEqual(after([one('expired', NOW), one('live', NOW + 1), one('hvs.granted-token')]), [
    'hvs.granted-token',
    'live',
  ]);
  const many = Array.from({ length: 50 }, (_, index) => one(`token ${index}`));
  assert.deepEqual([after(many).length, after(many).at(-1)], [50, 'token 48']);
});

test('a revocation takes the token out of what is still to be revoked', () => {
  const origin = { address: 'http://vault', namespace: undefined };
  const other = { secret: new Secret('hvs.other'), accessor: 'a', origin, expiresAt: NOW + HOUR };
  const revoked = (secret: Secret, attempt = 7) =>
    recorded(
      { token: token(), replaced: [other], stopping: stopping({ revocation: { attempt: 7, secret } }) },
      { type: 'revoked', attempt },
    );
  const own = revoked(token().secret);
  assert.deepEqual([own.token, secretsOf(own), own.stopping?.revocation], [undefined, ['hvs.other'], undefined]);
  const replaced = revoked(other.secret);
  assert.deepEqual([replaced.token?.generation, secretsOf(replaced)], [1, []]);
  const stale = revoked(other.secret, 6);
  assert.deepEqual([secretsOf(stale), stale.stopping?.revocation?.attempt], [['hvs.other'], 7]);
  assert.deepEqual(recorded({}, { type: 'revoked', attempt: 7 }), stateOf());
});

test('a revocation while the exchange runs takes the token away, and a failed one is retried', () => {
  const origin = { address: 'http://vault', namespace: undefined };
  const one = (name: string, retryAt?: number) => ({
    ...{ secret: new Secret(name), accessor: 'a', origin, expiresAt: NOW + HOUR },
    ...(retryAt === undefined ? {} : { retryAt }),
  });
  const [this_, other, failedBefore] = [one('hvs.this'), one('hvs.other'), one('hvs.failed', NOW + MINUTE)];
  const ends = (replaced: State['replaced'], code?: ErrorCode) =>
    recorded(
      { ...call('revoke', { revokes: this_.secret }), replaced, revocationStreak: streak(2) },
      code === undefined
        ? { type: 'revoked', attempt: 7 }
        : { type: 'revocation-failed', attempt: 7, failure: failed(code) },
    );
  for (const code of [undefined, 'revocation_denied'] as const) {
    const after = ends([this_, other], code);
    assert.deepEqual([secretsOf(after), after.revocationStreak, after.call], [['hvs.other'], undefined, undefined]);
    assert.equal(after.budget.level, code === undefined ? 10 : 9);
  }
  assert.equal(ends([this_, failedBefore]).revocationStreak?.count, 2, 'the other token waits for its retry');
  const sealed = ends([this_, other], 'vault_sealed');
  assert.deepEqual([secretsOf(sealed), sealed.revocationStreak?.count], [['hvs.this', 'hvs.other'], 3]);
  const retries = sealed.replaced.map(({ retryAt }) => retryAt);
  assert.deepEqual(retries, [sealed.revocationStreak?.retryAt, undefined]);
});

test('the lease of a login counts from the moment of asking', () => {
  const askedAt = NOW - 10 * SECOND;
  const { token: held, generation } = recorded(
    { ...call('login', { startedAt: askedAt, jwtSerial: 4 }), generation: 5, deniedRenewals: 1 },
    { type: 'logged-in', attempt: 7, grant: grant() },
  );
  assert.deepEqual(held, {
    ...grant(),
    grantedRenewable: true,
    revision: 1,
    grantedAt: askedAt,
    expiresAt: askedAt + HOUR,
    renewAt: askedAt + 26.25 * MINUTE,
    loginAt: askedAt + 51 * MINUTE,
    generation: 6,
    jwtSerial: 4,
    origin: { address: POLICY.settings.vault.address, namespace: undefined },
    place: { vault_address: POLICY.settings.vault.address, namespace: null, mount: 'jwt', role: 'app' },
    fromEarlierConfig: false,
    issuedAt: NOW,
    firstLeaseMs: HOUR,
    renewed: false,
  });
  assert.equal(generation, 6);
});

test('a login replaces the token before it; the same token again keeps its generation', () => {
  const login = (secret: Secret, changes: Partial<State> = {}) =>
    recorded(
      { ...call('login'), token: token(), generation: 1, loginStreak: streak(2), renewalStreak: streak(2), ...changes },
      { type: 'logged-in', attempt: 7, grant: grant({ secret }) },
    );
  const other = login(grant().secret);
  assert.deepEqual([other.generation, other.token?.revision, secretsOf(other)], [2, 2, ['hvs.decided-token']]);
  assert.deepEqual([other.loginStreak, other.renewalStreak, other.call], [undefined, undefined, undefined]);
  const same = login(token().secret);
  assert.deepEqual([same.generation, same.token?.generation, same.token?.revision, secretsOf(same)], [1, 1, 2, []]);
});

test('after two policies that lack renew-self the next token is planned to be replaced, not renewed', () => {
  const login = (deniedRenewals: number) =>
    recorded({ ...call('login'), deniedRenewals }, { type: 'logged-in', attempt: 7, grant: grant() }).token;
  assert.deepEqual([login(1)?.renewable, login(1)?.renewAt], [true, NOW + 26.25 * MINUTE]);
  assert.deepEqual([login(2)?.renewable, login(2)?.renewAt], [false, NOW + 26.25 * MINUTE]);
});

test('a refresh requested after a login started needs a login of its own', () => {
  const left = (refreshRequestedAt: number) =>
    recorded({ ...call('login'), refreshRequestedAt }, { type: 'logged-in', attempt: 7, grant: grant() })
      .refreshRequestedAt;
  assert.deepEqual([left(NOW - 1), left(NOW), left(NOW + 1)], [undefined, undefined, NOW + 1]);
});

test('an answer that took longer than its lease does not replace a live token', () => {
  const answered = (now: number, changes: Partial<State> = { token: token() }) =>
    recorded(
      { ...call('login'), ...changes },
      { type: 'logged-in', attempt: 7, grant: grant({ leaseMs: 5 * SECOND }) },
      at(now),
    );
  const dead = answered(NOW + 5000);
  assert.deepEqual(
    [dead.token?.secret.reveal(), dead.loginStreak?.failure.code],
    ['hvs.decided-token', 'vault_timeout'],
  );
  assert.equal(answered(NOW + 4999).token?.secret.reveal(), 'hvs.granted-token');
  assert.equal(answered(NOW + 5000, {}).token?.secret.reveal(), 'hvs.granted-token');
  const expired = { token: token({ expiresAt: NOW + 5000 }) };
  assert.equal(answered(NOW + 5000, expired).token?.secret.reveal(), 'hvs.granted-token');
});

test('a failed login is counted, costs the budget, and is retried later', () => {
  const failing = (failure: Failure, changes: Partial<State> = {}) =>
    recorded({ ...call('login'), ...changes }, { type: 'login-failed', attempt: 7, failure });
  const first = failing(failed('vault_unreachable'));
  assert.deepEqual(first.loginStreak, {
    failure: failed('vault_unreachable'),
    since: NOW,
    count: 1,
    retryAt: NOW + 750,
  });
  assert.deepEqual([first.budget.level, first.logins.level, first.call], [9, 2, undefined]);
  const third = failing(failed('vault_unreachable'), { loginStreak: { ...streak(2), since: NOW - MINUTE } });
  assert.deepEqual([third.loginStreak?.count, third.loginStreak?.since], [3, NOW - MINUTE]);
  assert.equal(failing(failed('vault_timeout')).budget.level, 8);
  const behind = failing(failed('vault_behind'), { logins: { level: 0, at: NOW } });
  assert.equal(behind.logins.level, 1, 'a login that a lagging node did not make is given back');
});

test('a token in hand makes retries more frequent the sooner it expires', () => {
  const delay = (changes: Partial<State>) =>
    (recorded(
      { ...call('login'), loginStreak: streak(20), ...changes },
      { type: 'login-failed', attempt: 7, failure: failed('vault_unreachable') },
    ).loginStreak?.retryAt ?? 0) - NOW;
  const left = (ms: number) => delay({ token: token({ expiresAt: NOW + ms }) });
  assert.deepEqual([delay({}), left(HOUR), left(100 * SECOND), left(0)], [45_000, 45_000, 7500, 45_000]);
  assert.equal(left(1), 1500);
});

test('a JWT of the future is sent again when Vault will take it, by nbf, else by iat', () => {
  const delay = (claims: Record<string, unknown>) =>
    (recorded(
      { ...call('login'), jwt: jwt(1, claims) },
      { type: 'login-failed', attempt: 7, failure: failed('jwt_not_yet_valid') },
    ).loginStreak?.retryAt ?? 0) - NOW;
  const inTwoMinutes = NOW / 1000 + 120;
  assert.deepEqual([delay({ nbf: inTwoMinutes, iat: 1_790_000_000 }), delay({ iat: inTwoMinutes })], [61_000, 61_000]);
  assert.equal(delay({}), 5000);
});

test('a refusal of a JWT that a newer one has replaced says nothing about the newer one', () => {
  const refused = (code: ErrorCode, jwtSerial: number, changes: Partial<State> = {}) =>
    recorded(
      { ...call('login', { jwtSerial }), jwt: jwt(2), ...changes },
      { type: 'login-failed', attempt: 7, failure: failed(code) },
    ).loginStreak?.count;
  assert.equal(refused('audience_mismatch', 1), undefined);
  assert.equal(refused('audience_mismatch', 2), 1);
  assert.equal(refused('vault_unreachable', 1), 1);
  assert.equal(refused('audience_mismatch', 1, { jwt: undefined }), 1);
});

test('a renewal extends the lease, and ends the failures of both calls', () => {
  const renewed = (changes: Partial<State>, leaseMs = HOUR, settings: Partial<ExchangeSettings> = {}) =>
    recorded(
      {
        ...call('renew'),
        token: token(),
        deniedRenewals: 1,
        renewalStreak: streak(2),
        loginStreak: streak(2),
        ...changes,
      },
      { type: 'renewed', attempt: 7, grant: grant({ secret: token().secret, leaseMs }) },
      {},
      settings,
    );
  const after = renewed({});
  assert.deepEqual(
    [after.token?.renewed, after.token?.revision, after.token?.expiresAt, after.token?.renewable],
    [true, 2, NOW + HOUR, true],
  );
  assert.deepEqual(
    [after.deniedRenewals, after.renewalStreak, after.loginStreak, after.call],
    [0, undefined, undefined, undefined],
  );
  const newJwt = { jwt: jwt(2) };
  assert.equal(renewed(newJwt).loginStreak?.count, 2, 'a login with the new JWT is still wanted');
  assert.equal(renewed(newJwt, HOUR, { onNewJwt: 'when-needed' }).loginStreak, undefined);
  assert.equal(renewed({ refreshRequestedAt: NOW }).loginStreak?.count, 2);
});

test('a renewal that grants less than the login did makes a login due at once, with the backoff of failed logins', () => {
  const renewed = (leaseMs: number) =>
    recorded(
      { ...call('renew', { startedAt: NOW - SECOND }), token: token(), loginStreak: streak(2) },
      { type: 'renewed', attempt: 7, grant: grant({ secret: token().secret, leaseMs }) },
    );
  const plan = (leaseMs: number) => [renewed(leaseMs).token?.loginAt, renewed(leaseMs).token?.renewable];
  assert.deepEqual(plan(HOUR), [NOW - SECOND + 51 * MINUTE, true]);
  assert.deepEqual(plan(2 * HOUR), [NOW - SECOND + 102 * MINUTE, true]);
  assert.deepEqual(plan(HOUR - SECOND), [NOW, true], 'the role may have a shorter TTL now: renewals go on');
  assert.deepEqual(plan(HOUR / 2), [NOW, true]);
  assert.deepEqual(plan(HOUR / 2 - 1), [NOW, false], 'near its maximum TTL only a login helps');
  assert.deepEqual([renewed(HOUR).loginStreak, renewed(HOUR - SECOND).loginStreak?.count], [undefined, 2]);
});

test('a renewal of no token changes nothing', () =>
  assert.equal(recorded(call('renew'), { type: 'renewed', attempt: 7, grant: grant() }).token, undefined));

test('a renewal that is denied for good makes the token unrenewable, and a login due', () => {
  const denied = (code: ErrorCode, changes: Partial<State> = {}) =>
    recorded(
      { ...call('renew'), token: token({ grantedAt: NOW - MINUTE }), ...changes },
      { type: 'renewal-failed', attempt: 7, failure: failed(code) },
    );
  const first = denied('renewal_denied');
  assert.deepEqual([first.token?.renewable, first.token?.renewAt, first.deniedRenewals], [false, NOW, 1]);
  assert.deepEqual([first.renewalStreak?.count, first.budget.level], [1, 9]);
  const second = denied('renewal_denied', { deniedRenewals: 1 });
  assert.deepEqual([second.token?.renewAt, second.deniedRenewals], [NOW, 2], 'the policy, not the token');
  const renewedBefore = denied('renewal_denied', {
    deniedRenewals: 1,
    token: token({ grantedAt: NOW - MINUTE, renewed: true }),
  });
  assert.deepEqual([renewedBefore.token?.renewAt, renewedBefore.deniedRenewals], [NOW, 0]);
  assert.equal(denied('role_deleted', { deniedRenewals: 1 }).deniedRenewals, 0);
  const down = denied('vault_unreachable', { deniedRenewals: 1 });
  assert.deepEqual([down.token?.renewable, down.renewalStreak?.count, down.deniedRenewals], [true, 1, 1]);
  assert.equal(denied('renewal_denied', { token: undefined }).renewalStreak?.count, 1);
});

test('the first denial of a token younger than five seconds may come from a node that has not seen it yet', () => {
  const renewable = (ageMs: number, code: ErrorCode = 'renewal_denied', changes: Partial<State> = {}) =>
    recorded(
      { ...call('renew'), token: token({ grantedAt: NOW - ageMs }), ...changes },
      { type: 'renewal-failed', attempt: 7, failure: failed(code) },
    ).token?.renewable;
  assert.deepEqual([renewable(4999), renewable(5000)], [true, false]);
  assert.equal(renewable(0, 'role_deleted'), false);
  assert.equal(renewable(0, 'renewal_denied', { renewalStreak: streak(1) }), false);
});

test('an exchange that goes on under a new config keeps its token at the same Vault and role, else until its first login', () => {
  const inherit = (next: Partial<ExchangeSettings>, state: Partial<State> = {}) =>
    initialState(
      policyOf(next),
      { ...MOMENT, now: NOW + MINUTE },
      {
        inherited: { settings: settingsOf(), state: stateOf({ token: token({ jwtSerial: 3 }), ...state }) },
      },
    );
  const same = inherit({ onStop: 'revoke' });
  assert.deepEqual([same.token, same.jwt?.serial], [token({ jwtSerial: 3 }), 1]);
  const elsewhere = inherit({ login: { mount: 'jwt', role: 'other' } });
  assert.deepEqual(
    elsewhere.token,
    token({ fromEarlierConfig: true, renewable: false, jwtSerial: 0, renewAt: NOW + MINUTE }),
  );
  const otherSource = inherit({ source: { kind: 'env', name: 'JWT' } });
  assert.deepEqual([otherSource.token, otherSource.jwt], [token({ jwtSerial: 0 }), undefined]);
  assert.equal(inherit({ expect: { issuer: 'x' } }).jwt, undefined);
  for (const next of [{}, { login: { mount: 'jwt', role: 'other' } }])
    assert.equal(inherit(next, { token: undefined }).token, undefined);
  assert.equal(inherit({}, { generation: 9, lastCallAt: NOW - 5 }).generation, 9);
  assert.equal(inherit({}, { lastCallAt: NOW - 5 }).lastCallAt, NOW - 5);
  assert.deepEqual(inherit({}, { budget: { level: 3, at: NOW } }).budget, { level: 5, at: NOW + MINUTE });
  const replaced = ['hvs.one', 'hvs.two'].map((text) => ({ ...token(), secret: new Secret(text) }));
  assert.deepEqual(inherit({}, { replaced }).replaced, replaced);
  const revoking = call('revoke', { revokes: new Secret('hvs.one') });
  assert.deepEqual(secretsOf(inherit({}, { replaced, ...revoking })), ['hvs.two'], 'its revocation is under way');
  assert.deepEqual(inherit({}, { logins: { level: 0, at: NOW + 55 * SECOND } }).logins.level, 1);
});

test('a reload goes on looking for the token of an earlier process, and keeps the plan of checks', () => {
  const inherit = (next: Partial<ExchangeSettings>, state: Partial<State>) =>
    initialState(policyOf(next), MOMENT, { inherited: { settings: settingsOf(), state: stateOf(state) } });
  const reuse = { onStart: 'reuse' } as const;
  const found = { soughtAt: NOW - SECOND, secret: new Secret('hvs.earlier') };
  const fromStart = { soughtAt: undefined, secret: undefined };
  assert.deepEqual(inherit(reuse, { earlier: found }).earlier, fromStart);
  assert.equal(inherit(reuse, {}).earlier, undefined, 'it was rejected before the reload');
  assert.equal(inherit({}, { earlier: found }).earlier, undefined);
  const checkAt = (planned: number, checkIntervalMs: number, changes: Partial<State> = { token: token() }) =>
    inherit({ checkIntervalMs }, { checkAt: planned, ...changes }).checkAt - NOW;
  const never = Number.POSITIVE_INFINITY;
  assert.equal(checkAt(never, MINUTE), MINUTE / 2, 'the reload has turned the checks on');
  assert.equal(checkAt(NOW + 7, MINUTE), 7);
  assert.equal(checkAt(NOW + 7, 0), never, 'the reload has turned the checks off');
  assert.equal(checkAt(NOW + 7, MINUTE, {}), never, 'without a token');
});

test('each sink that goes on under a new config keeps what it holds, unless its format or mode changed', () => {
  const setting = (path: string, mode = 0o640) => ({ kind: 'file', path, mode, format: 'raw' }) as const;
  const sinkStates = (next: Partial<ExchangeSettings>) =>
    initialState({ settings: { ...settingsOf(), ...next }, sinks: next.sinks?.map(({ path }) => path) ?? [] }, MOMENT, {
      inherited: {
        settings: { ...settingsOf(), sinks: [setting('/one'), setting('/two', 0o600)] },
        state: stateOf({
          sinks: [
            sink({ id: '/one', holds: holding, writtenAt: 1, checkAt: NOW + HOUR, writing }),
            sink({ id: '/two', holds: { ...holding, revision: 2 }, writtenAt: 2 }),
          ],
        }),
      },
    }).sinks;
  assert.deepEqual(sinkStates({ sinks: [setting('/one'), setting('/two'), setting('/new')] }), [
    sink({ id: '/one', holds: holding, writtenAt: 1 }),
    sink({ id: '/two', writtenAt: 2 }),
    sink({ id: '/new' }),
  ]);
});
