// The steady clock, with fake system clocks: it counts suspends, and ignores all other changes of the clocks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSteadyClock, openSystemClock, type SystemClocks, within } from '../../src/exchange/clock.ts';
import { SimulatedTime, T0 as START } from '../support/simulated-time.ts';

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

test('a jump of the wall clock counts as a suspend from a fifth of a second on, within five seconds of the uptime', () => {
  const suspendedBy = (wallMs: number, uptimeMs: number) => {
    const { readings, elapsed } = setUp();
    readings.wall += wallMs;
    readings.uptime += uptimeMs;
    return elapsed();
  };
  assert.deepEqual([suspendedBy(200, 200), suspendedBy(201, 201), suspendedBy(300, 300)], [0, 201, 300]);
  assert.deepEqual([suspendedBy(15_000, 10_000), suspendedBy(15_001, 10_000)], [10_000, 0]);
  assert.deepEqual([suspendedBy(5000, 10_000), suspendedBy(4999, 10_000)], [10_000, 0]);
  assert.equal(suspendedBy(3000, -1000), 0, 'an uptime that goes back is no suspend');
});

test('a timer is never longer than Node can count, nor shorter than a millisecond, and wakes no sooner than asked', (t) => {
  const delays: unknown[] = [];
  const ended: unknown[] = [];
  t.mock.method(globalThis, 'setTimeout', (_wake: () => void, ms: number) => delays.push(ms));
  t.mock.method(globalThis, 'clearTimeout', (timer: unknown) => ended.push(timer));
  const clock = openSystemClock({ monotonic: () => 5000, wall: () => T0, uptime: () => 9000 });
  assert.equal(clock.wall(), T0);
  for (const ms of [2 ** 40, 1000, 10.2, 0, -HOUR]) clock.wakeAt(clock.now() + ms, () => {});
  assert.deepEqual(delays, [2_147_483_647, 1000, 11, 1, 1]);
  clock.wakeAt(T0, () => {})();
  assert.deepEqual(ended, [6]);
});

test('work is waited for until its deadline, and a deadline that is not needed leaves no timer', async () => {
  const time = new SimulatedTime();
  const clock = time.clock(() => 0.5);
  let isOver = false;
  void within(clock, 1000, new Promise(() => {})).then(() => {
    isOver = true;
  });
  await time.pass(START + 999, () => false);
  assert.equal(isOver, false);
  await time.pass(START + 1000, () => isOver);
  time.touch();
  await time.pass(START + 1000, () => false);
  assert.deepEqual([isOver, time.timers], [true, 0]);
  await within(clock, 1000, Promise.resolve());
  assert.equal(time.timers, 0);
});
