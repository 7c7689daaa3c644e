// Overlap: a token that is replaced has half of its lease left, so a client that reads the token again within that time
// never holds a dead one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { seededRandom } from '../support/random.ts';
import { World } from '../support/world.ts';
import { openReader } from './reader.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const mint = (at: number, lifeMs = DAY) =>
  jwtText({ iat: Math.floor(at / SECOND), exp: Math.floor((at + lifeMs) / SECOND) });
const logins = ({ calls }: World) => calls.filter(({ operation }) => operation === 'login').length;

function begin(shape: (world: World) => void, seed = 1): World {
  const world = new World({ random: seededRandom(seed), latencyMs: (effect) => (effect === 'read-jwt' ? 5 : 250) });
  world.jwt = mint(world.now, 100 * DAY);
  shape(world);
  world.post({ type: 'woke' });
  world.pass(SECOND);
  return world;
}

const SHAPES: Readonly<Record<string, (world: World) => void>> = {
  'a maximum TTL of several leases': ({ vault }) => Object.assign(vault, { ttlMs: HOUR, maxTtlMs: 3.3 * HOUR }),
  'a maximum TTL just above the TTL': ({ vault }) => Object.assign(vault, { ttlMs: HOUR, maxTtlMs: 1.05 * HOUR }),
  'a maximum TTL that is the TTL': ({ vault }) => Object.assign(vault, { ttlMs: HOUR, maxTtlMs: HOUR }),
  'a lease of a minute': ({ vault }) => Object.assign(vault, { ttlMs: MINUTE, maxTtlMs: 5 * MINUTE }),
  'a lease of twenty seconds': ({ vault }) => Object.assign(vault, { ttlMs: 20 * SECOND, maxTtlMs: 50 * SECOND }),
  'batch tokens': ({ vault }) => Object.assign(vault, { overrides: { type: 'batch', renewable: false, accessor: '' } }),
  'policies without renew-self': ({ vault }) => Object.assign(vault, { renewalRefusal: { code: 'renewal_denied' } }),
  'tokens without a maximum TTL': ({ vault }) => Object.assign(vault, { maxTtlMs: Number.POSITIVE_INFINITY }),
};

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`a reader that reads each half of the lease never holds a dead token: ${name}`, () => {
    for (const seed of [1, 2]) {
      const world = begin(shape, seed);
      const reader = openReader(world);
      for (let rotation = 0; rotation < 40; rotation++) {
        world.pass(world.vault.ttlMs * (0.2 + 0.37 * (rotation % 7)));
        world.writeJwt(mint(world.now, 100 * DAY));
        world.pass(world.vault.ttlMs * 3);
      }
      assert.ok(reader.readings > 300, `${reader.readings} readings`);
      assert.deepEqual(reader.dead, [], `seed ${seed}`);
    }
  });
}

test('a maximum TTL that is the TTL costs a renewal and a login each half of the lease, no more', () => {
  const world = begin(({ vault }) => Object.assign(vault, { maxTtlMs: HOUR }));
  world.pass(DAY);
  assert.ok(logins(world) <= 60 && world.calls.length <= 120, `${world.calls.length} calls a day`);
});

test('if the login at the maximum TTL fails, the token is served until its end, and the login is retried', () => {
  for (const code of ['jwt_expired', 'role_missing', 'vault_unavailable'] as const) {
    const world = begin(({ vault }) => Object.assign(vault, { maxTtlMs: 2 * HOUR }));
    world.vault.refusal = { code };
    const { file } = world;
    assert.ok(file);
    world.pass(1.98 * HOUR);
    assert.deepEqual([world.status().ready, world.file], [true, file]);
    const failed = world.calls.filter(({ outcome }) => outcome !== 'ok').length;
    assert.ok(failed > 5 && failed < 100, `${code}: ${failed} failed calls`);
    world.vault.refusal = undefined;
    world.pass(6 * MINUTE);
    assert.equal(world.status().ready, true);
    assert.equal(logins(world) - failed, 2, 'one login at the start, one at the end');
  }
});

test('a role with a shorter TTL gets one login, and its token is renewed for as long as no login works', () => {
  const world = begin(({ vault }) => Object.assign(vault, { ttlMs: HOUR, maxTtlMs: 100 * DAY }));
  world.vault.ttlMs = 40 * MINUTE;
  world.vault.refusal = { code: 'jwt_expired' };
  world.pass(DAY);
  assert.equal(world.status().ready, true);
  world.vault.refusal = undefined;
  world.pass(HOUR);
  const before = logins(world);
  world.pass(DAY);
  assert.equal(logins(world), before, 'the new lease is the measure from now on');
});
