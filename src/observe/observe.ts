// The only place where facts become log lines and metrics. It compares an exchange before and after each step and tells
// what a person would call news: one line a change of state, and repeated failures summed up once a minute.

import { type Failure, factsOf } from '../core/errors.ts';
import type { LogLevel } from '../core/settings.ts';
import type { ExchangeEvent, HeldToken, Moment, Policy, SinkState, State } from '../core/state.ts';
import { describe, type ExchangeStatus } from '../core/status.ts';
import type { RunnerObserver, VaultCall } from '../runner.ts';
import { type Log, type LogFields, type LogTarget, openLog } from './log.ts';
import { type Metrics, type MetricsOptions, openMetrics } from './metrics.ts';

export interface Observer extends RunnerObserver {
  readonly log: Log;
  readonly metrics: Metrics;
  configRead(ok: boolean, wall: number): void;
  /** Reports a reading of the caller token; logs only a change. */
  callerTokenRead(failure: Failure | undefined): void;
}

const SUMMARY_MS = 60_000;
const LEFT_HINT = 'The file stays, and its token is no longer renewed: delete it once nothing reads it.';

export function openObserver(options: MetricsOptions & { level: LogLevel; target: LogTarget }): Observer {
  const metrics = openMetrics(options);
  const log = openLog(options.level, options.target, () => metrics.logLinesDropped.inc());
  const seen = new Map<string, ExchangeStatus>();
  const lastTold = new Map<string, { code: string; at: number }>();

  function stepped(policy: Policy, before: State, after: State, event: ExchangeEvent, moment: Moment): void {
    const exchange = policy.settings.name;
    const tell = (level: LogLevel, name: string, fields: LogFields = {}) =>
      log.write(level, name, { exchange, ...fields }, moment.wall);
    const last = seen.get(exchange);
    const status = describe(policy, after, moment);
    seen.set(exchange, status);
    tellOfJwt(tell, before, after, { last, status });
    tellOfToken(tell, before, after, status);
    tellOfFailures(tell, before, after, { moment, status });
    for (const sink of after.sinks) tellOfSink(tell, before, { sink, token: after.token }, event);
    tellOfReadiness(tell, last, status);
    count(policy, before, after, event, moment);
  }

  function tellOfFailures(
    tell: Tell,
    before: State,
    after: State,
    { moment: { now, wall }, status }: { moment: Moment; status: ExchangeStatus },
  ): void {
    for (const [event, was, streak] of [
      ['login_failed', before.loginStreak, after.loginStreak],
      ['renewal_failed', before.renewalStreak, after.renewalStreak],
    ] as const) {
      if (streak === undefined || streak === was) continue;
      // a replica that lags is no news, unless it goes on
      if (streak.failure.code === 'vault_behind' && streak.count < 3) continue;
      const key = `${status.exchange} ${event}`;
      const told = lastTold.get(key);
      if (streak.count > 1 && told?.code === streak.failure.code && now - told.at < SUMMARY_MS) continue;
      lastTold.set(key, { code: streak.failure.code, at: now });
      tell('warn', event, {
        ...failureFields(streak.failure),
        attempts: streak.count,
        since: iso(streak.since + wall - now),
        // a streak's own instant may lie before the least gap between two logins
        retry_at: iso(status.nextAction?.at),
      });
    }
  }

  function count(policy: Policy, before: State, after: State, event: ExchangeEvent, { wall }: Moment): void {
    const exchange = policy.settings.name;
    if (after.jwt?.serial !== before.jwt?.serial) metrics.jwtChanges.inc({ exchange });
    if ((event.type === 'jwt-read' || event.type === 'jwt-unreadable') && !event.watched) metrics.fallbackPolls.inc();
    if (event.type === 'logged-in' || event.type === 'renewed') metrics.succeeded(exchange, wall);
    if (event.type === 'delivered' && event.written)
      metrics.sinkWrites.inc({ exchange, sink: event.sink, result: 'ok' });
    for (const [index, { id, failure }] of after.sinks.entries())
      if (failure !== undefined && failure !== before.sinks[index]?.failure)
        metrics.sinkWrites.inc({ exchange, sink: id, result: 'error' });
  }

  return {
    log,
    metrics,
    added: ({ settings, sinks }) => metrics.addExchange(settings.name, sinks),
    removed: (exchange) => void seen.delete(exchange),
    left: (exchange, sink) => log.write('warn', 'sink_left', { exchange, sink, hint: LEFT_HINT }),
    stepped,
    called(policy: Policy, { operation, code, durationMs, clockSkewMs }: VaultCall) {
      metrics.called(policy.settings.name, operation, code);
      metrics.durations.observe({ operation }, durationMs / 1000);
      if (clockSkewMs !== undefined) metrics.clockSkew.set(Math.round(clockSkewMs / 1000));
    },
    configRead(ok, wall) {
      metrics.configReloaded.set(ok ? 1 : 0);
      if (ok) metrics.configReloadedAt.set(wall / 1000);
    },
    callerTokenRead: openCallerTokenTeller(log, metrics),
  };
}

function openCallerTokenTeller(log: Log, metrics: Metrics): Observer['callerTokenRead'] {
  let last: string | undefined;
  return (failure) => {
    metrics.callerTokenReadable.set(failure === undefined ? 1 : 0);
    const before = last;
    last = failure?.evidence;
    if (failure !== undefined && last !== before) log.write('warn', 'caller_token_unusable', failureFields(failure));
    if (failure === undefined && before !== undefined) log.write('info', 'caller_token_usable');
  };
}

type Tell = (level: LogLevel, event: string, fields?: LogFields) => void;

function tellOfJwt(
  tell: Tell,
  before: State,
  after: State,
  { last, status }: { last: ExchangeStatus | undefined; status: ExchangeStatus },
): void {
  if (after.jwt !== undefined && after.jwt.serial !== before.jwt?.serial) {
    const { issuer, subject, audience, expiresAt } = after.jwt.claims;
    tell('info', 'jwt_changed', { issuer, subject, audience, jwt_expires_at: iso(expiresAt) });
  }
  const failure = after.reading.failure?.failure;
  if (failure !== undefined && failure.code !== before.reading.failure?.failure.code)
    tell('warn', 'jwt_unusable', failureFields(failure));
  if (failure === undefined && before.reading.failure !== undefined) tell('info', 'jwt_usable');
  if (status.jwt?.stale && !last?.jwt?.stale) {
    const hint = 'Check what rotates the file; a subPath mount never changes.';
    tell('warn', 'jwt_not_rotated', { jwt_expires_at: iso(status.jwt.expiresAt), hint });
  }
}

function tellOfToken(tell: Tell, before: State, after: State, status: ExchangeStatus): void {
  const { token } = after;
  if (token === undefined || token.revision === before.token?.revision) return;
  const isLogin = token.generation !== before.token?.generation;
  tell(isLogin ? 'info' : 'debug', isLogin ? 'logged_in' : 'renewed', tokenFields(token, status));
  const { policies } = token;
  if (!isLogin && policies.join() !== before.token?.policies.join()) tell('warn', 'policies_changed', { policies });
  // at each renewal Vault says the same
  const known = isLogin ? [] : (before.token?.warnings ?? []);
  for (const warning of token.warnings.filter((one) => !known.includes(one)))
    tell('warn', 'vault_warning', { warning });
  if (isLogin && token.numUses > 0) {
    tell('warn', 'token_uses_limited', {
      num_uses: token.numUses,
      hint: "Set the role's token_num_uses to 0: each use by the workload spends one.",
    });
  }
  const streak = before.loginStreak ?? before.renewalStreak;
  if (streak !== undefined && after.loginStreak === undefined && after.renewalStreak === undefined) {
    tell('info', 'recovered', { code: streak.failure.code, attempts: streak.count });
  }
}

function tellOfSink(
  tell: Tell,
  before: State,
  { sink, token }: { sink: SinkState; token: HeldToken | undefined },
  event: ExchangeEvent,
): void {
  const old = before.sinks.find(({ id }) => id === sink.id);
  if (sink.failure !== undefined) {
    if (sink.failure.failure.code !== old?.failure?.failure.code)
      tell('error', 'sink_failed', { sink: sink.id, ...failureFields(sink.failure.failure) });
    return;
  }
  if (old?.failure !== undefined) tell('info', 'sink_recovered', { sink: sink.id });
  if (event.type !== 'delivered' || event.sink !== sink.id || !event.written) return;
  const restored = old?.holds !== undefined && old.holds.revision === token?.revision;
  if (restored) tell('warn', 'sink_restored', { sink: sink.id, hint: 'Somebody deleted or altered the file.' });
  else tell('debug', 'sink_written', { sink: sink.id });
}

function tellOfReadiness(tell: Tell, last: ExchangeStatus | undefined, status: ExchangeStatus): void {
  if (status.ready && !last?.ready) tell('info', 'ready');
  if (!status.ready && last?.ready && status.phase !== 'stopping')
    tell('error', 'not_ready', { reasons: status.reasons });
}

function failureFields(failure: Failure): LogFields {
  const { title, hint } = factsOf(failure);
  return { code: failure.code, title, evidence: failure.evidence, hint };
}

function tokenFields(token: HeldToken, status: ExchangeStatus): LogFields {
  return {
    accessor: token.accessor,
    ttl_seconds: token.leaseMs / 1000,
    renewable: token.renewable,
    token_type: token.type,
    policies: token.policies,
    expires_at: iso(status.token?.expiresAt),
    next_at: iso(status.nextAction?.at),
  };
}

const iso = (at: number | undefined): string | undefined => (at === undefined ? undefined : new Date(at).toISOString());
