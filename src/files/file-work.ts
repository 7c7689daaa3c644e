// Runs file operations that may never end, as on a network mount whose server is gone. Node runs them on the few threads
// that DNS look-ups need too, and none can be cancelled: one that hangs keeps its thread. So each directory has one
// operation at a time, few directories are worked on at once, and a directory whose operation is overdue gets no other.

/** Half of the threads that main.ts asks for: sinks and DNS look-ups always find a free one. */
const MOST_AT_ONCE = 8;
const DEADLINE_MS = 5000;

interface Work {
  readonly directory: string;
  begin(): void;
}

/** by directory: whether the operation in flight has passed its deadline */
const inFlight = new Map<string, { isOverdue: boolean }>();
const queue = new Set<Work>();

/**
 * Runs `operate`, which uses one thread at a time, when the directory's turn comes.
 * @param deadlineMs 5 s by default, the time in the queue included
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
    const timer = setTimeout(() => {
      state.isOverdue = true;
      queue.delete(work);
      resolve('stuck');
    }, deadlineMs);
    const work: Work = {
      directory,
      begin() {
        inFlight.set(directory, state);
        operate()
          .then(resolve, reject)
          .finally(() => {
            clearTimeout(timer);
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
