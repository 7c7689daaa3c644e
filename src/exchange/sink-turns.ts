// A sink's work, one piece after the other, also over a reload that opens the same sink again or gives it to another
// exchange: a write that a slow disk holds up can't land on top of a newer one, and an exchange that has lost the sink
// leaves it alone. Of pieces that wait for the same turn only the newest is done.

import type { TokenSink } from '../sinks/sink.ts';

interface Turn {
  /** settles with the work, and never rejects */
  readonly settled: Promise<unknown>;
  readonly startedAt: number;
}

interface Queue {
  /** the latest work, while it goes on */
  current: Turn | undefined;
  /** how many pieces of work go on: more than one only where some hang */
  underWay: number;
  /** the latest request, and what ends its wait */
  newest: { readonly supersede: () => void } | undefined;
}

/** by the sink's id */
export type Turns = Map<string, Queue>;

export interface TurnTools {
  readonly turns: Turns;
  /** milliseconds on a steady clock */
  readonly now: () => number;
  /** whether the sink still belongs to the exchange: asked when its turn comes */
  readonly isOurs: () => boolean;
}

/** Work that takes longer isn't waited for any more: its result may have been lost. */
const HUNG_MS = 45_000;
/** Each hanging call to a file system holds a thread, so no more than this many are made. */
const MOST_HUNG = 3;

export function inTurn(sink: TokenSink, { turns, now, isOurs }: TurnTools): TokenSink {
  /** @returns undefined where the work was left to a newer request, or the sink is no longer ours */
  async function after<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (!isOurs()) return undefined;
    const queue = turns.get(sink.id) ?? { current: undefined, underWay: 0, newest: undefined };
    turns.set(sink.id, queue);
    queue.newest?.supersede();
    const { promise: superseded, resolve: supersede } = Promise.withResolvers<void>();
    const request = { supersede };
    queue.newest = request;
    const isHung = ({ startedAt }: Turn) => now() - startedAt >= HUNG_MS && queue.underWay < MOST_HUNG;
    if (queue.current !== undefined && !isHung(queue.current)) {
      await Promise.race([superseded, queue.current.settled]);
      if (queue.newest !== request || !isOurs()) return undefined;
    }
    const done = work();
    const turn: Turn = { settled: done.catch(() => {}), startedAt: now() };
    queue.current = turn;
    queue.underWay += 1;
    void turn.settled.then(() => {
      queue.underWay -= 1;
      if (queue.current === turn) queue.current = undefined;
    });
    return done;
  }
  return {
    id: sink.id,
    deliver: async (token) => (await after(() => sink.deliver(token))) ?? { written: false },
    age: () => sink.age(),
    check: () => sink.check(),
    remove: async () => {
      await after(() => sink.remove());
    },
  };
}
