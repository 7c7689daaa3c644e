// Limits the sink operations at a time, so that sinks that hang leave threads to the rest of the process.

import { openSlots } from '../files/slots.ts';

/** A third of the threads that main.ts sets (UV_THREADPOOL_SIZE). */
const MOST_AT_ONCE = 8;
/** A sink with an operation in flight, which may hang, gets a second thread only while fewer than these are in use. */
const MOST_WITH_SECOND = 2;

const start = openSlots({ most: MOST_AT_ONCE, mostBesideOwn: MOST_WITH_SECOND });

/** Runs `operate` when a thread is free for the sink. `operate` must not use more than one at a time. */
export const inSlot = <T>(sink: string, operate: () => Promise<T>): Promise<T> => start(sink, operate).done;
