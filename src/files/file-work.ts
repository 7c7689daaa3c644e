// Runs file operations that may hang, as on a network mount whose server is down. A hung operation can't be cancelled
// and blocks one of the few libuv threads, which DNS lookups need too. So each directory has one operation at a time,
// few directories are in use at once, and a directory with an overdue operation fails fast.

import { startDeadline } from './deadline.ts';
import { openSlots } from './slots.ts';

/** A third of the threads that main.ts sets (UV_THREADPOOL_SIZE): sinks and DNS lookups always find a free one. */
const MOST_AT_ONCE = 8;
const DEADLINE_MS = 5000;

const start = openSlots({ most: MOST_AT_ONCE });
/** the directories whose operation in flight is past its deadline */
const overdue = new Set<string>();

/**
 * Runs `operate` when the directory's turn comes. `operate` must not use more than one thread at a time.
 * @param deadlineMs includes the time in the queue; 5 s by default
 * @returns 'stuck' at the deadline, or at once while an earlier operation in the directory is overdue
 */
export async function workIn<T>(
  directory: string,
  operate: () => Promise<T>,
  deadlineMs: number = DEADLINE_MS,
): Promise<T | 'stuck'> {
  if (overdue.has(directory)) return 'stuck';
  const { promise: stuck, resolve } = Promise.withResolvers<'stuck'>();
  const { done, leave } = start(directory, () =>
    operate().finally(() => {
      cancel();
      overdue.delete(directory);
    }),
  );
  const reached = () => {
    if (!leave()) overdue.add(directory);
    resolve('stuck');
  };
  const cancel = startDeadline(deadlineMs, reached, { mostMs: deadlineMs });
  return Promise.race([done, stuck]);
}
