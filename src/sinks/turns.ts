// A sink's work, one piece after the other, also over a reload that opens the same sink anew or gives it to another
// exchange: a write that a slow disk holds up can't land on top of a newer one, and who has lost the sink leaves it alone.

import type { TokenSink } from './sink.ts';

/** The end of the latest work, by the sink's id. */
export type Turns = Map<string, Promise<unknown>>;

/** @param isOurs whether the sink is still whose it was: asked when its turn comes */
export function inTurn(sink: TokenSink, turns: Turns, isOurs: () => boolean): TokenSink {
  function after<T>(work: () => Promise<T>): Promise<T> {
    const before = turns.get(sink.id);
    const done = before === undefined ? work() : before.then(work);
    const settled = done.then(
      () => {},
      () => {},
    );
    turns.set(sink.id, settled);
    void settled.then(() => {
      if (turns.get(sink.id) === settled) turns.delete(sink.id);
    });
    return done;
  }
  return {
    id: sink.id,
    deliver: (token) => after(async () => (isOurs() ? sink.deliver(token) : { written: false })),
    age: () => sink.age(),
    check: () => sink.check(),
    remove: () => after(async () => (isOurs() ? sink.remove() : undefined)),
  };
}
