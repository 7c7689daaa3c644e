// The exchanges of one process, by name. Each stands alone, so one that fails doesn't touch the others.

import { isDeepStrictEqual } from 'node:util';
import { STOP_MS } from './core/schedule.ts';
import type { ExchangeSettings } from './core/settings.ts';
import type { State } from './core/state.ts';
import type { ExchangeView } from './http/exchange-view.ts';
import {
  type ExchangeTools,
  openServedExchange,
  type ServedBeginning,
  type ServedExchange,
} from './served-exchange.ts';

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
  let inForce = settings;
  // A token goes to the Vault that granted it and to no other, also while a reload moves exchanges from one to another:
  // both who asks and whose token it is must be under the config in force by then.
  const tokenFor = (asking: ExchangeSettings, name: string) => {
    const asker = inForce.find((one) => one.name === asking.name);
    const address = inForce.find((one) => one.name === name)?.vault.address;
    if (address === undefined || !isDeepStrictEqual(asker?.source, asking.source)) return undefined;
    return served.get(name)?.tokenFrom(address);
  };
  /** asked at every delivery: by the sink, so that many exchanges don't cost each of them */
  let owners = ownersOf(settings);
  const mayUse = (exchange: string, sink: string) => (owners.get(sink) ?? exchange) === exchange;
  const tools: ExchangeTools = { ...shared, tokenFor, mayUse, turns: new Map() };
  let tellStarted = () => {};
  const started = new Promise<void>((resolve) => {
    tellStarted = resolve;
  });
  const starting = new Set(settings.map(({ name }) => name));
  const doneStarting = (name: string) => {
    if (starting.delete(name) && starting.size === 0) tellStarted();
  };
  let lastStepAt = performance.now();
  let isEnding = false;
  const open = (one: ExchangeSettings, beginning: ServedBeginning) => {
    const onStep = (state: State) => {
      lastStepAt = performance.now();
      if (state.started) doneStarting(one.name);
    };
    served.set(one.name, openServedExchange(one, tools, beginning, onStep));
  };
  const startTimes = () => {
    let startsAt = tools.clock.now() - START_GAP_MS;
    return () => {
      startsAt += START_GAP_MS;
      return startsAt;
    };
  };

  const firstTime = startTimes();
  for (const one of settings) open(one, { startsAt: firstTime(), looksForLastLogin: !isOneShot });
  return {
    views: () => [...served.values()],
    started,
    isStarted: () => starting.size === 0,
    lastStepAt: () => lastStepAt,
    async apply(next) {
      if (isEnding) return;
      inForce = next;
      owners = ownersOf(next);
      const names = new Set(next.map(({ name }) => name));
      const gone = [...served.values()].filter(({ name }) => !names.has(name));
      for (const { name } of gone) {
        served.delete(name);
        doneStarting(name);
      }
      const nextTime = startTimes();
      for (const one of next) {
        // a stop came while another exchange was changed: nothing starts any more
        if (isEnding) break;
        const known = served.get(one.name);
        if (known === undefined) open(one, { startsAt: nextTime() });
        else if (isDeepStrictEqual(known.settings(), one)) known.retry();
        else await known.change(one, nextTime());
      }
      await Promise.all(gone.map((one) => one.stop(GRACE_MS)));
      for (const { name } of gone) if (!served.has(name)) tools.observer.removed(name);
    },
    async stop() {
      isEnding = true;
      await Promise.all([...served.values()].map((one) => one.stop(GRACE_MS)));
    },
    async close() {
      isEnding = true;
      await Promise.all([...served.values()].map((one) => one.close()));
    },
  };
}

/** Which exchange each sink belongs to. */
const ownersOf = (settings: readonly ExchangeSettings[]): ReadonlyMap<string, string> =>
  new Map(settings.flatMap(({ name, sinks }) => sinks.map(({ path }) => [path, name] as const)));

/** The core's own time for a stop, and a little more for the timer that may be late. */
const GRACE_MS = STOP_MS + 200;
/** From the start of one exchange to that of the next: Vault gets a stream of logins, not a wave. */
const START_GAP_MS = 5;
