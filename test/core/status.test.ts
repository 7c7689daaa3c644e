// What people and probes see of an exchange, derived from its state at one instant.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeldToken, State } from '../../src/core/state.ts';
import { servedToken, statusOf, whyUnserved } from '../../src/core/status.ts';
import { jwtText } from '../support/jwt-text.ts';
import { T0, World, type WorldOptions } from '../support/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY_JWT = jwtText({ iat: T0 / 1000, exp: T0 / 1000 + 86_400 });

function loggedIn(options: WorldOptions = {}): { readonly world: World; readonly token: HeldToken } {
  const world = new World(options);
  world.writeJwt(DAY_JWT);
  world.pass(1000);
  return { world, token: tokenOf(world) };
}

function tokenOf({ state: { token } }: World): HeldToken {
  assert.ok(token !== undefined);
  return token;
}

test('a token is served until five seconds before its expiry', () => {
  const { world, token } = loggedIn();
  assert.equal(servedToken(world.state, token.expiresAt - 5001), token);
  assert.equal(servedToken(world.state, token.expiresAt - 5000), undefined);
});

test('the next action is the planned call; a call that is overdue is planned for now', () => {
  const { world, token } = loggedIn();
  assert.deepEqual(world.status().nextAction, { kind: 'renew', at: Math.round(token.renewAt) });
  world.now = Math.round(token.renewAt) + MINUTE;
  assert.deepEqual(world.status().nextAction, { kind: 'renew', at: world.now });
});

test('before its start, an exchange plans its login for the start, and a renewal no earlier', () => {
  const startsAt = T0 + MINUTE;
  const waiting = new World({ beginning: { startsAt } });
  assert.deepEqual(waiting.status().nextAction, { kind: 'login', at: startsAt });
  const { world, token } = loggedIn();
  const delayed = Math.round(token.renewAt) + MINUTE;
  world.state = { ...world.state, startsAt: delayed };
  assert.deepEqual(world.status().nextAction, { kind: 'renew', at: delayed });
});

test('without a JWT, an exchange that has started plans nothing', () => {
  assert.equal(new World().status().nextAction, undefined);
});

test('a client hears why no token is served: the failure, or that there is none yet, or none any more', () => {
  const { world, token } = loggedIn();
  const { failure, token: held } = world.status();
  assert.equal(whyUnserved({ failure, token: held }), 'the Vault token has expired');
  assert.equal(whyUnserved({ failure, token: undefined }), 'there is no Vault token yet');
  world.vault.outage = { code: 'vault_sealed' };
  world.pass(token.expiresAt - world.now);
  assert.equal(whyUnserved(world.status()), 'Vault is sealed');
});

test('a renewable token has a login that renewals move, and no end', () => {
  const { world, token } = loggedIn();
  const first = world.status().token;
  assert.deepEqual([first?.loginAt, first?.endsAt], [token.loginAt, undefined]);
  world.pass(HOUR);
  assert.equal(world.status().token?.loginAt, tokenOf(world).loginAt);
  assert.ok(tokenOf(world).loginAt > token.loginAt);
});

test('a token that was cut at its maximum TTL, and whose login fails, is overdue; at last it ends when its lease does', () => {
  const { world } = loggedIn();
  world.vault.maxTtlMs = HOUR;
  world.writeJwt(jwtText({ iat: T0 / 1000 + 1, exp: T0 / 1000 + 86_400 }));
  world.pass(MINUTE);
  world.vault.refusal = { code: 'jwt_expired' };
  const { generation } = tokenOf(world);
  while (!tokenOf(world).renewed) world.pass(MINUTE);
  const first = world.status();
  assert.deepEqual([first.phase, first.nextAction?.kind, first.token?.endsAt], ['overdue', 'login', undefined]);
  while (tokenOf(world).renewable) world.pass(MINUTE);
  const { token, nextAction, phase } = world.status();
  assert.deepEqual([tokenOf(world).generation, phase], [generation, 'overdue']);
  assert.deepEqual([token?.endsAt, token?.loginAt], [token?.expiresAt, nextAction?.at]);
  assert.equal(nextAction?.kind, 'login');
  assert.ok((token?.loginAt ?? 0) < (token?.endsAt ?? 0));
});

test('a new JWT or a refresh moves the login to now; while it stops, and without a JWT, there is none', () => {
  const { world } = loggedIn();
  const loginAt = (changes: Partial<State>, moment = world.moment()) =>
    statusOf(world.policy, { ...world.state, ...changes }, moment).token?.loginAt;
  assert.equal(loginAt({ refreshRequestedAt: world.now }), world.now);
  assert.equal(loginAt({ jwt: undefined }), undefined);
  assert.equal(loginAt({ stopping: { since: world.now, withdrawal: 'due', revocation: undefined } }), undefined);
});

test('while it stops, the phase says so and no action is planned', () => {
  const { world } = loggedIn();
  world.post({ type: 'stop-requested' });
  const { phase, nextAction } = world.status();
  assert.deepEqual({ phase, nextAction }, { phase: 'stopping', nextAction: undefined });
});

test('logins that fail make a token overdue from its planned renewal on, not before', () => {
  const { world, token } = loggedIn();
  world.vault.refusal = { code: 'audience_mismatch' };
  world.writeJwt(jwtText({ iat: T0 / 1000 + 1, exp: T0 / 1000 + 86_400 }));
  world.pass(MINUTE);
  assert.ok(world.state.loginStreak !== undefined);
  const phaseAt = (now: number) => statusOf(world.policy, world.state, { ...world.moment(), now }).phase;
  assert.deepEqual([phaseAt(token.renewAt - 1), phaseAt(token.renewAt)], ['active', 'overdue']);
});

test('without a JWT it waits for one; with a JWT it is logging in', () => {
  const world = new World({ latencyMs: (effect) => (effect === 'log-in' ? 10_000 : 1) });
  assert.equal(world.status().phase, 'waiting-for-jwt');
  world.writeJwt(DAY_JWT);
  world.pass(1000);
  assert.equal(world.status().phase, 'logging-in');
});

test('a sink without an unexpired token is not written yet, and the exchange is not ready', () => {
  const { world } = loggedIn({ latencyMs: (effect) => (effect === 'deliver' ? 5000 : 1) });
  const notWritten = ['sink /vault/token: not written yet'];
  assert.deepEqual([world.status().ready, world.status().reasons], [false, notWritten]);
  assert.equal(world.status().sinks[0]?.writtenAt, undefined);
  world.pass(5000);
  assert.deepEqual([world.status().ready, world.status().reasons], [true, []]);
  const [sink] = world.state.sinks;
  const holding = (expiresAt: number): State => ({
    ...world.state,
    sinks: sink?.holds === undefined ? [] : [{ ...sink, holds: { ...sink.holds, expiresAt } }],
  });
  const reasonsWith = (expiresAt: number) => statusOf(world.policy, holding(expiresAt), world.moment()).reasons;
  assert.deepEqual([reasonsWith(world.now), reasonsWith(world.now + 1)], [notWritten, []]);
});

test('a sink is current once it has the latest token, and its times are on the wall clock', () => {
  const { world } = loggedIn();
  const writtenAt = world.state.sinks[0]?.writtenAt ?? 0;
  world.wallOffsetMs = HOUR;
  const sinks = [{ kind: 'file', path: '/vault/token', mode: 0o640, format: 'raw' }] as const;
  const policy = { ...world.policy, settings: { ...world.policy.settings, sinks } };
  const [sink] = statusOf(policy, world.state, world.moment()).sinks;
  assert.deepEqual(sink, {
    id: '/vault/token',
    mode: 0o640,
    current: true,
    writtenAt: writtenAt + HOUR,
    failure: undefined,
  });
  assert.equal(world.status().token?.expiresAt, tokenOf(world).expiresAt + HOUR);
});

test('a failed reading is retried at the next reading, a failed login at the next login', () => {
  const world = new World();
  world.post({ type: 'woke' });
  world.pass(1000);
  assert.equal(world.status().failure?.code, 'jwt_missing');
  assert.equal(world.status().failure?.retryAt, Math.round(world.state.reading.nextAt));
  world.vault.refusal = { code: 'role_missing' };
  world.writeJwt(DAY_JWT);
  world.pass(1000);
  assert.equal(world.status().failure?.code, 'role_missing');
  assert.equal(world.status().failure?.retryAt, world.status().nextAction?.at);
  assert.ok((world.status().failure?.retryAt ?? 0) > world.now);
});

test('a JWT is stale past nine tenths of its life', () => {
  const { world } = loggedIn();
  const staleAt = (wall: number) => statusOf(world.policy, world.state, { ...world.moment(), wall }).jwt?.stale;
  assert.deepEqual([staleAt(T0 + 21 * HOUR), staleAt(T0 + 22 * HOUR)], [false, true]);
});
