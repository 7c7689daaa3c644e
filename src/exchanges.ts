// The exchanges of one process, by name. Each stands alone, so one that fails doesn't touch the others.

import { isDeepStrictEqual } from 'node:util';
import type { ExchangeSettings } from './core/settings.ts';
import type { State } from './core/state.ts';
import type { ExchangeView } from './http/exchange-view.ts';
import { type ExchangeTools, openServedExchange, type ServedExchange } from './served-exchange.ts';

export interface Exchanges {
  views(): readonly ExchangeView[];
  /** Resolves when every exchange has delivered its first token to all its sinks. */
  readonly started: Promise<void>;
  /** whether that is so; what a reload adds changes nothing about it */
  isStarted(): boolean;
  /** when any exchange was last stepped, on the steady clock */
  lastStepAt(): number;
  /** Makes the exchanges those of `settings`; the ones that are unchanged keep their tokens. */
  apply(settings: readonly ExchangeSettings[]): Promise<void>;
  /** Lets each end as its `on_stop` says, within `graceMs`. */
  stop(graceMs: number): Promise<void>;
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
  let lastStepAt = tools.clock.now();
  let isEnding = false;
  const open = (one: ExchangeSettings, startsInMs: number, looksBack: boolean) => {
    const onStep = (state: State) => {
      lastStepAt = tools.clock.now();
      if (state.started) doneStarting(one.name);
    };
    served.set(one.name, openServedExchange(one, tools, { startsInMs, looksBack, onStep }));
  };

  for (const [index, one] of settings.entries()) open(one, index * START_GAP_MS, !isOneShot);
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
      let startsInMs = 0;
      for (const one of next) {
        // a stop came while another one was changed: nothing is begun any more
        if (isEnding) break;
        const known = served.get(one.name);
        if (known !== undefined && isDeepStrictEqual(known.settings(), one)) continue;
        if (known === undefined) open(one, startsInMs, false);
        else await known.change(one, startsInMs);
        startsInMs += START_GAP_MS;
      }
      await Promise.all(gone.map((one) => one.stop(GRACE_MS)));
    },
    async stop(graceMs) {
      isEnding = true;
      await Promise.all([...served.values()].map((one) => one.stop(graceMs)));
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

const GRACE_MS = 3000;
/** From the start of one exchange to that of the next: many of them come to Vault as a stream, not as a wave. */
const START_GAP_MS = 5;
