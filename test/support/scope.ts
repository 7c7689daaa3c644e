// The end of a test or a benchmark: closes what it opened in reverse order, and all of it, even when one step fails.
// node:test alone runs `after` hooks first in, first out, and stops at the first failure. The temporary directory would go
// first, under a daemon that still writes to it, and the daemon would survive and keep the test's process from exiting.

/** A test, or anything else that ends one day and calls these functions then. */
export interface Scope {
  after(done: () => unknown): void;
}

export interface OpenScope extends Scope {
  /** Runs what was registered, last in, first out. Rejects with the failures after the last one has run. */
  end(): Promise<void>;
}

const taken = new WeakSet<Scope>();

/** Reverses the order of the `after` hooks that are registered from now on, through the answer or through `t` itself. */
export function scopeOf<T extends Scope>(t: T): T {
  if (taken.has(t)) return t;
  taken.add(t);
  const scope = openScope();
  t.after(() => scope.end());
  t.after = scope.after;
  return t;
}

export function openScope(): OpenScope {
  const endings: (() => unknown)[] = [];
  return {
    after: (done) => void endings.push(done),
    async end() {
      const failures: unknown[] = [];
      for (let done = endings.pop(); done !== undefined; done = endings.pop()) {
        try {
          await done();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length === 1) throw failures[0];
      if (failures.length > 1) throw new AggregateError(failures, 'several steps failed at the end');
    },
  };
}
