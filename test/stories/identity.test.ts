// Another Vault as the issuer: how often it is asked for an identity token is decided by the core.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf, T0, World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A world whose source mints a JWT of ten minutes at each reading. */
function identityWorld() {
  const readings: number[] = [];
  const { vault } = settingsOf();
  const world: World = new World({
    settings: { source: { kind: 'vault-identity', vault, role: 'r', token: { file: '/t' } } },
    latencyMs: (effect) => {
      if (effect === 'read-jwt') readings.push(world.now);
      return 20;
    },
  });
  const mint = () => {
    const iat = Math.floor(world.now / SECOND);
    world.jwt = jwtText({ iss: 'i', sub: 's', aud: 'a', iat, exp: iat + 600 });
  };
  return { world, readings, mint };
}

test('a token serves for half of its life, and logins in between need no new one', () => {
  const { world, readings, mint } = identityWorld();
  mint();
  world.post({ type: 'woke' });
  world.pass(MINUTE);
  world.post({ type: 'refresh-requested' });
  world.pass(3 * MINUTE);
  assert.equal(readings.length, 1);
  assert.equal(world.calls.filter(({ operation }) => operation === 'login').length, 2);
  mint();
  world.pass(MINUTE + SECOND);
  assert.equal(readings.length, 2);
  assert.ok(Math.abs((readings[1] ?? 0) - T0 - 5 * MINUTE) < SECOND);
});

test('a refusal keeps the JWT, backs off to half a minute, and a refresh ends the wait', () => {
  const { world, readings, mint } = identityWorld();
  mint();
  world.post({ type: 'woke' });
  world.pass(SECOND);
  world.jwt = { code: 'identity_refused' };
  world.pass(15 * MINUTE);
  assert.equal(world.state.jwt?.serial, 1);
  const waits = readings.slice(2).map((at, index) => at - (readings[index + 1] ?? 0));
  assert.ok(waits.every((ms) => ms <= 31 * SECOND) && Math.max(...waits) >= 15 * SECOND, waits.join());
  assert.ok(readings.length < 50, `${readings.length} readings in 15 minutes`);
  mint();
  const before = readings.length;
  world.post({ type: 'refresh-requested' });
  world.pass(SECOND);
  assert.equal(readings.length, before + 1);
  assert.equal(world.state.jwt?.serial, 2);
});

test('without a Vault token to ask with the source is read again within seconds', () => {
  const { world, mint } = identityWorld();
  world.jwt = { code: 'identity_token_missing' };
  world.post({ type: 'woke' });
  world.pass(MINUTE);
  mint();
  world.pass(6 * SECOND);
  assert.equal(world.status().ready, true);
});
