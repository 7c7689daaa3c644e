// Deadlines of work that may hang. A process that got no processor time for a while (SIGSTOP, a busy node) runs its timers before it
// sees what has arrived in the meantime. So a late deadline gives the results that are already here a moment.

/** A timer that is later than this shows that the process didn't run. */
const LATE_MS = 100;
/** Enough turns of the event loop for a reply: its socket, TLS, its parser, its body. */
const GRACE_MS = 250;

/** Calls `reached` once, after `ms` or a little later. @returns cancels it */
export function startDeadline(ms: number, reached: () => void): () => void {
  const due = performance.now() + ms;
  let timer = setTimeout(() => {
    if (performance.now() < due + LATE_MS) reached();
    else timer = setTimeout(reached, GRACE_MS);
  }, ms);
  return () => clearTimeout(timer);
}
