// The exchanges of one process, by name. Each stands alone, so one that fails doesn't touch the others.

import { isDeepStrictEqual } from 'node:util';
import { STOP_MS } from '../core/schedule.ts';
import type { ExchangeSettings } from '../core/settings.ts';
import type { State } from '../core/state.ts';
import {
  type ExchangeTools,
  openServedExchange,
  type ServedBeginning,
  type ServedExchange,
} from './served-exchange.ts';
import type { ExchangeView } from './view.ts';

export interface Exchanges {
  views(): readonly ExchangeView[];
  /** Resolves when every exchange has delivered its first token to all its sinks. */
  readonly started: Promise<void>;
  /** whether that is so; what a reload adds changes nothing about it */
  isStarted(): boolean;
  /** when any exchange was last stepped, on the clock of performance.now() */
  lastStepAt(): number;
  /** Makes the exchanges those of `settings`; the ones that are unchanged keep their tokens. */
  apply(settings: readonly ExchangeSettings[]): Promise<void>;
  /** Lets each end as its `on_stop` says, in little more than a second whatever hangs. */
  stop(): Promise<void>;
  /** Ends at once and leaves everything as it is. */
  close(): Promise<void>;
}

interface SharedTools extends Omit<ExchangeTools, 'tokenFor' | 'turns' | 'mayUse'> {
  /** a person or a job wants a token now, and then the process ends; it doesn't if left out */
  readonly isOneShot?: boolean;
}

export function openExchanges(
  settings: readonly ExchangeSettings[],
  { isOneShot = false, ...shared }: SharedTools,
): Exchanges {
  const served = new Map<string, ServedExchange>();
  const firstDeliveries = openFirstDeliveries(settings.map(({ name }) => name));
  const config = openConfigInForce(settings);
  const tokenFor = (asking: ExchangeSettings, name: string) => {
    const address = config.vaultOf(name, asking);
    return address === undefined ? undefined : served.get(name)?.tokenFrom(address);
  };
  const tools: ExchangeTools = { ...shared, tokenFor, mayUse: config.mayUse, turns: new Map() };
  let lastStepAt = performance.now();
  let isEnding = false;
  /** those that a reload took away, until they have ended */
  const leaving = new Set<Promise<void>>();
  const open = (one: ExchangeSettings, beginning: ServedBeginning) => {
    const onStep = (state: State) => {
      lastStepAt = performance.now();
      if (state.started) firstDeliveries.done(one.name);
    };
    served.set(one.name, openServedExchange(one, tools, beginning, onStep));
  };
  const stop = (one: ServedExchange) => {
    const stopped = one.stop(GRACE_MS).finally(() => leaving.delete(stopped));
    leaving.add(stopped);
  };

  const firstTime = startTimes(tools.clock.now());
  for (const one of settings) open(one, { startsAt: firstTime(), honoursLastLogin: !isOneShot });
  return {
    views: () => [...served.values()],
    started: firstDeliveries.all,
    isStarted: firstDeliveries.isDone,
    lastStepAt: () => lastStepAt,
    async apply(next) {
      if (isEnding) return;
      const leftSinks = config.replace(next);
      const gone = [...served.values()].filter(({ name }) => !next.some((one) => one.name === name));
      for (const { name } of gone) {
        served.delete(name);
        firstDeliveries.done(name);
      }
      const nextTime = startTimes(tools.clock.now());
      for (const one of next) {
        // a stop came while another exchange was changed: nothing starts any more
        if (isEnding) break;
        const known = served.get(one.name);
        if (known === undefined) open(one, { startsAt: nextTime() });
        else if (isDeepStrictEqual(known.settings(), one)) known.retry();
        else await known.change(one, nextTime());
      }
      for (const one of gone) stop(one);
      await Promise.all(leaving);
      for (const { name } of gone) if (!served.has(name)) tools.observer.removed(name);
      for (const { name, path } of leftSinks) tools.observer.left(name, path);
    },
    async stop() {
      isEnding = true;
      for (const one of served.values()) stop(one);
      await Promise.all(leaving);
    },
    async close() {
      isEnding = true;
      await Promise.all([...served.values()].map((one) => one.close()));
    },
  };
}

/** The exchanges that the process started with, until each has delivered its first token. */
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

/** When each of many exchanges may start: Vault gets a stream of logins, not a wave. */
function startTimes(now: number): () => number {
  let next = now - START_GAP_MS;
  return () => {
    next += START_GAP_MS;
    return next;
  };
}

/** What exchanges may do to one another's tokens and sinks: the latest config decides, also while it is being applied. */
function openConfigInForce(first: readonly ExchangeSettings[]) {
  let inForce = first;
  /** looked up at every delivery, so by the sink: many exchanges don't cost each of them */
  let owners = ownersOf(first);
  return {
    /** The Vault of an exchange whose token another one asks for; undefined unless both are in force as they stand. */
    vaultOf(name: string, asking: ExchangeSettings): string | undefined {
      const asker = inForce.find((one) => one.name === asking.name);
      if (!isDeepStrictEqual(asker?.source, asking.source)) return undefined;
      return inForce.find((one) => one.name === name)?.vault.address;
    },
    mayUse: (exchange: string, sink: string) => (owners.get(sink) ?? exchange) === exchange,
    /** @returns the sinks that are nobody's any more and whose files stay */
    replace(next: readonly ExchangeSettings[]) {
      const kept = inForce.filter(({ onStop }) => onStop === 'keep');
      const sinks = kept.flatMap(({ name, sinks }) => sinks.map(({ path }) => ({ name, path })));
      inForce = next;
      owners = ownersOf(next);
      return sinks.filter(({ path }) => !owners.has(path));
    },
  };
}

/** Which exchange each sink belongs to. */
const ownersOf = (settings: readonly ExchangeSettings[]): ReadonlyMap<string, string> =>
  new Map(settings.flatMap(({ name, sinks }) => sinks.map(({ path }) => [path, name] as const)));

/** The core's own time for a stop, and a little more for the timer that may be late. */
const GRACE_MS = STOP_MS + 200;
const START_GAP_MS = 5;
