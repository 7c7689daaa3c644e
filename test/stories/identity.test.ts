// A vault_identity source, whose JWTs come from another Vault: the core decides how often it requests an identity
// token.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf, T0, World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A world whose source yields JWTs that are valid for ten minutes; `mint` makes the next one. */
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

test('an identity token is reused for half of its lifetime, also by logins in between', () => {
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

test('a refused identity token keeps the last JWT and backs off to 30 s, and a refresh ends the backoff', () => {
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

test('the source is read again within seconds while the Vault token it authenticates with is missing', () => {
  const { world, mint } = identityWorld();
  world.jwt = { code: 'identity_token_missing' };
  world.post({ type: 'woke' });
  world.pass(MINUTE);
  mint();
  world.pass(6 * SECOND);
  assert.equal(world.status().ready, true);
});
