// What a lookup changes: of the token that an earlier process left, and of the held one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import { record } from '../../src/core/record.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Call, ExchangeEvent, HeldToken, Moment, State } from '../../src/core/state.ts';
import type { TokenLife } from '../../src/core/token-life.ts';
import { jwtText } from '../support/jwt-text.ts';
import {
  grant,
  HOUR,
  jwt,
  MINUTE,
  MOMENT,
  NOW,
  POLICY,
  policyOf,
  SECOND,
  stateOf,
  stopping,
  token,
} from '../support/states.ts';

const CHECKED: Partial<ExchangeSettings> = { checkIntervalMs: MINUTE };
const FOUND = new Secret('hvs.earlier-token');
const CALL: Call = { operation: 'lookup', attempt: 7, startedAt: NOW - SECOND, timeoutMs: 15 * SECOND, jwtSerial: 0 };

const recorded = (changes: Partial<State>, event: ExchangeEvent, moment: Partial<Moment> = {}): State =>
  record(policyOf(CHECKED), stateOf(changes), event, { ...MOMENT, ...moment });
const life = (changes: Partial<TokenLife> = {}): TokenLife => ({
  grant: grant({ secret: FOUND }),
  leftMs: HOUR / 2,
  issuedWall: NOW - HOUR,
  path: 'auth/jwt/login',
  role: 'app',
  displayName: 'jwt-app',
  ...changes,
});
const lookedUp = (changes: Partial<State>, found: Partial<TokenLife> = {}, moment: Partial<Moment> = {}): State =>
  recorded({ call: CALL, ...changes }, { type: 'looked-up', attempt: 7, life: life(found) }, moment);
const denied = (changes: Partial<State>, code: ErrorCode = 'token_rejected'): State =>
  recorded({ call: CALL, ...changes }, { type: 'lookup-failed', attempt: 7, failure: { code } });
const seeking = (secret?: Secret): Pick<State, 'earlier'> => ({ earlier: { soughtAt: NOW, secret } });

test('the first token that the sinks return is the one to look up, and a late one changes nothing', () => {
  const found = (changes: Partial<State>, secret: Secret | undefined = FOUND) =>
    recorded(changes, { type: 'token-found', token: secret }).earlier;
  assert.deepEqual(found(seeking()), { soughtAt: NOW, secret: FOUND });
  assert.deepEqual(found(seeking(FOUND), new Secret('hvs.another')), { soughtAt: NOW, secret: FOUND });
  assert.equal(found({}), undefined);
  assert.equal(recorded(seeking(), { type: 'token-found', token: undefined }).earlier, undefined);
});

test('a sink that has not returned its token after two seconds counts as empty; a token that was found stays', () => {
  const waited = (ms: number, secret?: Secret) =>
    recorded(seeking(secret), { type: 'woke' }, { now: NOW + ms, wall: NOW + ms }).earlier;
  assert.deepEqual(waited(1999), { soughtAt: NOW, secret: undefined });
  assert.equal(waited(2000), undefined);
  assert.deepEqual(waited(HOUR, FOUND), { soughtAt: NOW, secret: FOUND });
});

test('a token that is taken over has the lease that Vault states, counted from the moment of asking', () => {
  const before = { ...seeking(FOUND), generation: 5, clockOffsetMs: 7 * SECOND, jwt: undefined };
  const state = lookedUp(before, {}, { wall: NOW + 7 * SECOND });
  const expiresAt = CALL.startedAt + HOUR / 2;
  assert.deepEqual(state.token, {
    ...grant({ secret: FOUND }),
    grantedRenewable: true,
    generation: 6,
    revision: 1,
    jwtSerial: 0,
    origin: { address: POLICY.settings.vault.address, namespace: undefined },
    place: { vault_address: POLICY.settings.vault.address, namespace: null, mount: 'jwt', role: 'app' },
    fromEarlierConfig: false,
    grantedAt: expiresAt - HOUR,
    issuedAt: NOW - HOUR - 7 * SECOND,
    expiresAt,
    firstLeaseMs: HOUR,
    renewAt: expiresAt - HOUR + 26.25 * MINUTE,
    loginAt: expiresAt - HOUR + 51 * MINUTE,
    renewed: false,
    takenOver: true,
    takenOverFrom: NOW - HOUR,
    confirmed: true,
  });
  assert.deepEqual([state.generation, state.checkAt, state.earlier], [6, NOW + MINUTE / 2, undefined]);
});

test('a token that is taken over is the token of a JWT issued at most five seconds after it', () => {
  const serial = (changes: Record<string, unknown>, issuedWall: number) =>
    lookedUp({ ...seeking(FOUND), jwt: jwt(3, changes) }, { issuedWall }).token?.jwtSerial;
  const iat = NOW / 1000;
  assert.deepEqual([serial({ iat }, NOW - 5000), serial({ iat }, NOW - 5001)], [3, 0]);
  assert.equal(serial({ iat: undefined }, NOW - HOUR), 3, 'a JWT without iat');
});

test('a JWT read later tells whether a token that was taken over is its own; a login has its JWT for good', () => {
  const inFlight = { attempt: 7, startedAt: NOW };
  const serial = (changes: Partial<HeldToken>) =>
    recorded(
      { reading: { ...stateOf().reading, inFlight }, jwt: jwt(4, { jti: 'old' }), token: token(changes) },
      { type: 'jwt-read', attempt: 7, secret: new Secret(jwtText({ iat: undefined })), watched: true },
    ).token?.jwtSerial;
  assert.equal(serial({ takenOverFrom: NOW, jwtSerial: 0 }), 5);
  assert.equal(serial({ jwtSerial: 4 }), 4);
});

test('a denied request leads to one check at random within three seconds, and to none after two denied checks', () => {
  const checkAt = (changes: Partial<State>, { generation = 1, random = 0.5 } = {}) => {
    const after = recorded(
      { token: token(), checkAt: NOW + HOUR, ...changes },
      { type: 'token-suspected', generation },
      { random },
    );
    return [after.checkAt - NOW, after.suspectableAt - NOW];
  };
  assert.deepEqual(checkAt({}, { random: 0 }), [0, 10 * SECOND]);
  assert.deepEqual(checkAt({}), [1.5 * SECOND, 10 * SECOND]);
  assert.deepEqual(checkAt({}, { random: 0.9 }), [2.7 * SECOND, 10 * SECOND]);
  assert.deepEqual(checkAt({ checkAt: NOW + SECOND }), [SECOND, 10 * SECOND], 'a check that is due sooner');
  assert.deepEqual(checkAt({ suspectableAt: NOW }), [1.5 * SECOND, 10 * SECOND]);
  assert.deepEqual(checkAt({ suspectableAt: NOW + 1 }), [HOUR, 1]);
  assert.deepEqual(checkAt({ deniedChecks: 1 }), [1.5 * SECOND, 10 * SECOND]);
  assert.equal(checkAt({ deniedChecks: 2 })[0], HOUR);
  assert.equal(checkAt({}, { generation: 2 })[0], HOUR);
  assert.equal(checkAt({ token: undefined })[0], HOUR);
});

test('a check that finds the token plans the next one, and keeps the lease', () => {
  const state = lookedUp({ token: token(), deniedChecks: 1 }, { leftMs: HOUR });
  assert.deepEqual(state.token, { ...token(), confirmed: true });
  assert.deepEqual([state.deniedChecks, state.checkAt, state.call], [0, NOW + MINUTE, undefined]);
});

test('a check that finds a lease shortened by more than five seconds makes a renewal due, and a login in time', () => {
  const found = (leftMs: number, changes: Partial<HeldToken> = {}) => {
    const held = lookedUp({ token: token(changes) }, { leftMs }).token ?? token();
    return [held.revision, held.expiresAt - NOW, held.renewAt - NOW, held.loginAt - NOW];
  };
  const kept = [1, HOUR, 40 * MINUTE, 51 * MINUTE];
  assert.deepEqual(found(HOUR - 4 * SECOND), kept, 'exactly five seconds less');
  assert.deepEqual(found(HOUR - 5 * SECOND), [2, HOUR - 6 * SECOND, 0, 0.85 * (HOUR - 6 * SECOND)]);
  assert.deepEqual(found(5 * MINUTE + SECOND, { renewAt: NOW - 5, loginAt: NOW + 1 }), [2, 5 * MINUTE, -5, 1]);
  assert.deepEqual(found(0), kept, 'a token without an end');
});

test('a denied check makes a login due, and counts against lookup-self only if no check of the token worked', () => {
  for (const [changes, deniedChecks] of [
    [{}, 2],
    [{ confirmed: true }, 0],
  ] as const) {
    const state = denied({ token: token(changes), deniedChecks: 1, checkAt: NOW });
    assert.deepEqual([state.deniedChecks, state.refreshRequestedAt], [deniedChecks, NOW]);
    assert.deepEqual([state.checkAt, state.budget.level], [Number.POSITIVE_INFINITY, 9]);
    assert.deepEqual(state.token, token(changes), 'it stays until the login');
  }
});

test('a check that fails otherwise is repeated after the interval', () => {
  const { checkAt, deniedChecks, refreshRequestedAt, budget } = denied({ token: token() }, 'vault_sealed');
  assert.deepEqual([checkAt, deniedChecks, refreshRequestedAt, budget.level], [NOW + MINUTE, 0, undefined, 9]);
});

test('a check that ends after a stop has revoked the token changes nothing but the budget', () => {
  const gone = { token: undefined, stopping: stopping() };
  assert.deepEqual(lookedUp(gone), stateOf(gone));
  const { budget, ...failed } = denied(gone);
  const { budget: full, ...before } = stateOf(gone);
  assert.deepEqual([failed, budget.level, full.level], [before, 9, 10]);
});
