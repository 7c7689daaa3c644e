// What is due at one moment, and when to look again: one state at a time, without a story around it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, isStopped, nextCall } from '../../src/core/decide.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Effect, HeldToken, SinkState, State } from '../../src/core/state.ts';
import type { Operation } from '../../src/core/vault-protocol.ts';
import {
  HOUR,
  holding,
  jwt,
  MINUTE,
  MOMENT,
  NOW,
  policyOf,
  SECOND,
  sink,
  stateOf,
  stopping,
  streak,
  token,
} from '../support/states.ts';
import { settingsOf } from '../support/world.ts';

const next = (changes: Partial<State>, settings: Partial<ExchangeSettings> = {}, now = NOW) =>
  nextCall(policyOf(settings), stateOf(changes), now);
const decided = (changes: Partial<State>, settings: Partial<ExchangeSettings> = {}) =>
  decide(policyOf(settings), stateOf(changes), MOMENT);
const types = (effects: readonly Effect[]) => effects.map(({ type }) => type);

test('without a JWT and a token no call is possible', () => {
  assert.equal(next({ jwt: undefined }), undefined);
  assert.deepEqual(next({ jwt: undefined, token: token() }), { operation: 'renew', at: NOW + 40 * MINUTE });
  assert.deepEqual(next({}), { operation: 'login', at: NOW });
});

test('an expired token is not renewed, nor one that expires before its renewal', () => {
  assert.equal(next({ jwt: undefined, token: token({ renewAt: NOW - 1, expiresAt: NOW }) }), undefined);
  assert.equal(next({ jwt: undefined, token: token({ renewAt: NOW, expiresAt: NOW }) }, {}, NOW - 1), undefined);
  assert.equal(next({ jwt: undefined, token: token({ renewable: false }) }), undefined);
  assert.deepEqual(next({ jwt: undefined, token: token(), renewalStreak: streak(1, NOW + 45 * MINUTE) }), {
    operation: 'renew',
    at: NOW + 45 * MINUTE,
  });
  assert.equal(next({ jwt: undefined, token: token(), renewalStreak: streak(1, NOW + HOUR) }), undefined);
});

test('a login is planned at 85 % of a renewable lease, at the renewal of another one, and at the expiry at the latest', () => {
  const planned = (changes: Partial<HeldToken>) => next({ token: token({ renewAt: NOW + HOUR, ...changes }) });
  assert.deepEqual(planned({}), { operation: 'login', at: NOW + 51 * MINUTE });
  assert.deepEqual(planned({ renewable: false, renewAt: NOW + 30 * MINUTE }), {
    operation: 'login',
    at: NOW + 30 * MINUTE,
  });
  assert.deepEqual(planned({ loginAt: NOW + 2 * HOUR }), { operation: 'login', at: NOW + HOUR });
  for (const renewable of [true, false])
    assert.deepEqual(planned({ renewable, loginAt: NOW }), { operation: 'login', at: NOW }, 'a capped lease');
});

test('a new JWT is a reason to log in, unless on_new_jwt is "when-needed"', () => {
  const changes = { jwt: jwt(2), token: token() };
  assert.deepEqual(next(changes), { operation: 'login', at: NOW });
  assert.equal(next(changes, { onNewJwt: 'when-needed' })?.operation, 'renew');
  assert.deepEqual(next({ token: token(), refreshRequestedAt: NOW }, { onNewJwt: 'when-needed' }), {
    operation: 'login',
    at: NOW,
  });
});

test('two renewals in a row that Vault answers with 500 are a reason to try one login', () => {
  const failed = (count: number, changes: Partial<State> = {}) =>
    next({
      token: token(),
      renewalStreak: { ...streak(count, NOW + MINUTE), failure: { code: 'vault_unavailable' } },
      ...changes,
    });
  assert.equal(failed(1)?.operation, 'renew');
  assert.deepEqual(failed(2), { operation: 'login', at: NOW });
  assert.equal(failed(2, { loginStreak: streak(1) })?.operation, 'renew');
  assert.equal(next({ token: token(), renewalStreak: streak(2, NOW + MINUTE) })?.operation, 'renew');
});

test('a call waits for its backoff, the gap of a second, and the budgets of logins and failures', () => {
  assert.equal(next({ loginStreak: streak(1, NOW + 7 * SECOND) })?.at, NOW + 7 * SECOND);
  assert.equal(next({ lastCallAt: NOW - 200 })?.at, NOW + 800);
  assert.equal(next({ logins: { level: 0, at: NOW } })?.at, NOW + 5 * SECOND);
  assert.equal(next({ budget: { level: 0, at: NOW } })?.at, NOW + 30 * SECOND);
});

test('failing calls leave budget for the working ones', () => {
  const budget = { level: 2, at: NOW };
  const inHalfAMinute = NOW + 30 * SECOND;
  assert.equal(next({ budget })?.at, NOW, 'a login without a token has all of it');
  const refreshing = { token: token({ renewAt: NOW + MINUTE }), refreshRequestedAt: NOW, budget };
  assert.deepEqual(next(refreshing), { operation: 'login', at: inHalfAMinute });
  assert.deepEqual(next({ ...refreshing, renewalStreak: streak(1, NOW + MINUTE) }), { operation: 'login', at: NOW });
  const renewing = { token: token({ renewAt: NOW }), renewalStreak: streak(1), budget };
  assert.deepEqual(next(renewing), { operation: 'renew', at: inHalfAMinute });
  assert.deepEqual(next({ ...renewing, jwt: undefined }), { operation: 'renew', at: NOW });
  assert.deepEqual(next({ ...renewing, loginStreak: streak(1, NOW + MINUTE) }), { operation: 'renew', at: NOW });
});

test('of two calls that wait for the same turn, the one that failed less often goes first, then the one wanted earlier', () => {
  const inTurn = (loginAt: number, renewAt: number, failures: Partial<State> = {}) =>
    next({
      token: token({ renewAt }),
      logins: { level: 2, at: loginAt },
      refreshRequestedAt: NOW,
      lastCallAt: NOW + MINUTE,
      ...failures,
    })?.operation;
  assert.equal(inTurn(NOW + 1, NOW + 2), 'login');
  assert.equal(inTurn(NOW + 2, NOW + 1), 'renew');
  assert.equal(inTurn(NOW + 1, NOW + 1), 'login');
  const failed = (logins: number, renewals: number) => ({
    loginStreak: streak(logins),
    renewalStreak: streak(renewals),
  });
  assert.equal(inTurn(NOW + 1, NOW + 2, failed(2, 1)), 'renew');
  assert.equal(inTurn(NOW + 2, NOW + 1, failed(1, 2)), 'login');
  assert.equal(inTurn(NOW + 2, NOW + 1, failed(1, 1)), 'renew');
});

test('a stop that keeps the token waits for writes alone, one that revokes for the withdrawal, revocations and a login', () => {
  const stopped = (changes: Partial<State>, onStop: 'keep' | 'revoke', now = NOW) =>
    isStopped(policyOf({ onStop }), stateOf({ stopping: stopping(), sinks: [sink()], ...changes }), now);
  assert.equal(stopped({ stopping: undefined }, 'keep', NOW + HOUR), false);
  const writing = { ...holding, attempt: 1, startedAt: NOW };
  const hanging = { sinks: [sink({ writing })] };
  assert.deepEqual(
    [stopped(hanging, 'keep'), stopped({ stopping: stopping({ withdrawal: 'due' }) }, 'keep')],
    [false, true],
  );
  assert.deepEqual([stopped(hanging, 'keep', NOW + 999), stopped(hanging, 'keep', NOW + 1000)], [false, true]);
  assert.equal(stopped({}, 'revoke'), true);
  assert.equal(stopped({ stopping: stopping({ withdrawal: 'running' }) }, 'revoke'), false);
  assert.equal(stopped({ token: token() }, 'revoke'), false);
  assert.equal(stopped({ token: token({ type: 'batch' }) }, 'revoke'), true, 'a batch token cannot be revoked');
  assert.equal(stopped({ token: token({ expiresAt: NOW }) }, 'revoke'), true);
  const revocation = { attempt: 1, secret: new Secret('hvs.being-revoked') };
  assert.equal(stopped({ stopping: stopping({ revocation }) }, 'revoke'), false);
  const during = (operation: Operation, earlier?: State['earlier']) =>
    stopped(
      { call: { operation, attempt: 1, startedAt: NOW, timeoutMs: 15 * SECOND, jwtSerial: 1 }, earlier },
      'revoke',
    );
  const earlier = { soughtAt: NOW, secret: new Secret('hvs.earlier') };
  assert.deepEqual([during('login'), during('revoke')], [false, false]);
  assert.equal(during('lookup', earlier), false, 'the lookup may grant a token that must be revoked');
  assert.deepEqual([during('lookup'), during('renew', earlier), stopped({ earlier }, 'revoke')], [true, true, true]);
});

test('nothing starts before its turn, and the exchange wakes then', () => {
  const { effects, wakeAt } = decided({ startsAt: NOW + 5 * SECOND, honoursLastLogin: true });
  assert.deepEqual([effects, wakeAt], [[], NOW + 5 * SECOND]);
  assert.deepEqual(types(decided({ startsAt: NOW }).effects), ['log-in']);
});

test('the token of an earlier process is looked for once, and for two seconds', () => {
  const seeking = (soughtAt: number | undefined) => decided({ earlier: { soughtAt, secret: undefined } });
  const first = seeking(undefined);
  assert.deepEqual(types(first.effects), ['find-token']);
  assert.deepEqual([first.state.earlier?.soughtAt, first.wakeAt], [NOW, NOW + 2 * SECOND]);
  const second = seeking(NOW - 1500);
  assert.deepEqual([types(second.effects), second.state.earlier?.soughtAt], [[], NOW - 1500]);
  assert.equal(second.wakeAt, NOW + 500);
});

test('the token of an earlier process is looked up before any login, even with the last of the budget', () => {
  const earlier = { soughtAt: NOW, secret: new Secret('hvs.earlier') };
  assert.deepEqual(next({ earlier, budget: { level: 1, at: NOW } }), { operation: 'lookup', at: NOW });
  assert.deepEqual(next({ earlier, loginStreak: streak(1, NOW + MINUTE) }), { operation: 'lookup', at: NOW + MINUTE });
  assert.equal(next({ earlier: { soughtAt: NOW, secret: undefined } }), undefined);
});

test("an earlier process's login is looked for once", () => {
  const first = decided({ jwt: undefined, honoursLastLogin: true });
  assert.deepEqual([types(first.effects), first.state.honoursLastLogin], [['find-last-login'], false]);
  assert.deepEqual(decided({ jwt: undefined }).effects, []);
});

test('each action gets the next number, and the exchange wakes at its deadline', () => {
  const login = decided({ attempts: 4 });
  assert.deepEqual(
    [login.effects[0], login.wakeAt],
    [{ type: 'log-in', attempt: 5, timeoutMs: 15 * SECOND, jwt: jwt().claims.secret }, NOW + 20 * SECOND],
  );
  const call = { operation: 'login', attempt: 5, startedAt: NOW, timeoutMs: 15 * SECOND, jwtSerial: 1 } as const;
  assert.deepEqual(login.state.call, call);
  assert.equal(login.state.lastCallAt, NOW);
  assert.equal(login.state.logins.level, 1);
  const held = { token: token({ renewAt: NOW, jwtSerial: 3 }), jwt: jwt(3), sinks: [] };
  const renewal = decided(held);
  assert.deepEqual([types(renewal.effects), renewal.wakeAt], [['renew'], NOW + 20 * SECOND]);
  assert.equal(renewal.state.call?.jwtSerial, 3);
  const reading = { ...stateOf().reading, nextAt: NOW };
  const read = decided({ jwt: undefined, reading });
  assert.deepEqual([types(read.effects), read.wakeAt], [['read-jwt'], NOW + 15 * SECOND]);
});

test('starts nothing twice that is in flight, and wakes at its deadline', () => {
  const call = { operation: 'login', attempt: 1, startedAt: NOW - 5 * SECOND, timeoutMs: 6000, jwtSerial: 1 } as const;
  const calling = decided({ call });
  assert.deepEqual([calling.effects, calling.wakeAt], [[], NOW + 3 * SECOND]);
  const inFlight = { attempt: 1, startedAt: NOW - SECOND };
  const reading = decided({ jwt: undefined, reading: { ...stateOf().reading, nextAt: NOW, inFlight } });
  assert.deepEqual([reading.effects, reading.wakeAt], [[], NOW + 14 * SECOND]);
  const writing = { ...holding, attempt: 1, startedAt: NOW - SECOND };
  const delivering = decided({ token: token(), sinks: [sink({ writing })] });
  assert.deepEqual([delivering.effects, delivering.wakeAt], [[], NOW + 29 * SECOND]);
});

test('wakes when an overdue action has waited for its result', () => {
  const call = { operation: 'login', attempt: 1, startedAt: NOW - HOUR, timeoutMs: 6000, jwtSerial: 1 } as const;
  assert.equal(decided({ call, overdueUntil: NOW + 500 }).wakeAt, NOW + 500);
});

test('a login waits for a look at the JWT, unless one ended within a second or hangs', () => {
  const before = (changes: Partial<State['reading']>, settings: Partial<ExchangeSettings> = {}) =>
    types(decided({ reading: { ...stateOf().reading, ...changes } }, settings).effects);
  assert.deepEqual(before({ endedAt: NOW - 999 }), ['log-in']);
  assert.deepEqual(before({ endedAt: NOW - 1000 }), ['read-jwt']);
  const inFlight = { attempt: 1, startedAt: NOW };
  assert.deepEqual(before({ inFlight }), []);
  const stuck = { failure: { code: 'jwt_read_stuck' as const }, since: NOW, count: 1 };
  assert.deepEqual(before({ endedAt: 0, failure: stuck }), ['log-in']);
  const { vault } = settingsOf();
  const source = { kind: 'vault-identity', vault, role: 'r', token: { file: '/t' } } as const;
  assert.deepEqual(before({ endedAt: 0 }, { source }), ['log-in'], 'each look at another Vault makes a new JWT');
});

test('a sink gets a live token that it does not hold, again at each check, and after a failure at its retry', () => {
  const delivery = (one: Partial<SinkState>, held: Partial<HeldToken> = {}) =>
    decided({ jwt: undefined, token: token(held), sinks: [sink(one)] });
  assert.deepEqual(types(delivery({}).effects), ['deliver']);
  assert.equal(delivery({}).wakeAt, NOW + 30 * SECOND);
  assert.deepEqual(delivery({}).state.sinks[0]?.writing, { ...holding, attempt: 1, startedAt: NOW });
  assert.deepEqual(delivery({}, { expiresAt: NOW }).effects, []);
  const held = delivery({ holds: holding, checkAt: NOW + SECOND });
  assert.deepEqual([held.effects, held.wakeAt], [[], NOW + SECOND]);
  assert.deepEqual(types(delivery({ holds: holding }).effects), ['deliver'], 'a check');
  assert.deepEqual(types(delivery({ holds: holding, checkAt: NOW + SECOND }, { revision: 2 }).effects), ['deliver']);
  const failure = { failure: { code: 'sink_no_space' as const }, count: 1 };
  assert.deepEqual(delivery({ failure, checkAt: NOW + SECOND }).effects, []);
  assert.deepEqual(types(delivery({ failure }).effects), ['deliver']);
});

test('an undoing stop withdraws only from sinks that the process wrote to or is writing to', () => {
  const writing = { ...holding, attempt: 1, startedAt: NOW };
  const sinks = [
    sink({ id: 'held', holds: holding, writtenAt: NOW }),
    sink({ id: 'begun', writing }),
    sink({ id: 'right already', holds: holding }),
    sink({ id: 'untouched' }),
  ];
  const withdrawn = (onStop: 'revoke' | 'undo', held?: HeldToken) =>
    decided({ stopping: stopping({ withdrawal: 'due' }), sinks, token: held }, { onStop }).effects;
  assert.deepEqual(withdrawn('undo'), [{ type: 'withdraw', sinks: ['held', 'begun'] }]);
  assert.deepEqual(withdrawn('revoke'), [{ type: 'withdraw', sinks: ['held', 'begun', 'right already', 'untouched'] }]);
  assert.deepEqual(withdrawn('undo', token({ takenOver: true })), [{ type: 'withdraw', sinks: [] }]);
});

test('an undoing stop leaves the token of an earlier process alone, and a stop skips one that is being revoked', () => {
  const due = { stopping: stopping({ withdrawal: 'done' }) };
  const earlier = token({ takenOver: true });
  assert.deepEqual(decided({ ...due, token: earlier }, { onStop: 'undo' }).effects, []);
  assert.deepEqual(types(decided({ ...due, token: earlier }, { onStop: 'revoke' }).effects), ['revoke']);
  const call = { operation: 'revoke', attempt: 1, startedAt: NOW, timeoutMs: SECOND, jwtSerial: 0 } as const;
  const inFlight = { ...due, token: earlier, call: { ...call, revokes: earlier.secret } };
  assert.deepEqual(decided(inFlight, { onStop: 'revoke' }).effects, []);
});

test('a stop withdraws once and revokes one token after another, its own first, those of another Vault last', () => {
  const revoke = { onStop: 'revoke' } as const;
  const due = { stopping: stopping({ withdrawal: 'due' }) };
  assert.deepEqual(decided({ ...due, token: token() }).effects, [], 'on_stop "keep"');
  const first = decided({ ...due, token: token() }, revoke);
  assert.deepEqual(types(first.effects), ['withdraw', 'revoke']);
  assert.deepEqual([first.state.stopping?.withdrawal, first.wakeAt], ['running', NOW + SECOND]);
  assert.deepEqual(first.state.stopping?.revocation, { attempt: 1, secret: token().secret });
  assert.deepEqual(decide(policyOf(revoke), first.state, MOMENT).effects, [], 'one at a time');
  assert.deepEqual(decided({ stopping: stopping({ since: NOW - SECOND }), token: token() }, revoke).effects, []);
  const revoked = (changes: Partial<State>) =>
    decided({ stopping: stopping(), ...changes }, revoke).effects.map((effect) =>
      effect.type === 'revoke' ? effect.token.secret.reveal() : effect.type,
    );
  const other = (text: string, address = settingsOf().vault.address, expiresAt = NOW + HOUR) => ({
    secret: new Secret(text),
    accessor: 'a',
    origin: { address, namespace: undefined },
    expiresAt,
  });
  const elsewhere = other('hvs.elsewhere', 'http://other');
  assert.deepEqual(revoked({ replaced: [elsewhere, other('hvs.replaced')] }), ['hvs.replaced']);
  assert.deepEqual(revoked({ replaced: [elsewhere] }), ['hvs.elsewhere']);
  assert.deepEqual(revoked({ token: token(), replaced: [other('hvs.replaced')] }), ['hvs.decided-token']);
  assert.deepEqual(revoked({ token: token({ type: 'batch' }) }), []);
  assert.deepEqual(revoked({ replaced: [other('hvs.expired', undefined, NOW)] }), []);
});
