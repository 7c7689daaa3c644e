// The steady clock, with fake system clocks: it counts suspends, and ignores all other changes of the clocks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSteadyClock, type SystemClocks } from '../../src/exchange/clock.ts';

const HOUR = 3_600_000;
const T0 = Date.UTC(2026, 10, 1);

/** Clocks that tick together, until a test moves one of them. */
function setUp(change: Partial<SystemClocks> = {}) {
  const readings = { monotonic: 5000, wall: T0, uptime: 9_000_000 };
  const clocks: SystemClocks = {
    monotonic: () => readings.monotonic,
    wall: () => readings.wall,
    uptime: () => readings.uptime,
    ...change,
  };
  const now = openSteadyClock(clocks);
  return {
    readings,
    elapsed: () => now() - T0,
    pass(ms: number) {
      readings.monotonic += ms;
      readings.wall += ms;
      readings.uptime += ms;
    },
    suspend(ms: number) {
      readings.wall += ms;
      readings.uptime += ms;
    },
  };
}

test('counts elapsed time, including suspends', () => {
  const { elapsed, pass, suspend } = setUp();
  assert.equal(elapsed(), 0);
  pass(1000);
  assert.equal(elapsed(), 1000);
  suspend(8 * HOUR);
  assert.equal(elapsed(), 8 * HOUR + 1000);
  pass(1000);
  suspend(HOUR);
  assert.equal(elapsed(), 9 * HOUR + 2000);
});

test('ignores changes of the wall clock in both directions', () => {
  const { readings, elapsed, pass } = setUp();
  for (const jump of [HOUR, -3 * HOUR, 10_000, -readings.wall]) {
    readings.wall += jump;
    pass(1000);
  }
  assert.equal(elapsed(), 4000);
});

test('ignores an uptime that is frozen, missing or jumps (K12)', () => {
  const frozen = setUp({ uptime: () => 100 });
  const absent = setUp({
    uptime: () => {
      throw new Error('no /proc/uptime');
    },
  });
  const jumping = setUp();
  for (const { elapsed, pass, readings } of [frozen, absent, jumping]) {
    pass(1000);
    assert.equal(elapsed(), 1000);
    readings.uptime += 30 * 24 * HOUR;
    pass(1000);
    assert.equal(elapsed(), 2000);
    readings.uptime = 0;
    readings.wall += 2 * HOUR;
    pass(1000);
    assert.equal(elapsed(), 3000, 'a wall clock that is set at the same time is no suspend');
    pass(HOUR);
    assert.equal(elapsed(), HOUR + 3000);
  }
});

test('the steady clock never goes back', () => {
  const { readings, elapsed, pass, suspend } = setUp();
  let last = elapsed();
  for (const step of [() => suspend(HOUR), () => pass(10), () => suspend(-HOUR), () => pass(10)]) {
    step();
    readings.uptime -= 1000;
    assert.ok(elapsed() >= last);
    last = elapsed();
  }
});
