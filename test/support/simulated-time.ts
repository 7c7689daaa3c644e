// Virtual time. Events of the world happen exactly when planned; events of the process under test can be delayed by
// late timers, a sleep of the machine or SIGSTOP, and are dropped by a kill. Pending promises run between two events,
// so that a plan always runs the same way.

import type { Clock } from '../../src/exchange/runner.ts';

export const T0 = Date.UTC(2026, 10, 1);

interface Happening {
  at: number;
  /** when it was due, without lateness */
  readonly dueAt: number;
  readonly order: number;
  happen: (() => void) | undefined;
}

export class SimulatedTime {
  /** the value of Clock.now, which never jumps, and goes on while the machine sleeps */
  now = T0;
  /** the wall clock's offset from the true time, `now` */
  wallOffsetMs = 0;
  /** the number of the current process; a kill increments it */
  life = 0;
  /** the lateness of a timer, drawn for each one; 0 if punctual */
  lateness = (): number => 0;
  readonly #world = new Agenda();
  /** events of the process, on a clock that stops while the machine sleeps */
  #own = new Agenda();
  #asleepMs = 0;
  #asleepUntil = Number.NEGATIVE_INFINITY;
  #stoppedUntil = Number.NEGATIVE_INFINITY;
  #timers = 0;
  #isRestless = true;

  /** Plans an event outside of the process, which is never delayed. */
  at(at: number, happen: () => void): void {
    this.#world.add(Math.max(at, this.now), happen);
  }

  /** Plans an event of the process, such as a reply or the end of a write. */
  forProcess(delayMs: number, happen: () => void, lateMs = 0): () => void {
    return this.#own.add(this.now - this.#asleepMs + delayMs, happen, lateMs);
  }

  /** Waits for `ms` of the process, such as for the end of a write. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.forProcess(ms, () => {
        resolve();
        this.touch();
      });
    });
  }

  /** Ends the lateness of all pending timers. */
  catchUp(): void {
    this.#own = this.#own.caughtUp(this.now - this.#asleepMs);
  }

  /** Lets pending promises run before the next event. */
  touch(): void {
    this.#isRestless = true;
  }

  clock(random: () => number): Clock {
    return {
      now: () => this.now,
      wall: () => this.now + this.wallOffsetMs,
      random,
      wakeAt: (at, wake) => {
        this.#timers += 1;
        const ended = once(() => {
          this.#timers -= 1;
        });
        const { life } = this;
        const onTime = () => {
          ended();
          wake();
        };
        const cancel = this.forProcess(Math.max(1, at - this.now), onTime, this.lateness());
        return () => {
          // kill() has already reset the count of its process
          if (life === this.life) ended();
          cancel();
        };
      },
    };
  }

  /** the number of pending timers of the process */
  get timers(): number {
    return this.#timers;
  }

  /** Puts the machine to sleep: clocks go on, timers don't. */
  sleep(ms: number): void {
    const until = this.now + ms;
    this.#asleepMs += Math.max(0, until - Math.max(this.now, this.#asleepUntil));
    this.#asleepUntil = Math.max(until, this.#asleepUntil);
    this.stop(ms);
  }

  /** Stops the process for a while (SIGSTOP, an overloaded host): events due meanwhile happen at its end. */
  stop(ms: number): void {
    this.#stoppedUntil = Math.max(this.#stoppedUntil, this.now + ms);
  }

  /** Kills the process, and drops its events. */
  kill(): void {
    this.#own = new Agenda();
    this.#timers = 0;
    this.life += 1;
    this.#stoppedUntil = Number.NEGATIVE_INFINITY;
  }

  /** Lets time pass until `end`, or until `isOver`. */
  async pass(end: number, isOver: () => boolean): Promise<void> {
    for (;;) {
      if (this.#isRestless) {
        this.#isRestless = false;
        await new Promise(process.nextTick);
      }
      if (isOver()) return;
      const [own, world] = [this.#own.first(), this.#world.first()];
      const ownAt = own === undefined ? Number.POSITIVE_INFINITY : this.#ownInstant(own.at);
      const worldAt = world?.at ?? Number.POSITIVE_INFINITY;
      if (Math.min(ownAt, worldAt) > end) break;
      const isOwn = ownAt < worldAt;
      const next = isOwn ? this.#own.take() : this.#world.take();
      this.now = Math.max(this.now, Math.min(ownAt, worldAt));
      next?.();
      // a step may start promises that don't use this clock
      this.#isRestless ||= isOwn;
    }
    this.now = Math.max(this.now, end);
  }

  #ownInstant(at: number): number {
    return Math.max(at + this.#asleepMs, this.#stoppedUntil);
  }
}

/** A queue of planned events: the earliest first, and in the order of planning within an instant. */
export class Agenda {
  readonly #heap: Happening[] = [];
  #order = 0;

  add(dueAt: number, happen: () => void, lateMs = 0): () => void {
    const added: Happening = { at: dueAt + lateMs, dueAt, order: this.#order++, happen };
    this.#push(added);
    return () => {
      added.happen = undefined;
    };
  }

  /** Returns a copy without lateness. */
  caughtUp(now: number): Agenda {
    const agenda = new Agenda();
    agenda.#order = this.#order;
    for (const one of this.#heap) {
      one.at = Math.min(one.at, Math.max(one.dueAt, now));
      agenda.#push(one);
    }
    return agenda;
  }

  #push(added: Happening): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(added);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Happening;
      if (!isBefore(added, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = added;
  }

  /** The next event; drops cancelled ones. */
  first(): Happening | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].happen === undefined) this.#pop();
    return this.#heap[0];
  }

  take(): (() => void) | undefined {
    const first = this.#heap[0]?.happen;
    this.#pop();
    return first;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Happening)) child += 1;
      const smaller = heap[child] as Happening;
      if (!isBefore(smaller, last)) break;
      heap[index] = smaller;
      index = child;
    }
    heap[index] = last;
  }
}

const isBefore = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
