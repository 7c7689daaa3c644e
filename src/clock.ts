// The real clock. Its `now` counts from the machine's boot time, so it goes on through a suspend and nobody can set it;
// it is anchored once to the wall clock, so that instants read as epoch milliseconds.

import { uptime } from 'node:os';
import type { Clock } from './runner.ts';

/** Node takes more for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function openSystemClock(): Clock {
  const anchor = Date.now() - uptime() * 1000;
  const now = () => anchor + uptime() * 1000;
  return {
    now,
    wall: () => Date.now(),
    random: Math.random,
    wakeAt(at, wake) {
      // boot time ticks in 10 ms: round up, so that the wake never comes before its instant
      const timer = setTimeout(wake, Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil(at - now()) + 10)));
      return () => clearTimeout(timer);
    },
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
