// A sink's work, one piece after the other, also over a reload that opens the same sink anew: a write that a slow disk holds
// up can't land on top of a newer one.

import type { TokenSink } from './sink.ts';

/** The end of the latest work, by the sink's id. */
export type Turns = Map<string, Promise<unknown>>;

export function inTurn(sink: TokenSink, turns: Turns): TokenSink {
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
    deliver: (token) => after(() => sink.deliver(token)),
    age: () => sink.age(),
    check: () => sink.check(),
    remove: () => after(() => sink.remove()),
  };
}
