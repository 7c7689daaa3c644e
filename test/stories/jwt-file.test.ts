// Changes of the workload JWT's file, in virtual time, with the log lines that they cause. test/sources tests how the
// file is read and watched.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../src/core/errors.ts';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { T0, World } from '../support/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const jwtOf = (fromMs: number, lifeMs = HOUR): string =>
  jwtText({ iat: (T0 + fromMs) / 1000, exp: (T0 + fromMs + lifeMs) / 1000 });

function begin<W extends World>(world: W, jwt: World['jwt'] = jwtOf(0)): W {
  world.jwt = jwt;
  world.post({ type: 'woke' });
  return world;
}

const logins = ({ calls }: World) => calls.filter(({ operation }) => operation === 'login');

/** A world that counts how often its file is read. */
function countingWorld(): { world: World; readings: () => readonly number[] } {
  const readings: number[] = [];
  const world: World = new World({
    check: (self, before, event) => {
      if (
        event.type.startsWith('jwt-') &&
        before.reading.inFlight?.startedAt !== undefined &&
        event.type !== 'jwt-hinted'
      )
        readings.push(self.now);
    },
  });
  return { world, readings: () => readings };
}

test('logs in at once when a JWT that was missing at start appears (A1)', () => {
  const world = begin(new World(), { code: 'jwt_missing' });
  world.pass(60_000);
  assert.deepEqual(world.status().reasons, ['no Vault token yet: there is no workload JWT']);
  world.writeJwt(jwtOf(0));
  world.pass(1000);
  assert.deepEqual(world.transcript, [
    '0.0s  jwt-unreadable jwt_missing',
    '60.0s  jwt 1',
    '60.0s  logged-in',
    '60.1s  delivered',
  ]);
});

test('sends an expired JWT at most once a minute, and a new JWT at once (A15)', () => {
  const world = begin(new World(), jwtOf(-2 * HOUR));
  world.pass(10 * 60_000);
  assert.ok(world.calls.length >= 8 && world.calls.length <= 11, `${world.calls.length} logins in ten minutes`);
  const from = world.transcript.length;
  world.writeJwt(jwtOf(600_000));
  world.pass(1000);
  assert.deepEqual(world.transcript.slice(from), ['600.0s  jwt 2', '600.0s  logged-in', '600.1s  delivered']);
});

test('keeps renewing the token after the JWT has expired, and reports the stale JWT (A16)', () => {
  const world = begin(new World());
  world.pass(5 * HOUR);
  assert.equal(world.calls.filter(({ operation }) => operation === 'login').length, 1);
  assert.deepEqual([world.status().ready, world.status().jwt?.stale], [true, true]);
});

test('ignores an older JWT that is put back while the newer one works (A22)', () => {
  const world = begin(new World(), jwtOf(60_000));
  world.pass(1000);
  world.writeJwt(jwtOf(0));
  world.pass(60_000);
  assert.equal(world.calls.length, 1);
});

test('uses the last of several JWTs, and one written during a login right after that login (A4, A24)', () => {
  const world = begin(new World({ latencyMs: (effect) => (effect === 'log-in' ? 3000 : 2) }));
  world.pass(500);
  world.writeJwt(jwtOf(1000));
  world.pass(30);
  world.writeJwt(jwtOf(2000));
  world.pass(20_000);
  assert.deepEqual(world.transcript, [
    '0.0s  jwt 1',
    '0.5s  jwt 2',
    '0.6s  jwt 3',
    '3.0s  logged-in',
    '3.0s  delivered',
    '6.0s  logged-in',
    '6.0s  delivered',
  ]);
});

test('sends an expired JWT at most once a minute, however many refreshes are requested (A15)', () => {
  const world = begin(new World());
  world.vault.refusal = { code: 'jwt_expired' };
  for (let seconds = 0; seconds < 600; seconds += 5) {
    world.post({ type: seconds % 2 === 0 ? 'refresh-requested' : 'retry-requested' });
    world.pass(5000);
  }
  const after = world.calls.filter(({ at }) => at >= T0 + 60_000);
  assert.ok(after.length <= 10, `${after.length} logins in nine minutes`);
});

test('a JWT written while the login with its predecessor fails is used a second after that login (A24)', () => {
  const world = begin(new World({ latencyMs: (effect) => (effect === 'log-in' ? 500 : 2) }));
  world.vault.refusal = { code: 'jwt_expired' };
  world.pass(100);
  world.writeJwt(jwtOf(1000));
  world.pass(300);
  world.vault.refusal = undefined;
  world.pass(1700);
  assert.deepEqual(
    world.calls.map(({ outcome }) => outcome),
    ['jwt_expired', 'ok'],
  );
});

test('a JWT that violates `expect` is never sent', () => {
  const world = begin(
    new World({ settings: { expect: { audience: 'vault' } } }),
    jwtText({ aud: 'https://elsewhere' }),
  );
  world.pass(60_000);
  assert.equal(world.calls.length, 0);
  assert.equal(world.status().failure?.evidence, 'aud is "https://elsewhere", expected "vault"');
});

test('without file events, a new or changed JWT is in use within the poll interval of two seconds (A2, A17)', () => {
  const world = new World();
  world.watched = false;
  begin(world, { code: 'jwt_missing' });
  for (let round = 1; round <= 20; round++) {
    world.pass(10 * MINUTE + round * 137);
    world.jwt = jwtOf(world.now - T0);
    world.pass(2300);
    assert.equal(world.state.jwt?.serial, round);
    assert.equal(logins(world).length, round);
  }
});

const UNUSABLE: readonly (readonly [rows: string, what: string, jwt: string | Failure])[] = [
  ['A7', 'empty', { code: 'jwt_empty' }],
  ['A9', 'huge', { code: 'jwt_too_large' }],
  ['A10', 'something other than a regular file', { code: 'jwt_not_a_file' }],
  ['A11', 'missing', { code: 'jwt_missing' }],
  ['A12', 'unreadable', { code: 'jwt_unreadable' }],
  ['A13', 'malformed', 'a.b.c.d.e'],
];

for (const [rows, what, jwt] of UNUSABLE) {
  test(`the JWT's file becomes ${what}: keeps the last JWT, warns once, and takes the next valid one within one poll (${rows})`, () => {
    const { world, told } = observedWorld();
    begin(world, jwtOf(0, 24 * HOUR));
    world.pass(1000);
    world.writeJwt(jwt);
    world.pass(10 * MINUTE);
    assert.equal(told('jwt_unusable').length, 1);
    assert.equal(world.calls.length, 1, 'the unusable content is never sent to Vault');
    world.vault.forget();
    world.post({ type: 'refresh-requested' });
    world.pass(10_000);
    assert.deepEqual([logins(world).length, logins(world)[1]?.outcome], [2, 'ok'], 'the last JWT still logs in');
    assert.equal(world.status().ready, true);
    // chmod raises no file event
    world.jwt = jwtOf(HOUR, 24 * HOUR);
    world.pass(11_100);
    assert.equal(world.state.jwt?.serial, 2);
    assert.equal(told('jwt_usable').length, 1);
  });
}

test("doesn't call Vault while the file holds a malformed JWT from the start (A13)", () => {
  for (const jwt of ['not-a-jwt', 'a.b.c.d.e', '!!.!!.!!', `${jwtText().split('.')[0]}.WzFd.c2ln`]) {
    const world = begin(new World(), jwt);
    world.pass(10 * MINUTE);
    assert.equal(world.calls.length, 0, jwt);
    assert.equal(world.status().failure?.code, 'jwt_malformed');
  }
});

test("logs in, renews and follows rotations with a JWT whose exp isn't a valid date (A14)", () => {
  for (const exp of ['1790003600', -1, 0, 1e300, 1_790_003_600_000, null, undefined, {}, [], true]) {
    const { world } = observedWorld();
    begin(world, jwtText({ iat: T0 / 1000, exp }));
    world.pass(3 * HOUR);
    assert.equal(world.status().ready, true, `exp ${JSON.stringify(exp)}`);
    assert.equal(logins(world).length, 1);
    assert.ok(world.calls.length <= 7, `${world.calls.length} calls in three hours`);
    world.writeJwt(jwtText({ iat: T0 / 1000 + 3 * 3600, exp }));
    world.pass(1000);
    assert.equal(logins(world).length, 2);
  }
});

test("warns once about a JWT that isn't replaced by 90 % of its lifetime, and keeps renewing its token (A16, A20)", () => {
  const { world, told } = observedWorld();
  begin(world);
  world.pass(0.89 * HOUR);
  assert.equal(told('jwt_not_rotated').length, 0);
  world.pass(0.02 * HOUR);
  assert.match(String(told('jwt_not_rotated')[0]?.['hint']), /subPath/);
  world.pass(5 * HOUR);
  assert.equal(told('jwt_not_rotated').length, 1);
  assert.deepEqual([world.status().ready, logins(world).length], [true, 1]);
});

test("counts reads by polling only while the file isn't watched (A18)", async () => {
  const { world, metric } = observedWorld();
  begin(world);
  world.pass(10 * MINUTE);
  assert.equal(await metric('watch_fallback_polls_total'), 0);
  world.watched = false;
  world.pass(10 * MINUTE);
  const polls = (await metric('watch_fallback_polls_total')) ?? 0;
  assert.ok(polls >= 270 && polls <= 340, `${polls} in ten minutes`);
  world.watched = true;
  world.pass(11_100);
  const after = await metric('watch_fallback_polls_total');
  world.pass(10 * MINUTE);
  assert.equal(await metric('watch_fallback_polls_total'), after);
});

test('a read that hangs for two hours is reported; renewals and logins go on with the last JWT (A19)', () => {
  let readMs = 1;
  const { world, told } = observedWorld({ latencyMs: (effect) => (effect === 'read-jwt' ? readMs : 20) });
  begin(world, jwtOf(0, 24 * HOUR));
  world.pass(1000);
  readMs = 2 * HOUR;
  world.pass(MINUTE);
  assert.equal(world.status().failure?.code, 'jwt_read_stuck');
  assert.equal(told('jwt_unusable').length, 1);
  world.pass(HOUR);
  assert.ok(world.calls.some(({ operation, outcome }) => operation === 'renew' && outcome === 'ok'));
  world.vault.forget();
  world.post({ type: 'refresh-requested' });
  world.pass(10_000);
  assert.deepEqual([world.status().ready, logins(world).length], [true, 2]);
  readMs = 1;
  world.jwt = jwtOf(HOUR, 24 * HOUR);
  world.pass(HOUR);
  assert.equal(world.state.jwt?.serial, 2, 'the result of the hung read is used');
  assert.equal(told('jwt_usable').length, 1);
  assert.equal(world.status().failure, undefined);
});

test('a thousand file events a second cause at most ten reads a second, and the last content is used (A21)', () => {
  const { world, readings } = countingWorld();
  begin(world);
  world.pass(1000);
  const before = readings().length;
  for (let event = 1; event <= 10_000; event++) {
    if (event % 1000 === 0) world.jwt = jwtOf(event);
    world.post({ type: 'jwt-hinted' });
    world.pass(1);
  }
  const within = readings().slice(before);
  assert.ok(within.length <= 100, `${within.length} readings in ten seconds`);
  for (const [index, at] of within.entries())
    assert.ok(at - (within[index - 10] ?? 0) >= 1000, 'at most ten reads in any second');
  world.pass(1000);
  assert.equal(world.state.jwt?.claims.secret.reveal(), jwtOf(10_000));
});

test('an older JWT that is put back is used only if Vault refused the newer one (A22)', () => {
  const world = begin(new World(), jwtOf(MINUTE));
  world.pass(1000);
  world.writeJwt(jwtOf(0));
  world.pass(MINUTE);
  assert.deepEqual([world.calls.length, world.state.jwt?.serial], [1, 1]);
  const refused = new World();
  refused.vault.refusal = { code: 'signature_invalid' };
  begin(refused, jwtOf(MINUTE));
  refused.pass(10_000);
  refused.vault.refusal = undefined;
  refused.writeJwt(jwtOf(0));
  refused.pass(5000);
  assert.deepEqual([refused.state.jwt?.serial, refused.status().ready], [2, true]);
});

test('writing the same JWT again causes no login (A23)', () => {
  const { world, told } = observedWorld();
  begin(world);
  for (let write = 0; write < 50; write++) {
    world.pass(5000);
    world.writeJwt(jwtOf(0));
  }
  world.pass(5000);
  assert.deepEqual([world.calls.length, told('jwt_changed').length], [1, 1]);
});
