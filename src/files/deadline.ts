// Deadlines of work that may hang. A process that gets no processor time (SIGSTOP, a busy node) runs its timers before it sees what
// has arrived in the meantime. So after a late deadline, the results that are already here are waited for: until the process has
// run without interruption for a moment, or up to a limit.

/** A timer that is later than this shows that the process didn't run. */
const LATE_MS = 100;
const TICK_MS = 25;

interface Grace {
  /** how long the process must run without interruption; by default enough for a reply's socket, TLS, parser and body */
  readonly quietMs?: number;
  /** the limit for a process that is interrupted again and again; `quietMs` by default */
  readonly mostMs?: number;
}

/** Calls `reached` once, after `ms`, or after the grace that follows a late timer. @returns cancels it */
export function startDeadline(ms: number, reached: () => void, { quietMs = 250, mostMs = 0 }: Grace = {}): () => void {
  let timer: NodeJS.Timeout;
  let [ticksLeft, end] = [0, Number.POSITIVE_INFINITY];
  const wait = (delayMs: number) => {
    const due = performance.now() + delayMs;
    timer = setTimeout(() => {
      const now = performance.now();
      if (now >= due + LATE_MS) {
        ticksLeft = Math.ceil(quietMs / TICK_MS);
        end = Math.min(end, now + Math.max(quietMs, mostMs));
      }
      if (ticksLeft === 0 || now >= end) return reached();
      ticksLeft -= 1;
      wait(TICK_MS);
    }, delayMs);
  };
  wait(ms);
  return () => clearTimeout(timer);
}
