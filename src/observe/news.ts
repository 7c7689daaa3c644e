// The log lines of an exchange: one per relevant change of state.

import { explain, type Failure, type LoginPlace } from '../core/errors.ts';
import type { LogLevel } from '../core/settings.ts';
import type { ExchangeEvent, HeldToken, Moment, SinkState, State } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { shownClaims } from '../core/workload-jwt.ts';
import type { LogFields } from './log.ts';

const SUMMARY_MS = 60_000;

/** Writes a line about the exchange. A failure adds its code, title, evidence and hint. */
export type WriteLine = (level: LogLevel, event: string, fields?: LogFields, failure?: Failure) => void;

/** Reports failures of calls: a new failure at once, a repeated one once a minute. */
export function openFailureLog() {
  const lastLogged = new Map<string, { code: string; at: number }>();
  return (
    write: WriteLine,
    before: State,
    after: State,
    { moment: { now, wall }, status }: { moment: Moment; status: ExchangeStatus },
  ) => {
    for (const [event, was, streak] of [
      ['login_failed', before.loginStreak, after.loginStreak],
      ['renewal_failed', before.renewalStreak, after.renewalStreak],
    ] as const) {
      if (streak === undefined || streak === was) continue;
      // Replication lag is reported only if it lasts.
      if (streak.failure.code === 'vault_behind' && streak.count < 3) continue;
      const key = `${status.exchange} ${event}`;
      const logged = lastLogged.get(key);
      if (streak.count > 1 && logged?.code === streak.failure.code && now - logged.at < SUMMARY_MS) continue;
      lastLogged.set(key, { code: streak.failure.code, at: now });
      const since = iso(streak.since + wall - now);
      // The streak's own retry time ignores the minimum gap between logins.
      const fields = { attempts: streak.count, since, retry_at: iso(status.nextAction?.at) };
      write('warn', event, fields, streak.failure);
    }
  };
}

export function logJwt(
  write: WriteLine,
  before: State,
  after: State,
  { last, status }: { last: ExchangeStatus | undefined; status: ExchangeStatus },
): void {
  if (after.jwt !== undefined && after.jwt.serial !== before.jwt?.serial) {
    const { claims } = after.jwt;
    write('info', 'jwt_changed', { ...shownClaims(claims), jwt_expires_at: iso(claims.expiresAt) });
  }
  const failure = after.reading.failure?.failure;
  if (failure !== undefined && failure.code !== before.reading.failure?.failure.code)
    write('warn', 'jwt_unusable', {}, failure);
  if (failure === undefined && before.reading.failure !== undefined) write('info', 'jwt_usable');
  if (status.jwt?.stale && !last?.jwt?.stale) {
    const hint = 'Check the process that rotates the file; a subPath mount never changes.';
    write('warn', 'jwt_not_rotated', { jwt_expires_at: iso(status.jwt.expiresAt), hint });
  }
}

export function logToken(write: WriteLine, before: State, after: State, status: ExchangeStatus): void {
  const { token } = after;
  if (token === undefined || token.revision === before.token?.revision) return;
  const isLogin = token.generation !== before.token?.generation;
  write(isLogin ? 'info' : 'debug', isLogin ? 'logged_in' : 'renewed', tokenFields(token, status));
  const { policies } = token;
  if (!isLogin && policies.join() !== before.token?.policies.join()) write('warn', 'policies_changed', { policies });
  // Vault repeats its warnings at each renewal.
  const known = isLogin ? [] : (before.token?.warnings ?? []);
  for (const warning of token.warnings.filter((one) => !known.includes(one)))
    write('warn', 'vault_warning', { warning });
  if (isLogin && token.numUses > 0) {
    write('warn', 'token_uses_limited', {
      num_uses: token.numUses,
      hint: "Set the role's token_num_uses to 0: each request with the token spends a use.",
    });
  }
  const streak = before.loginStreak ?? before.renewalStreak;
  if (streak !== undefined && after.loginStreak === undefined && after.renewalStreak === undefined) {
    write('info', 'recovered', { code: streak.failure.code, attempts: streak.count });
  }
}

export function logSink(
  write: WriteLine,
  before: State,
  { sink, token }: { sink: SinkState; token: HeldToken | undefined },
  event: ExchangeEvent,
): void {
  const old = before.sinks.find(({ id }) => id === sink.id);
  if (sink.failure !== undefined) {
    if (sink.failure.failure.code !== old?.failure?.failure.code)
      write('error', 'sink_failed', { sink: sink.id }, sink.failure.failure);
    return;
  }
  if (old?.failure !== undefined) write('info', 'sink_recovered', { sink: sink.id });
  if (event.type !== 'delivered' || event.sink !== sink.id || !event.written) return;
  const restored = old?.holds !== undefined && old.holds.revision === token?.revision;
  if (restored)
    write('warn', 'sink_restored', {
      sink: sink.id,
      hint: 'Find the process that deleted or altered the file; the sidecar has restored it.',
    });
  else write('debug', 'sink_written', { sink: sink.id });
}

export function logReadiness(write: WriteLine, last: ExchangeStatus | undefined, status: ExchangeStatus): void {
  if (status.ready && !last?.ready) write('info', 'ready');
  if (!status.ready && last?.ready && status.phase !== 'stopping')
    write('error', 'not_ready', { reasons: status.reasons });
}

export const failureFields = (failure: Failure, place?: LoginPlace): LogFields => ({ ...explain(failure, place) });

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
