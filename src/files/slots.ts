// A limit of the operations at a time, as each one blocks a thread of Node's pool while its file system hangs. Name lookups and the
// log need threads too. The first operation in the queue whose key may begin is the next one.

interface Limits {
  readonly most: number;
  /** An operation begins beside another one of its key only while fewer than these are in flight; 0 by default. */
  readonly mostBesideOwn?: number;
}

interface Started<T> {
  readonly done: Promise<T>;
  /** Leaves the queue. @returns false if the operation has begun */
  leave(): boolean;
}

interface Waiting {
  readonly key: string;
  begin(): void;
}

/** Returns a function that runs `operate` when there is a slot for the key. `operate` must not use more than one thread at a time. */
export function openSlots({ most, mostBesideOwn = 0 }: Limits) {
  /** the key of each operation in flight */
  const inFlight: string[] = [];
  const queue = new Set<Waiting>();

  function beginDue(): void {
    for (const waiting of queue) {
      if (inFlight.length >= most) return;
      if (inFlight.length >= mostBesideOwn && inFlight.includes(waiting.key)) continue;
      queue.delete(waiting);
      inFlight.push(waiting.key);
      waiting.begin();
    }
  }

  return <T>(key: string, operate: () => Promise<T>): Started<T> => {
    const { promise: done, resolve, reject } = Promise.withResolvers<T>();
    const begin = () =>
      void operate()
        .then(resolve, reject)
        .finally(() => {
          inFlight.splice(inFlight.indexOf(key), 1);
          beginDue();
        });
    const waiting = { key, begin };
    queue.add(waiting);
    beginDue();
    return { done, leave: () => queue.delete(waiting) };
  };
}
