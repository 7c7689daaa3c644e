// Virtual time: the world's happenings come exactly when planned; those of the process under test come when its machine
// lets them: late timers, a sleep, a stop (SIGSTOP), and never again after a kill. Promises are given their turn between two
// happenings, so that the same plan always runs the same way.

import type { Clock } from '../../src/exchange/runner.ts';

export const T0 = Date.UTC(2026, 10, 1);

interface Happening {
  at: number;
  /** when it would have come, had it not been late */
  readonly dueAt: number;
  readonly order: number;
  happen: (() => void) | undefined;
}

export class SimulatedTime {
  /** what Clock.now tells: it never jumps, and goes on while the machine sleeps */
  now = T0;
  /** how far the machine's wall clock is off the true time, which `now` is */
  wallOffsetMs = 0;
  /** which process runs: grows with every kill */
  life = 0;
  /** how late a timer is, drawn for each one; 0: on the instant */
  lateness = (): number => 0;
  readonly #world = new Agenda();
  /** the process's own: their instants are those of a clock that stops while the machine sleeps */
  #own = new Agenda();
  #asleepMs = 0;
  #asleepUntil = Number.NEGATIVE_INFINITY;
  #stoppedUntil = Number.NEGATIVE_INFINITY;
  #timers = 0;
  #isRestless = true;

  /** Plans a happening outside of the process: nothing holds it up. */
  at(at: number, happen: () => void): void {
    this.#world.add(Math.max(at, this.now), happen);
  }

  /** Plans what the process will get to see: an answer, the end of a write. */
  forProcess(delayMs: number, happen: () => void, lateMs = 0): () => void {
    return this.#own.add(this.now - this.#asleepMs + delayMs, happen, lateMs);
  }

  /** From now on timers are late no more, also those that are set. */
  catchUp(): void {
    this.#own = this.#own.caughtUp(this.now - this.#asleepMs);
  }

  /** Promises may have something to do now. */
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
          // one of a process that was killed is counted no more
          if (life === this.life) ended();
          cancel();
        };
      },
    };
  }

  /** timers of the process that are set */
  get timers(): number {
    return this.#timers;
  }

  /** The machine sleeps: clocks go on, timers don't. */
  sleep(ms: number): void {
    const until = this.now + ms;
    this.#asleepMs += Math.max(0, until - Math.max(this.now, this.#asleepUntil));
    this.#asleepUntil = Math.max(until, this.#asleepUntil);
    this.stop(ms);
  }

  /** The process gets no turn for a while (SIGSTOP, a host without time for it): what is due then comes at once. */
  stop(ms: number): void {
    this.#stoppedUntil = Math.max(this.#stoppedUntil, this.now + ms);
  }

  /** The process is gone, and all that it waited for. */
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
      // a step may begin what goes on without anything of ours being asked
      this.#isRestless ||= isOwn;
    }
    this.now = Math.max(this.now, end);
  }

  #ownInstant(at: number): number {
    return Math.max(at + this.#asleepMs, this.#stoppedUntil);
  }
}

/** What is planned, the earliest first; of two at one instant the one that was planned first. */
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

  /** The same without anything that is late. */
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

  /** Those that were called off are dropped on the way. */
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
