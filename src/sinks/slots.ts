// Limits the sink operations at a time: while its file system hangs, each one blocks a thread of Node's pool, which name lookups, the
// log and the readers of JWTs need too.

/** A third of the threads that main.ts sets (UV_THREADPOOL_SIZE). */
const MOST_AT_ONCE = 8;
/** A sink with an operation in flight, which may hang, gets a second thread only while fewer than these are in use. */
const MOST_WITH_SECOND = 2;

interface Work {
  readonly sink: string;
  begin(): void;
}

/** the sink of each operation in flight */
const inFlight: string[] = [];
const waiting = new Set<Work>();

/** Runs `operate` when a thread is free for the sink. `operate` must not use more than one at a time. */
export function inSlot<T>(sink: string, operate: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const begin = () => {
      inFlight.push(sink);
      operate()
        .then(resolve, reject)
        .finally(() => {
          inFlight.splice(inFlight.indexOf(sink), 1);
          beginDue();
        });
    };
    waiting.add({ sink, begin });
    beginDue();
  });
}

function beginDue(): void {
  for (const work of waiting) {
    if (inFlight.length >= MOST_AT_ONCE) return;
    if (inFlight.length >= MOST_WITH_SECOND && inFlight.includes(work.sink)) continue;
    waiting.delete(work);
    work.begin();
  }
}
