// The composition root: settings become running exchanges and two listeners. The start and stop order is written here once.
// Start: the exchanges read and log in at once; logger, metrics and listeners follow, so the first token waits for none.
// Stop: HTTP and exchanges end at the same time, then the log is flushed; all within a second and a half.

import { ExchangeError } from './core/errors.ts';
import type { ListenAddress, Settings } from './core/settings.ts';
import { openSystemClock, within } from './exchange/clock.ts';
import { type Exchanges, openExchanges } from './exchange/exchanges.ts';
import type { Clock } from './exchange/runner.ts';
import type { CallerToken } from './http/caller-token.ts';
import { openLateObserver } from './observe/late-observer.ts';
import type { Observer } from './observe/observe.ts';
import { REAL_PORTS } from './real-ports.ts';

export interface DaemonParts {
  readonly settings: Settings;
  /** called once the first tokens are there, or late */
  readonly openObserver: () => Promise<Observer>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

export interface Daemon {
  readonly observer: Observer;
  readonly exchanges: Exchanges;
  /** where the listeners are, as URLs without a trailing slash */
  readonly api: string;
  readonly ops: string;
  /** whether the exchanges are stepped */
  isStepping(): boolean;
  reload(settings: Settings): Promise<void>;
  refresh(): void;
  stop(): Promise<void>;
}

/** How long the rest waits for the first tokens, so that loading it doesn't slow a quick login. */
const HEAD_START_MS = 1000;
/** The exchanges end in a little more than a second; what hangs is left behind. */
const STOP_MS = 1400;
/** An exchange is stepped at least every 30 s; one that hasn't been for this long never will be. */
const MOST_HEARTBEAT_MS = 60_000;

/** @throws ExchangeError listen_failed; everything that was opened is closed then */
export async function startDaemon(parts: DaemonParts): Promise<Daemon> {
  const clock = openSystemClock();
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await open(parts, clock, closers);
  } catch (error) {
    await within(clock, STOP_MS, Promise.allSettled(closers.map((close) => close())));
    throw error;
  }
}

/** Adds to `closers` what closes the parts, as they are opened. */
async function open(parts: DaemonParts, clock: Clock, closers: (() => Promise<unknown>)[]): Promise<Daemon> {
  const { settings, openObserver, env, version } = parts;
  const early = openLateObserver();
  const exchanges = openExchanges(settings.exchanges, { clock, observer: early, env, ports: REAL_PORTS });
  closers.push(() => exchanges.stop());
  await within(clock, HEAD_START_MS, exchanges.started);
  const observer = await openObserver();
  closers.push(() => observer.log.flush());
  observer.configRead(true, clock.wall());
  early.forwardTo(observer);

  const { buildTokenApi } = await import('./http/token-api.ts');
  const { buildOpsApi } = await import('./http/ops-api.ts');
  const { closeApp } = await import('./http/limits.ts');
  const onRequest = (route: string, code: number) => observer.metrics.apiRequests.inc({ route, code });
  const callerToken = await openCaller(settings.api.callerTokenFile, observer);
  const metrics = () => observer.metrics.render(exchanges.views().map((view) => view.status()));
  // by the monotonic clock: a suspend is no time in which steps are missed
  const isStepping = () => performance.now() - exchanges.lastStepAt() < MOST_HEARTBEAT_MS;
  const { views, isStarted } = exchanges;
  const shared = { exchanges: views, callerToken, now: clock.now, onRequest };
  const api = buildTokenApi({ ...shared, listen: settings.api.listen });
  const ops = buildOpsApi({ ...shared, listen: settings.ops.listen, metrics, isStarted, isStepping, version });
  closers.push(() => Promise.all([closeApp(api), closeApp(ops)]));
  const urls = { api: await listen(api, settings.api.listen), ops: await listen(ops, settings.ops.listen) };
  observer.log.write('info', 'listening', urls);
  let listeners = { api: settings.api, ops: settings.ops };
  return {
    observer,
    exchanges,
    ...urls,
    isStepping,
    async reload(next) {
      const moved = JSON.stringify(listeners) !== JSON.stringify({ api: next.api, ops: next.ops });
      if (moved) observer.log.write('warn', 'restart_needed', { hint: 'api and ops take effect at the next start.' });
      listeners = { api: next.api, ops: next.ops };
      observer.log.setLevel(next.log.level);
      await exchanges.apply(next.exchanges);
      observer.configRead(true, clock.wall());
    },
    refresh() {
      for (const view of exchanges.views()) view.refresh();
    },
    async stop() {
      // at the same time: kubelet may leave two seconds for all of it
      await within(clock, STOP_MS, Promise.all([closeApp(api), closeApp(ops), exchanges.stop()]));
      await observer.log.flush();
    },
  };
}

interface Listener {
  listen(options: { host: string; port: number }): Promise<string>;
}

async function listen(app: Listener, { host, port }: ListenAddress): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const errno = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ExchangeError('listen_failed', { kind: 'listener', address: `${host}:${port}`, errno });
  }
}

/** Reads the caller token once at the start, so that a problem with it is logged before the first client gets 401. */
async function openCaller(path: string | undefined, observer: Observer): Promise<CallerToken | undefined> {
  if (path === undefined) return undefined;
  const { openCallerToken } = await import('./http/caller-token.ts');
  const callerToken = openCallerToken(path, observer.callerTokenRead);
  void callerToken();
  return callerToken;
}
