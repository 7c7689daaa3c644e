// The production clock: the monotonic clock plus the time for which the machine was suspended, in epoch milliseconds.
// A suspend is a jump of the wall clock that the uptime confirms. Neither is trusted alone: the wall clock can be set,
// and in some containers /proc/uptime is missing, frozen or wrong.

import { uptime } from 'node:os';
import { startDeadline } from '../files/deadline.ts';
import type { Clock } from './runner.ts';

/** Node's limit: a timer with a longer delay fires after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Longer than that of a call or a reading: the exchange sees their results before it gives them up. */
const GRACE_MS = 500;
/** Smaller jumps of the wall clock are ignored. */
const JUMP_MS = 200;
/** How much wall clock and uptime may differ about a suspend: the wall clock is corrected on resume. */
const TOLERANCE_MS = 5000;

/** Readings of the system's clocks, in milliseconds. */
export interface SystemClocks {
  /** stops while the machine is suspended */
  monotonic(): number;
  wall(): number;
  /** keeps counting while the machine is suspended; throws or is wrong in some containers */
  uptime(): number;
}

const SYSTEM: SystemClocks = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  uptime: () => uptime() * 1000,
};

export function openSystemClock(clocks: SystemClocks = SYSTEM): Clock {
  const now = openSteadyClock(clocks);
  return {
    now,
    wall: clocks.wall,
    random: Math.random,
    wakeAt(at, wake) {
      // round up, so that the timer never fires before its instant
      return startDeadline(Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil(at - now()))), wake, { quietMs: GRACE_MS });
    },
  };
}

/** Opens a clock that never goes back, counts suspends, and ignores changes of the wall clock. */
export function openSteadyClock({ monotonic, wall, uptime: up }: SystemClocks): () => number {
  const uptimeNow = () => {
    try {
      return up();
    } catch {
      return undefined;
    }
  };
  const from = { monotonic: monotonic(), uptime: uptimeNow() };
  const anchor = wall() - from.monotonic;
  let suspendedMs = 0;
  /** wall clock minus monotonic clock, at the previous call */
  let offsetMs = anchor;

  /** Returns the suspended time according to the uptime, beyond `suspendedMs`. */
  function newlySuspendedMs(at: number): number {
    const upFor = (uptimeNow() ?? Number.NaN) - (from.uptime ?? Number.NaN);
    return upFor - (at - from.monotonic) - suspendedMs;
  }

  return () => {
    const at = monotonic();
    const jumpedMs = wall() - at - offsetMs;
    offsetMs += jumpedMs;
    if (jumpedMs > JUMP_MS) {
      const sleptMs = newlySuspendedMs(at);
      if (sleptMs > 0 && Math.abs(sleptMs - jumpedMs) <= TOLERANCE_MS) suspendedMs += sleptMs;
    }
    return anchor + at + suspendedMs;
  };
}

/** Opens a deadline `ms` from now. After cancel(), it never resolves and doesn't keep the process alive. */
export function openDeadline(clock: Clock, ms: number): { readonly reached: Promise<void>; cancel(): void } {
  let cancel = () => {};
  const reached = new Promise<void>((resolve) => {
    cancel = clock.wakeAt(clock.now() + ms, resolve);
  });
  return { reached, cancel: () => cancel() };
}

/** Waits for `work`, at most for `ms`. Rejects if the work does. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const deadline = openDeadline(clock, ms);
  await Promise.race([work, deadline.reached]);
  deadline.cancel();
}
