// Runs file operations that may hang, as on a network mount whose server is down. A hung operation can't be cancelled
// and blocks one of the few libuv threads, which DNS lookups need too. So each directory has one operation at a time,
// few directories are in use at once, and a directory with an overdue operation fails fast.

import { startDeadline } from './deadline.ts';

/** A third of the threads that main.ts sets (UV_THREADPOOL_SIZE): sinks and DNS lookups always find a free one. */
const MOST_AT_ONCE = 8;
const DEADLINE_MS = 5000;

interface Work {
  readonly directory: string;
  begin(): void;
}

/** by directory: whether its operation in flight is past the deadline */
const inFlight = new Map<string, { isOverdue: boolean }>();
const queue = new Set<Work>();

/**
 * Runs `operate` when the directory's turn comes. `operate` must not use more than one thread at a time.
 * @param deadlineMs includes the time in the queue; 5 s by default
 * @returns 'stuck' at the deadline, or at once while an earlier operation in the directory is overdue
 */
export function workIn<T>(
  directory: string,
  operate: () => Promise<T>,
  deadlineMs: number = DEADLINE_MS,
): Promise<T | 'stuck'> {
  if (inFlight.get(directory)?.isOverdue) return Promise.resolve('stuck');
  return new Promise((resolve, reject) => {
    const state = { isOverdue: false };
    const reached = () => {
      state.isOverdue = true;
      queue.delete(work);
      resolve('stuck');
    };
    const cancel = startDeadline(deadlineMs, reached, { mostMs: deadlineMs });
    const work: Work = {
      directory,
      begin() {
        inFlight.set(directory, state);
        operate()
          .then(resolve, reject)
          .finally(() => {
            cancel();
            inFlight.delete(directory);
            beginDue();
          });
      },
    };
    queue.add(work);
    beginDue();
  });
}

function beginDue(): void {
  for (const work of queue) {
    if (inFlight.size >= MOST_AT_ONCE) return;
    if (inFlight.has(work.directory)) continue;
    queue.delete(work);
    work.begin();
  }
}
