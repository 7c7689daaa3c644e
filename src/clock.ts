// The real clock. Its `now` counts from the machine's boot time, so it goes on through a suspend and nobody can set it;
// it is anchored once to the wall clock, so that instants read as epoch milliseconds.

import { uptime } from 'node:os';
import type { Clock } from './runner.ts';

export function openSystemClock(): Clock {
  const anchor = Date.now() - uptime() * 1000;
  const now = () => anchor + uptime() * 1000;
  return {
    now,
    wall: () => Date.now(),
    random: Math.random,
    wakeAt(at, wake) {
      // boot time ticks in 10 ms: round up, so that the wake never comes before its instant
      const timer = setTimeout(wake, Math.max(1, Math.ceil(at - now()) + 10));
      return () => clearTimeout(timer);
    },
  };
}
