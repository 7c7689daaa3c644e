// A stop with on_stop "revoke": within a second, every token that the process was granted is revoked and the file
// removed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Beginning } from '../../src/core/step.ts';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf, T0, World, type WorldOptions } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

const jwtOf = (seconds: number): string => jwtText({ iat: T0 / SECOND + seconds, exp: T0 / SECOND + seconds + 7200 });

function revoking(options: WorldOptions = {}): World {
  return new World({ ...options, settings: { onStop: 'revoke', ...options.settings } });
}

/** Continues `world` with changed settings, as a reload does. */
function reloaded(world: World, settings: Partial<ExchangeSettings>, beginning: Beginning = {}): World {
  const inherited = { settings: world.policy.settings, state: world.state };
  return new World(
    { settings: { ...world.policy.settings, ...settings }, beginning: { ...beginning, inherited } },
    world,
  );
}

test('a stop after many rotations revokes the current token and all earlier ones (K23)', () => {
  const world = revoking();
  for (let rotation = 0; rotation < 30; rotation++)
    world.at(T0 + rotation * 10 * SECOND, () => world.writeJwt(jwtOf(rotation * 10)));
  world.pass(5 * MINUTE);
  assert.equal(world.vault.issued.size, 30);
  world.post({ type: 'stop-requested' });
  world.pass(SECOND);
  assert.equal(world.vault.issued.size, 0);
  assert.equal(world.file, undefined);
  assert.equal(world.isStopped(), true);
});

test('a token granted during the stop is revoked too (K23)', () => {
  const world = revoking({ latencyMs: (effect) => (effect === 'log-in' ? 600 : 20) });
  world.writeJwt(jwtOf(0));
  world.pass(MINUTE);
  world.writeJwt(jwtOf(60));
  world.pass(200);
  assert.equal(world.state.call?.operation, 'login');
  world.post({ type: 'stop-requested' });
  world.pass(100);
  assert.equal(world.isStopped(), false, 'the stop waits for the login in flight');
  world.pass(800);
  assert.deepEqual([world.vault.issued.size, world.isStopped()], [0, true]);
});

test('a token granted after a reload, by a login of the previous config, is revoked at the stop (K23)', () => {
  const world = revoking();
  world.writeJwt(jwtOf(0));
  world.pass(MINUTE);
  const answer = world.vault.login(world.jwtSecret(), world.now, world.now);
  assert.ok(!('code' in answer));
  world.post({ type: 'late-grant', grant: answer, origin: { address: 'http://127.0.0.1:8200', namespace: undefined } });
  world.post({ type: 'stop-requested' });
  world.pass(SECOND);
  assert.equal(world.vault.issued.size, 0);
});

test('a stop during the start stagger revokes the inherited token and removes the file in time (K8)', () => {
  const before = revoking();
  before.writeJwt(jwtOf(0));
  before.pass(MINUTE);
  const world = reloaded(before, {}, { startsAt: before.now + 10 * SECOND });
  world.post({ type: 'woke' });
  assert.equal(world.calls.length, 0);
  world.post({ type: 'stop-requested' });
  world.pass(SECOND);
  assert.deepEqual([world.vault.issued.size, world.file, world.isStopped()], [0, undefined, true]);
});

test('a reload that changes only the timeout or the CA file keeps the token, and a stop still revokes it (K9)', () => {
  for (const vault of [
    { ...settingsOf().vault, timeoutMs: 5000 },
    { ...settingsOf().vault, tls: { caFile: '/other/ca.pem' } },
  ]) {
    const before = revoking();
    before.writeJwt(jwtOf(0));
    before.pass(MINUTE);
    const world = reloaded(before, { vault });
    world.post({ type: 'woke' });
    world.pass(10 * SECOND);
    assert.deepEqual(world.calls, [], 'no login');
    assert.equal(world.status().ready, true);
    world.post({ type: 'stop-requested' });
    world.pass(SECOND);
    assert.equal(world.vault.issued.size, 0);
  }
});

test('a reload with another Vault, role or namespace keeps serving the old token until the new login succeeds', () => {
  for (const change of [
    { vault: { ...settingsOf().vault, address: 'http://127.0.0.2:8200' } },
    { login: { mount: 'jwt', role: 'other' } },
    { login: { mount: 'jwt', role: 'app', namespace: 'team' } },
  ]) {
    const before = revoking();
    before.writeJwt(jwtOf(0));
    before.pass(MINUTE);
    const world = reloaded(before, change);
    assert.equal(world.status().authenticated, true);
    assert.equal(world.state.generation, before.state.generation);
    world.post({ type: 'woke' });
    world.pass(10 * SECOND);
    assert.deepEqual(
      world.calls.map(({ operation }) => operation),
      ['login'],
    );
    assert.equal(world.state.generation, before.state.generation + 1);
  }
});

test('a refresh ends the start stagger of an exchange', () => {
  const world = new World({ beginning: { startsAt: T0 + MINUTE } });
  world.jwt = jwtOf(0);
  world.post({ type: 'jwt-hinted' });
  world.pass(10 * SECOND);
  assert.equal(world.calls.length, 0);
  world.post({ type: 'refresh-requested' });
  world.pass(SECOND);
  assert.equal(world.status().ready, true);
});
