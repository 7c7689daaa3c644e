// The exchanges of one process, by name. They are independent: a failing exchange doesn't affect the others.

import { isDeepStrictEqual } from 'node:util';
import { STOP_MS } from '../core/schedule.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { State } from '../core/state.ts';
import { openCorrelationIds } from './correlation.ts';
import {
  type ExchangeTools,
  openServedExchange,
  type ServedBeginning,
  type ServedExchange,
} from './served-exchange.ts';
import type { ExchangeView } from './view.ts';

export interface Exchanges {
  views(): readonly ExchangeView[];
  view(name: string): ExchangeView | undefined;
  /** when the first exchange starts, on the steady clock: later than the opening only with `startJitterMs` */
  readonly startsAt: number;
  /** Resolves when every exchange has delivered its first token to all its sinks. */
  readonly started: Promise<void>;
  /** returns a new id for a call to Vault */
  readonly nextCorrelationId: () => string;
  /** whether `started` has resolved; exchanges that a reload adds don't count */
  isStarted(): boolean;
  /** when any exchange last made a step, on the clock of performance.now() */
  lastStepAt(): number;
  /** Applies new settings: adds, changes and removes exchanges. Unchanged exchanges only end their backoffs. */
  apply(settings: readonly ExchangeSettings[]): Promise<void>;
  /** Stops every exchange as its `on_stop` says, in little more than a second even if a call hangs. */
  stop(): Promise<void>;
  /**
   * Ends a one-shot run: closes the exchanges that have delivered to their sinks (or all), with token and files kept, and
   * stops the others.
   */
  close(keeps?: 'all' | 'delivered'): Promise<void>;
}

interface SharedTools extends Omit<ExchangeTools, 'tokenFor' | 'turns' | 'mayUse' | 'nextCorrelationId' | 'ending'> {
  /** true for `once`: an earlier process's login doesn't count against the rate limit; false by default */
  readonly isOneShot?: boolean;
  /** the exchanges start after a random delay up to this; 0 by default */
  readonly startJitterMs?: number;
}

export function openExchanges(
  settings: readonly ExchangeSettings[],
  { isOneShot = false, startJitterMs = 0, ...shared }: SharedTools,
): Exchanges {
  const served = new Map<string, ServedExchange>();
  const firstDeliveries = openFirstDeliveries(settings.map(({ name }) => name));
  const config = openConfigInForce(settings);
  const tokenFor = tokensIn(served, config);
  const nextCorrelationId = openCorrelationIds(shared.clock.random);
  const ending = new AbortController();
  const ofAll = { tokenFor, nextCorrelationId, mayUse: config.mayUse, turns: new Map(), ending: ending.signal };
  const tools: ExchangeTools = { ...shared, ...ofAll };
  let lastStepAt = performance.now();
  const open = (one: ExchangeSettings, beginning: ServedBeginning) => {
    const onStep = (state: State) => {
      lastStepAt = performance.now();
      if (state.started) firstDeliveries.done(one.name);
    };
    served.set(one.name, openServedExchange(one, tools, beginning, onStep));
  };
  const stopAll = openStops();

  const startsAt = tools.clock.now() + tools.clock.random() * startJitterMs;
  const firstTime = startTimes(startsAt);
  for (const one of settings) open(one, { startsAt: firstTime(), honoursLastLogin: !isOneShot });
  return {
    views: () => [...served.values()],
    view: (name) => served.get(name),
    startsAt,
    nextCorrelationId,
    started: firstDeliveries.all,
    isStarted: firstDeliveries.isDone,
    lastStepAt: () => lastStepAt,
    async apply(next) {
      if (ending.signal.aborted) return;
      const orphanedSinks = config.replace(next);
      const gone = [...served.values()].filter(({ name }) => !next.some((one) => one.name === name));
      for (const { name } of gone) {
        served.delete(name);
        firstDeliveries.done(name);
      }
      const stopped = stopAll(gone);
      // a new exchange must not take over a token that a removed one is about to revoke
      if (next.some(({ name, onStart }) => onStart === 'reuse' && !served.has(name))) await stopped;
      const nextTime = startTimes(tools.clock.now());
      for (const one of next) {
        // stop() was called while another exchange was being changed: open nothing more
        if (ending.signal.aborted) break;
        const known = served.get(one.name);
        if (known === undefined) open(one, { startsAt: nextTime() });
        else if (isDeepStrictEqual(known.settings(), one)) known.retry();
        else await known.change(one, nextTime());
      }
      await stopped;
      for (const { name } of gone) if (!served.has(name)) tools.observer.removed(name);
      for (const { name, path } of orphanedSinks) tools.observer.left(name, path);
    },
    async stop() {
      ending.abort();
      await stopAll([...served.values()]);
    },
    async close(keeps = 'delivered') {
      ending.abort();
      const isKept = (one: ServedExchange) =>
        keeps === 'all' || (one.settings().sinks.length > 0 && one.status().started);
      const ends = [...served.values()].map((one) => (isKept(one) ? one.close() : one.stop(GRACE_MS)));
      await Promise.all(ends);
    },
  };
}

/** Returns a function that stops exchanges, and waits for them and for earlier ones that still stop. */
function openStops() {
  const pending = new Set<Promise<void>>();
  return (ending: readonly ServedExchange[]): Promise<unknown> => {
    for (const one of ending) {
      const stopped = one.stop(GRACE_MS).finally(() => pending.delete(stopped));
      pending.add(stopped);
    }
    const all = Promise.all(pending);
    // a caller may await it later: a rejection must not end the process before
    all.catch(() => {});
    return all;
  };
}

/** Returns the lookup of the tokens that request identity tokens. */
const tokensIn =
  (
    served: ReadonlyMap<string, ServedExchange>,
    { vaultOf }: ReturnType<typeof openConfigInForce>,
  ): ExchangeTools['tokenFor'] =>
  (asking, name) => {
    const address = vaultOf(name, asking);
    return address === undefined ? undefined : served.get(name)?.tokenFrom(address);
  };

/** Tracks which of the initial exchanges haven't delivered their first token. */
function openFirstDeliveries(names: readonly string[]) {
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const missing = new Set(names);
  return {
    all,
    isDone: () => missing.size === 0,
    done(name: string) {
      if (missing.delete(name) && missing.size === 0) resolve();
    },
  };
}

/** Returns start times START_GAP_MS apart, so that the exchanges don't all log in at once. */
function startTimes(now: number): () => number {
  let next = now - START_GAP_MS;
  return () => {
    next += START_GAP_MS;
    return next;
  };
}

/** Decides which exchange may use which token and sink. The latest config counts, even while it is being applied. */
function openConfigInForce(first: readonly ExchangeSettings[]) {
  let inForce = first;
  /** a Map, because every delivery looks up its sink */
  let owners = ownersOf(first);
  return {
    /**
     * Returns the Vault address of exchange `name`, whose token `asking` uses to request identity tokens. Undefined if
     * the latest config has removed either exchange, or has changed the source of `asking`.
     */
    vaultOf(name: string, asking: ExchangeSettings): string | undefined {
      const asker = inForce.find((one) => one.name === asking.name);
      if (!isDeepStrictEqual(asker?.source, asking.source)) return undefined;
      return inForce.find((one) => one.name === name)?.vault.address;
    },
    mayUse: (exchange: string, sink: string) => (owners.get(sink) ?? exchange) === exchange,
    /** @returns the sinks that no exchange owns any more and whose files stay (`on_stop: keep`) */
    replace(next: readonly ExchangeSettings[]) {
      const kept = inForce.filter(({ onStop }) => onStop === 'keep');
      const sinks = kept.flatMap(({ name, sinks }) => sinks.map(({ path }) => ({ name, path })));
      inForce = next;
      owners = ownersOf(next);
      return sinks.filter(({ path }) => !owners.has(path));
    },
  };
}

/** Maps each sink's path to the exchange that owns it. */
const ownersOf = (settings: readonly ExchangeSettings[]): ReadonlyMap<string, string> =>
  new Map(settings.flatMap(({ name, sinks }) => sinks.map(({ path }) => [path, name] as const)));

/** The core's deadline for a stop, plus a margin for a late timer. */
const GRACE_MS = STOP_MS + 200;
const START_GAP_MS = 5;
