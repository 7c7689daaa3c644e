// Clocks that jump, stop, drift and disagree, in virtual time. Leases are counted on the boot clock, which can't be
// set; the wall clock is only for the JWT's claims and for display.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { T0, type World, type WorldOptions } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** Valid from ten years before T0 until ten years after it. */
const JWT = jwtText({ iat: T0 / 1000 - 10 * 365 * 86_400, exp: T0 / 1000 + 10 * 365 * 86_400 });

function begin(options: Omit<WorldOptions, 'check'> = {}) {
  const observed = observedWorld(options);
  observed.world.jwt = JWT;
  observed.world.post({ type: 'woke' });
  return observed;
}

const operations = ({ calls }: World) => calls.map(({ operation }) => operation);

test('stays ready, without a hot loop, while the wall clock jumps to 1970, to 2106 and back (H3)', async () => {
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

test('gets and renews a token when started with a wall clock in 1970 or 2106 (H3)', () => {
  for (const year of [1970, 2106]) {
    const { world } = observedWorld();
    world.wallOffsetMs = Date.UTC(year, 0, 1) - T0;
    const wall = Date.UTC(year, 0, 1) / 1000;
    world.jwt = jwtText({ iat: wall, exp: wall + 86_400 });
    world.post({ type: 'woke' });
    world.pass(5 * HOUR);
    assert.equal(world.status().ready, true);
    assert.ok(world.calls.length <= 12, `${operations(world)}`);
  }
});

test("renews on the same schedule when its clock is five minutes ahead of Vault's or behind it (H5)", () => {
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

test('makes the same calls across daylight saving time, leap seconds and clock slewing (H6)', (t) => {
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
  // New York's clocks go back on 1 November 2026
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
  // the kernel's maximum slew rate, for as long as a correction of two seconds takes
  const slewed = live((world, minute) => {
    if (minute < 66) world.wallOffsetMs += 0.0005 * MINUTE;
  });
  assert.deepEqual(slewed, plain);
});

test('a restart two seconds after the last login waits three more seconds before it logs in (I8)', () => {
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

test('an event loop blocked over a due renewal makes one renewal, then returns to the schedule (H7)', () => {
  const { world } = begin();
  world.pass(42 * MINUTE);
  const before = world.calls.length;
  // the renewal is due in half a minute; all timers fire late and together
  world.now += 80 * SECOND;
  world.post({ type: 'woke' });
  const again = world.calls.length;
  world.post({ type: 'woke' });
  world.post({ type: 'woke' });
  assert.equal(world.calls.length, again, 'a repeated wake-up does nothing');
  world.pass(10 * MINUTE);
  assert.deepEqual(operations(world).slice(before), ['renew']);
  assert.equal(world.status().ready, true);
});
