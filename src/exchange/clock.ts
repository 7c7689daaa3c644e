// The real clock. Its `now` counts on the monotonic clock, which nobody can set, and adds the time for which the machine
// was suspended. It is anchored once to the wall clock, so that instants read as epoch milliseconds.
//
// A suspend shows as a jump of the wall clock that the system's uptime confirms. Neither is trusted alone: an operator may set
// the wall clock, and in some containers /proc/uptime is missing, frozen or that of something else.

import { uptime } from 'node:os';
import type { Clock } from './runner.ts';

/** Node takes more for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A smaller jump of the wall clock isn't looked into. */
const JUMP_MS = 200;
/** Wall clock and uptime may disagree about a suspend by this much: clocks are corrected on waking. */
const TOLERANCE_MS = 5000;

/** Readings of the system's clocks, in milliseconds. */
export interface SystemClocks {
  /** stops while the machine is suspended */
  monotonic(): number;
  wall(): number;
  /** goes on while the machine is suspended; throws or lies in some containers */
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
      // rounded up, so that the wake never comes before its instant
      const timer = setTimeout(wake, Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil(at - now()))));
      return () => clearTimeout(timer);
    },
  };
}

/** Never goes back, goes on through a suspend, and ignores changes of the wall clock. */
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
  /** wall clock minus monotonic clock, at the last look */
  let offsetMs = anchor;

  /** By the uptime: how long the machine was suspended, beyond what is known. */
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

/** Resolves `ms` from now; cancelled, it never does, and keeps no process alive. */
export function openDeadline(clock: Clock, ms: number): { readonly reached: Promise<void>; cancel(): void } {
  let cancel = () => {};
  const reached = new Promise<void>((resolve) => {
    cancel = clock.wakeAt(clock.now() + ms, resolve);
  });
  return { reached, cancel: () => cancel() };
}

/** Resolves with the work, or `ms` from now without it. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const deadline = openDeadline(clock, ms);
  await Promise.race([work, deadline.reached]);
  deadline.cancel();
}
