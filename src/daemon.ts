// The composition root: builds the exchanges, the observer and the two listeners, and defines the start and stop order.
// Start: the exchanges read the JWT and log in at once; logger, metrics and listeners load after that, to not delay the first token.
// Stop: the listeners and exchanges close in parallel, then the log is flushed, all within 1.5 s.

import { isDeepStrictEqual } from 'node:util';
import type { Settings } from './core/settings.ts';
import { openSystemClock, within } from './exchange/clock.ts';
import { type Exchanges, openExchanges } from './exchange/exchanges.ts';
import type { Clock } from './exchange/runner.ts';
import type { CallerToken } from './http/caller-token.ts';
import { openLateObserver } from './observe/late-observer.ts';
import type { Observer } from './observe/observe.ts';
import type { Proxies } from './proxy/open-proxies.ts';
import { REAL_PORTS } from './real-ports.ts';

export interface DaemonParts {
  readonly settings: Settings;
  /** called after the first logins, or after HEAD_START_MS */
  readonly openObserver: () => Promise<Observer>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** ends the start */
  readonly stopRequested?: Promise<void>;
}

export interface Daemon {
  readonly observer: Observer;
  readonly exchanges: Exchanges;
  /** the URLs of the listeners, without a trailing slash; unix:/path for a socket */
  readonly api: string;
  readonly ops: string;
  /** Reports whether the exchanges still run their steps. */
  isStepping(): boolean;
  reload(settings: Settings): Promise<void>;
  refresh(): void;
  stop(): Promise<void>;
}

/** How long loading the rest waits for the first tokens, so that it doesn't slow down the logins. */
const HEAD_START_MS = 1000;
/** The deadline of a stop. The exchanges take a little more than a second; hanging calls are abandoned. */
const STOP_MS = 1400;
/** How long a stop waits for requests in flight to Vault. */
const DRAIN_MS = 200;
/** How long a stop waits for the step that the start is in, such as a socket that is being created. */
const LAST_STEP_MS = 100;
/** The exchanges count as stuck after this long without a step: each one steps at least every 30 s. */
const MOST_HEARTBEAT_MS = 60_000;

/** A stop was requested during the start. */
export class StoppedEarly extends Error {}

/** What the start has opened so far. */
interface Opened {
  readonly closers: (() => Promise<unknown>)[];
  log?: Observer['log'];
}

/** Starts the daemon. @throws ExchangeError listen_failed, or StoppedEarly, after closing all opened parts */
export async function startDaemon(parts: DaemonParts): Promise<Daemon> {
  const clock = openSystemClock();
  const opened: Opened = { closers: [] };
  try {
    return await open(parts, { clock, opened, step: openSteps(clock, parts.stopRequested) });
  } catch (error) {
    const endsAt = clock.now() + STOP_MS;
    await within(clock, STOP_MS, Promise.allSettled(opened.closers.map((close) => close())));
    await opened.log?.flush(endsAt - clock.now());
    throw error;
  }
}

type Step = <T>(begin: () => Promise<T>) => Promise<T>;

/** Returns a function that runs a step of the start. When a stop is requested, the step has a moment to end, and the start ends. */
function openSteps(clock: Clock, stopRequested: Promise<void> = new Promise(() => {})): Step {
  let isStopping = false;
  const asked = stopRequested.then(() => {
    isStopping = true;
  });
  return async (begin) => {
    if (isStopping) throw new StoppedEarly();
    const work = begin();
    await Promise.race([work, asked]);
    if (!isStopping) return work;
    await within(clock, LAST_STEP_MS, work).catch(() => {});
    throw new StoppedEarly();
  };
}

interface Start {
  readonly clock: Clock;
  readonly opened: Opened;
  readonly step: Step;
}

async function open({ settings, openObserver, env, version }: DaemonParts, start: Start): Promise<Daemon> {
  const { clock, opened, step } = start;
  const { startJitterMs } = settings;
  const early = openLateObserver();
  const tools = { clock, observer: early, env, ports: REAL_PORTS, startJitterMs };
  const exchanges = openExchanges(settings.exchanges, tools);
  opened.closers.push(() => exchanges.stop());
  await step(() => within(clock, HEAD_START_MS, exchanges.started));
  const observer = await step(async () => {
    const late = await openObserver();
    opened.log = late.log;
    late.configRead(true, clock.wall());
    early.forwardTo(late);
    return late;
  });
  if (startJitterMs > 0) {
    const startsAt = exchanges.startsAt - clock.now() + clock.wall();
    observer.log.write('info', 'start_delayed', { first_login_at: new Date(startsAt).toISOString() });
  }

  // The monotonic clock excludes a suspend, during which no steps are due.
  const isStepping = () => performance.now() - exchanges.lastStepAt() < MOST_HEARTBEAT_MS;
  const parts = { settings, exchanges, observer, isStepping, version };
  const { apis, proxies, urls } = await openListeners({ ...parts, ...start });
  let fixed = fixedOf(settings);
  return {
    observer,
    exchanges,
    ...urls,
    isStepping,
    async reload(next) {
      if (!isDeepStrictEqual(fixed, fixedOf(next)))
        observer.log.write('warn', 'restart_needed', {
          hint: 'Restart the sidecar to apply the changes to api, ops, proxy and log.format.',
        });
      fixed = fixedOf(next);
      observer.log.setLevel(next.log.level);
      await exchanges.apply(next.exchanges);
      observer.configRead(true, clock.wall());
    },
    refresh() {
      for (const view of exchanges.views()) view.refresh();
    },
    async stop() {
      const endsAt = clock.now() + STOP_MS;
      // Clients get the replies to their requests in flight before `on_stop: revoke` ends the token.
      await within(clock, DRAIN_MS, proxies.close());
      // In parallel, as the kubelet may leave only two seconds.
      await within(clock, endsAt - clock.now(), Promise.all([apis.close(), exchanges.stop()]));
      await observer.log.flush(endsAt - clock.now());
    },
  };
}

/** The settings that only a restart applies. */
const fixedOf = ({ api, ops, log, exchanges }: Settings) => ({
  api,
  ops,
  logFormat: log.format,
  proxies: exchanges.map(({ name, proxy }) => ({ name, proxy })).filter(({ proxy }) => proxy !== undefined),
});

interface ListenerParts
  extends Start,
    Pick<DaemonParts, 'settings' | 'version'>,
    Pick<Daemon, 'exchanges' | 'observer'> {
  readonly isStepping: () => boolean;
}

/** Opens the token API, the ops API and the proxies, and adds functions that close them to `opened`. */
async function openListeners(parts: ListenerParts) {
  const { settings, exchanges, observer, clock, isStepping, version, opened, step } = parts;
  const { buildTokenApi, buildOpsApi, closeApp, listen } = await step(loadHttp);
  const onRequest = (route: string, code: number) => observer.metrics.apiRequests.inc({ route, code });
  const callerToken = await openCaller(settings.api.callerTokenFile, observer);
  const metrics = () => observer.metrics.render(exchanges.views().map((view) => view.status()));
  const { views, isStarted } = exchanges;
  const shared = { exchanges: views, callerToken, now: clock.now, onRequest };
  const api = buildTokenApi({ ...shared, listen: settings.api.listen });
  const ops = buildOpsApi({
    ...shared,
    listen: settings.ops.listen,
    metrics,
    isStarted,
    isStepping,
    version,
    recent: observer.recent,
  });
  const apis = { close: () => Promise.all([closeApp(api), closeApp(ops)]) };
  opened.closers.push(apis.close);
  const urls = {
    api: await step(() => listen(api, settings.api.listen)),
    ops: await step(() => listen(ops, settings.ops.listen)),
  };
  const proxies = await step(() => openProxiesOf(settings, { exchanges, observer }));
  opened.closers.push(proxies.close);
  const listening = await proxies.listen((...one) => step(() => listen(...one)));
  observer.log.write('info', 'listening', { ...urls, ...(listening.length > 0 ? { proxies: listening } : {}) });
  return { apis, proxies, urls };
}

async function loadHttp() {
  const { buildTokenApi } = await import('./http/token-api.ts');
  const { buildOpsApi } = await import('./http/ops-api.ts');
  const { closeApp } = await import('./http/limits.ts');
  const { listen } = await import('./http/listen.ts');
  return { buildTokenApi, buildOpsApi, closeApp, listen };
}

/** Opens the proxies of the exchanges that have one. Without any, their code isn't loaded. */
async function openProxiesOf(
  { exchanges: settings }: Settings,
  { exchanges, observer }: Pick<Daemon, 'exchanges' | 'observer'>,
): Promise<Proxies> {
  if (settings.every(({ proxy }) => proxy === undefined)) return { listen: async () => [], close: async () => {} };
  const { openProxies } = await import('./proxy/open-proxies.ts');
  const { nextCorrelationId, view: viewOf } = exchanges;
  return openProxies(settings, { nextCorrelationId, viewOf, onRequest: observer.proxied });
}

/** Opens the caller token and reads it once, so that a failure is logged before the first client gets 401. */
async function openCaller(path: string | undefined, observer: Observer): Promise<CallerToken | undefined> {
  if (path === undefined) return undefined;
  const { openCallerToken } = await import('./http/caller-token.ts');
  const callerToken = openCallerToken(path, observer.callerTokenRead);
  void callerToken();
  return callerToken;
}
