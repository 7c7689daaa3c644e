// Clocks that jump, stop, drift and disagree, in virtual time. A lease is counted on a clock that nobody can set; the wall
// clock is for the JWT's claims and for display.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { T0, type World, type WorldOptions } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** good for ten years on either side, whatever the wall clock says */
const JWT = jwtText({ iat: T0 / 1000 - 10 * 365 * 86_400, exp: T0 / 1000 + 10 * 365 * 86_400 });

function begin(options: Omit<WorldOptions, 'check'> = {}) {
  const observed = observedWorld(options);
  observed.world.jwt = JWT;
  observed.world.post({ type: 'woke' });
  return observed;
}

const operations = ({ calls }: World) => calls.map(({ operation }) => operation);

test('the wall clock jumps to 1970, to 2106 and back: ready all the time, no crash, no hot loop (H3)', async () => {
  const { world, metric } = begin();
  world.pass(MINUTE);
  for (const year of [1970, 2106, 2026, 1970]) {
    world.wallOffsetMs = Date.UTC(year, 0, 1) - world.now;
    const before = world.calls.length;
    for (let minute = 0; minute < 60; minute++) {
      world.pass(MINUTE);
      assert.equal(world.status().ready, true, `${year}, minute ${minute}`);
    }
    assert.ok(world.calls.length - before <= 3, `${year}: ${operations(world).slice(before)}`);
    const shown = (world.status().token?.expiresAt ?? 0) - Date.UTC(year, 0, 1);
    assert.ok(Number.isFinite(shown) && shown > 0 && shown < 3 * HOUR, `${year}: ${shown} ms`);
    assert.ok(Number.isFinite(await metric('token_expiration_timestamp_seconds{exchange="app"}')));
  }
});

test('started in 1970 or in 2106 it gets its token, and renews it (H3)', () => {
  for (const year of [1970, 2106]) {
    const { world } = observedWorld();
    world.wallOffsetMs = Date.UTC(year, 0, 1) - T0;
    const wall = Date.UTC(year, 0, 1) / 1000;
    world.jwt = jwtText({ iat: wall, exp: wall + 86_400 });
    world.post({ type: 'woke' });
    world.pass(5 * HOUR);
    assert.equal(world.status().ready, true);
    assert.ok(world.calls.length <= 10, `${operations(world)}`);
  }
});

test("five minutes off Vault's clock, either way: the lease counts, and renewals come as without (H5)", () => {
  const plain = begin().world;
  plain.pass(3 * HOUR);
  for (const skewMs of [5 * MINUTE, -5 * MINUTE]) {
    const { world } = observedWorld();
    world.wallOffsetMs = skewMs;
    world.jwt = JWT;
    world.post({ type: 'woke' });
    world.pass(3 * HOUR);
    assert.deepEqual(world.calls, plain.calls);
    const { token } = world.state;
    assert.equal(token?.expiresAt, (token?.grantedAt ?? 0) + HOUR);
  }
});

test('summer time, leap seconds and slewing change nothing (H6)', (t) => {
  const { TZ } = process.env;
  t.after(() => {
    if (TZ === undefined) delete process.env['TZ'];
    else process.env['TZ'] = TZ;
  });
  const live = (disturb: (world: World, minute: number) => void) => {
    const { world, lines } = begin();
    for (let minute = 0; minute < 5 * 60; minute++) {
      disturb(world, minute);
      world.pass(MINUTE);
    }
    return { transcript: world.transcript, calls: world.calls, lines: lines.map(({ event }) => event) };
  };
  const plain = live(() => {});
  assert.ok(plain.calls.length >= 5);
  // the first of November 2026 is a change of the clocks there
  process.env['TZ'] = 'America/New_York';
  assert.deepEqual(
    live(() => {}),
    plain,
  );
  const leapSecond = live((world, minute) => {
    if (minute === 90) world.wallOffsetMs -= SECOND;
    if (minute === 200) world.wallOffsetMs += SECOND;
  });
  assert.deepEqual(leapSecond, plain);
  // the most that a kernel slews by, for as long as it takes to make good two seconds
  const slewed = live((world, minute) => {
    if (minute < 66) world.wallOffsetMs += 0.0005 * MINUTE;
  });
  assert.deepEqual(slewed, plain);
});

test('started again two seconds after another process wrote its token: the login waits for three more (I8)', () => {
  for (const [ageMs, loginAt] of [
    [2000, 3000],
    [60_000, 0],
    [Number.POSITIVE_INFINITY, 0],
  ] as const) {
    const { world } = observedWorld();
    world.jwt = JWT;
    world.post({ type: 'last-login-found', ageMs });
    world.pass(10 * SECOND);
    assert.deepEqual(
      world.calls.map(({ operation, at }) => [operation, Math.round((at - T0) / 100) * 100]),
      [['login', loginAt]],
    );
  }
});

test('blocked for a minute when a renewal was due: one renewal, however often it is woken, and by plan from then on (H7)', () => {
  const { world } = begin();
  world.pass(42 * MINUTE);
  const before = world.calls.length;
  // the renewal is planned for half a minute later: it and all else comes late, at once
  world.now += 80 * SECOND;
  world.post({ type: 'woke' });
  const again = world.calls.length;
  world.post({ type: 'woke' });
  world.post({ type: 'woke' });
  assert.equal(world.calls.length, again, 'a wake that comes twice does nothing');
  world.pass(10 * MINUTE);
  assert.deepEqual(operations(world).slice(before), ['renew']);
  assert.equal(world.status().ready, true);
});
