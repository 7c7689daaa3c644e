// Deadlines of work that may hang. A process that gets no processor time (SIGSTOP, a busy node) runs its timers before it sees what
// has arrived in the meantime. So after a late deadline, the results that are already here are waited for: until the process has
// run without interruption for a moment, or up to a limit.

/** A timer that is later than this shows that the process didn't run. */
const LATE_MS = 100;
/** So many short timers in a row must be on time: enough turns of the event loop for a reply's socket, TLS, parser and body. */
const TICKS = 10;
const TICK_MS = 25;

/** The least that a late deadline waits. */
const SHORT_GRACE_MS = TICKS * TICK_MS;

/** Calls `reached` once, after `ms`, or up to `mostGraceMs` later in a process that hardly runs. @returns cancels it */
export function startDeadline(ms: number, reached: () => void, mostGraceMs: number = SHORT_GRACE_MS): () => void {
  let timer: NodeJS.Timeout;
  let [ticksLeft, end] = [0, Number.POSITIVE_INFINITY];
  const wait = (delayMs: number) => {
    const due = performance.now() + delayMs;
    timer = setTimeout(() => {
      const now = performance.now();
      if (now >= due + LATE_MS) {
        ticksLeft = TICKS;
        end = Math.min(end, now + Math.max(SHORT_GRACE_MS, mostGraceMs));
      }
      if (ticksLeft === 0 || now >= end) return reached();
      ticksLeft -= 1;
      wait(TICK_MS);
    }, delayMs);
  };
  wait(ms);
  return () => clearTimeout(timer);
}
