// Cleanup of a test or a benchmark: closes resources in reverse order, and goes on if one step fails. node:test runs
// `after` hooks in the order of registration and stops at the first failure: it would remove the temporary directory
// while a daemon still writes to it, and then leave the daemon running, which keeps the test's process from exiting.

/** A test, or another owner of resources that calls these functions when it ends. */
export interface Scope {
  after(done: () => unknown): void;
}

export interface OpenScope extends Scope {
  /** Runs the registered functions, last in, first out. Rejects with their failures after all have run. */
  end(): Promise<void>;
}

const taken = new WeakSet<Scope>();

/** Reverses the order of the `after` hooks that are registered from now on, with the returned scope or with `t`. */
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
