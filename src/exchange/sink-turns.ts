// Serializes the work on each sink, and its hooks, also across reloads: a slow write can't overwrite a newer one, unless it hangs in
// the rename itself, and an exchange that no longer owns the sink doesn't touch it. Of the requests that wait, only the newest runs.

import type { TokenSink } from '../sinks/sink.ts';

interface Turn {
  /** settles with the work, and never rejects */
  readonly settled: Promise<unknown>;
  readonly startedAt: number;
}

interface Queue {
  /** the latest operation, while it is in flight */
  current: Turn | undefined;
  /** the number of operations in flight: more than one only if some hang */
  inFlight: number;
  /** the latest request; supersede() ends its wait */
  newest: { readonly supersede: () => void } | undefined;
}

/** by what the work is on, such as the sink's id */
export type Turns = Map<string, Queue>;

export interface TurnTools {
  readonly turns: Turns;
  /** milliseconds on a steady clock */
  readonly now: () => number;
  /** whether the exchange still owns the sink; checked again when its turn comes */
  readonly isOurs: () => boolean;
  /** An operation in flight for longer counts as hung, and the next one doesn't wait for it; 45 s by default */
  readonly hungMs?: number;
}

const HUNG_MS = 45_000;
/** The limit of operations in flight per sink: each hung one may block a thread. */
const MOST_HUNG = 3;

/**
 * Returns a function that does work in turn. It returns undefined if a newer request superseded this one, or the exchange no longer
 * owns the sink. The work may ask whether it is still current: false once a later one didn't wait for it, since it hung.
 */
export function openTurn(id: string, { turns, now, isOurs, hungMs = HUNG_MS }: TurnTools) {
  return async <T>(work: (isCurrent: () => boolean) => Promise<T>): Promise<T | undefined> => {
    if (!isOurs()) return undefined;
    const queue = turns.get(id) ?? { current: undefined, inFlight: 0, newest: undefined };
    turns.set(id, queue);
    queue.newest?.supersede();
    const { promise: superseded, resolve: supersede } = Promise.withResolvers<void>();
    const request = { supersede };
    queue.newest = request;
    const isHung = ({ startedAt }: Turn) => now() - startedAt >= hungMs && queue.inFlight < MOST_HUNG;
    if (queue.current !== undefined && !isHung(queue.current)) {
      await Promise.race([superseded, queue.current.settled]);
      if (queue.newest !== request || !isOurs()) return undefined;
    }
    const done = work(() => queue.current === turn);
    const turn: Turn = { settled: done.catch(() => {}), startedAt: now() };
    queue.current = turn;
    queue.inFlight += 1;
    void turn.settled.then(() => {
      queue.inFlight -= 1;
      if (queue.current === turn) queue.current = undefined;
    });
    return done;
  };
}

export function inTurn(sink: TokenSink, tools: TurnTools): TokenSink {
  const after = openTurn(sink.id, tools);
  return {
    id: sink.id,
    deliver: async (token) => (await after((isCurrent) => sink.deliver(token, isCurrent))) ?? { written: false },
    read: () => sink.read(),
    age: () => sink.age(),
    check: () => sink.check(),
    remove: async () => {
      await after((isCurrent) => sink.remove(isCurrent));
    },
  };
}
