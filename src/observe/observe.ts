// The observer: turns the state of an exchange before and after each step into log lines and metrics. No other code does.

import type { Failure } from '../core/errors.ts';
import type { LogLevel } from '../core/settings.ts';
import type { ExchangeEvent, Moment, Policy, State } from '../core/state.ts';
import { type ExchangeStatus, type RecentStatus, statusOf } from '../core/status.ts';
import type { HookResult, RunnerObserver, VaultCall } from '../exchange/runner.ts';
import { openDelayLog } from './delay-news.ts';
import type { EventName, LevelOf } from './events.ts';
import { type LineFormat, type Log, type LogFields, type LogTarget, openLog } from './log.ts';
import { type Metrics, type MetricsOptions, openMetrics } from './metrics.ts';
import { failureFields, logHook, logJwt, logReadiness, logSink, openFailureLog, type WriteLine } from './news.ts';
import { openRecent, type RecentLog } from './recent.ts';
import { logToken } from './token-news.ts';

export interface Observer extends RunnerObserver {
  readonly log: Log;
  readonly metrics: Metrics;
  configRead(ok: boolean, wall: number): void;
  /** what happened to an exchange lately; of an unknown one, nothing */
  recent(exchange: string): RecentStatus;
  /** Counts a request to the API proxy. @param code the status of the reply */
  proxied(exchange: string, method: string, code: number, durationMs: number): void;
  /** Records a read of the caller token in the metrics, and logs a change. */
  callerTokenRead(failure: Failure | undefined): void;
}

const METHOD_CLASSES: Readonly<Record<string, string>> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  POST: 'write',
  PUT: 'write',
  PATCH: 'write',
  DELETE: 'delete',
};

const LEFT_HINT = 'Delete the file once nothing reads it: the sidecar no longer renews its token.';

export interface ObserverOptions extends MetricsOptions {
  readonly level: LogLevel;
  readonly target: LogTarget;
  readonly format?: LineFormat;
}

export function openObserver(options: ObserverOptions): Observer {
  const metrics = openMetrics(options);
  const log = openLog(options.level, options.target, () => metrics.logLinesDropped.inc(), options.format);
  const recent = openRecent();
  const seen = new Map<string, ExchangeStatus>();
  const logFailures = openFailureLog();
  const logDelay = openDelayLog();

  /** @param wall the time of the lines; by default, now */
  const writer =
    ({ settings }: Policy, wall?: number): WriteLine =>
    (level: LevelOf<EventName>, name: EventName, fields: LogFields = {}, failure?: Failure) => {
      const inWords = failure === undefined ? {} : failureFields(failure, settings);
      log.write(level, name, { exchange: settings.name, ...inWords, ...fields }, wall);
    };

  function stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, moment: Moment): void {
    const exchange = policy.settings.name;
    const write = writer(policy, moment.wall);
    const last = seen.get(exchange);
    const status = statusOf(policy, after, moment);
    seen.set(exchange, status);
    logJwt(write, before, after, { last, status });
    const writeTraced = traced(write, event);
    logToken(writeTraced, { settings: policy.settings, before, after, event, status });
    logFailures(writeTraced, before, after, { moment, status });
    logDelay(write, policy, after, moment);
    for (const sink of after.sinks) logSink(write, before, { sink, token: after.token }, event);
    logReadiness(write, last, status);
    countStep({ metrics, recent }, exchange, { before, after, event }, moment.wall);
  }

  return {
    log,
    metrics,
    added: metrics.addExchange,
    recent: (exchange) => recent.statusOf(exchange, Date.now()),
    removed(exchange) {
      seen.delete(exchange);
      recent.removed(exchange);
    },
    left: (exchange, sink) => log.write('warn', 'sink_left', { exchange, sink, hint: LEFT_HINT }),
    stepped,
    called(policy: Policy, { operation, code, durationMs, clockSkewMs }: VaultCall) {
      metrics.called(policy.settings.name, operation, code);
      recent.called(policy.settings.name, operation, code, Date.now());
      metrics.durations.observe({ operation }, durationMs / 1000);
      if (clockSkewMs !== undefined) metrics.clockSkew.set(Math.round(clockSkewMs / 1000));
    },
    hooked(policy: Policy, result: HookResult) {
      const outcome = logHook(writer(policy), result);
      metrics.hooks.inc({ exchange: policy.settings.name, sink: result.sink, result: outcome });
      if (outcome === 'error' && result.failure) recent.failed(policy.settings.name, result.failure.code, Date.now());
    },
    configRead(ok, wall) {
      metrics.configReloaded.set(ok ? 1 : 0);
      if (ok) metrics.configReloadedAt.set(wall / 1000);
    },
    proxied(exchange, method, code, durationMs) {
      metrics.proxyRequests.inc({ exchange, method: METHOD_CLASSES[method] ?? 'other', code });
      metrics.proxyDurations.observe({ exchange }, durationMs / 1000);
    },
    callerTokenRead: openCallerTokenLog(log, metrics),
  };
}

const STREAKS = ['loginStreak', 'renewalStreak', 'revocationStreak'] as const;

/** Reports whether no call ended with this failure: the call never returned, or its token was no longer valid. */
const isFoundByCore = ({ code, facts }: Failure): boolean =>
  code === 'vault_call_stuck' || facts?.kind === 'lease-over';

/** Counts what a step brought, in the metrics and among the recent failures. */
function countStep(
  { metrics, recent }: { readonly metrics: Metrics; readonly recent: RecentLog },
  exchange: string,
  { before, after, event }: { readonly before: State; readonly after: State; readonly event: ExchangeEvent },
  wall: number,
): void {
  if (after.jwt?.serial !== before.jwt?.serial) metrics.jwtChanges.inc({ exchange });
  if ((event.type === 'jwt-read' || event.type === 'jwt-unreadable') && !event.watched) metrics.fallbackPolls.inc();
  if (event.type === 'logged-in' || event.type === 'renewed') metrics.succeeded(exchange, wall);
  if (event.type === 'delivered' && event.written) metrics.sinkWrites.inc({ exchange, sink: event.sink, result: 'ok' });
  for (const [index, { id, failure }] of after.sinks.entries()) {
    if (failure === undefined || failure === before.sinks[index]?.failure) continue;
    metrics.sinkWrites.inc({ exchange, sink: id, result: 'error' });
    recent.failed(exchange, failure.failure.code, wall);
  }
  for (const name of STREAKS) {
    const streak = after[name];
    if (streak !== undefined && streak !== before[name] && isFoundByCore(streak.failure))
      recent.failed(exchange, streak.failure.code, wall);
  }
  const { failure } = after.reading;
  if (failure !== undefined && failure !== before.reading.failure) recent.failed(exchange, failure.failure.code, wall);
}

/** Adds the ids of the call that the event is the result of. */
function traced(write: WriteLine, event: ExchangeEvent): WriteLine {
  const trace = 'trace' in event ? event.trace : undefined;
  if (trace === undefined) return write;
  const ids = { correlation_id: trace.correlationId, request_id: trace.requestId };
  return (level: LevelOf<EventName>, name: EventName, fields: LogFields = {}, failure?: Failure) =>
    write(level, name, { ...fields, ...ids }, failure);
}

function openCallerTokenLog(log: Log, metrics: Metrics): Observer['callerTokenRead'] {
  let last: string | undefined;
  return (failure) => {
    metrics.callerTokenReadable.set(failure === undefined ? 1 : 0);
    const before = last;
    last = failure && JSON.stringify(failure.facts);
    if (failure !== undefined && last !== before) log.write('warn', 'caller_token_unusable', failureFields(failure));
    if (failure === undefined && before !== undefined) log.write('info', 'caller_token_usable');
  };
}
