// The log lines of an exchange: one per relevant change of state. token-news.ts has those about the token.

import { explain, type Failure, type LoginPlace } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ExchangeEvent, HeldToken, Moment, SinkState, State } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import { shownClaims } from '../core/workload-jwt.ts';
import type { HookResult } from '../exchange/runner.ts';
import type { EventName, FieldsOf, LevelOf } from './events.ts';

const SUMMARY_MS = 60_000;

/** Writes a line about the exchange. A failure adds its code, title, evidence and hint. */
export type WriteLine = <E extends EventName>(
  level: LevelOf<E>,
  event: E,
  fields?: FieldsOf<E>,
  failure?: Failure,
) => void;

/** Reports failures of calls: a new failure at once, a repeated one once a minute. */
export function openFailureLog() {
  const lastLogged = new Map<string, { code: string; at: number }>();
  return (
    write: WriteLine,
    before: State,
    after: State,
    { moment: { now, wall }, status }: { moment: Moment; status: ExchangeStatus },
  ) => {
    // The streak's own retry time ignores the minimum gap between logins.
    const next = { retry_at: iso(status.nextAction?.at) };
    for (const [event, was, streak, more] of [
      [before.earlier === undefined ? 'login_failed' : 'lookup_failed', before.loginStreak, after.loginStreak, next],
      ['renewal_failed', before.renewalStreak, after.renewalStreak, next],
      [
        'revocation_failed',
        before.revocationStreak,
        after.revocationStreak,
        revocationFields(before, after, wall - now),
      ],
    ] as const) {
      if (streak === undefined || streak === was) continue;
      // Replication lag is reported only if it lasts.
      if (streak.failure.code === 'vault_behind' && streak.count < 3) continue;
      const key = `${status.exchange} ${event}`;
      const logged = lastLogged.get(key);
      if (streak.count > 1 && logged?.code === streak.failure.code && now - logged.at < SUMMARY_MS) continue;
      lastLogged.set(key, { code: streak.failure.code, at: now });
      const since = iso(streak.since + wall - now);
      write('warn', event, { attempts: streak.count, since, ...more }, streak.failure);
    }
  };
}

const revocationFields = (
  before: State,
  { revocationStreak }: State,
  offsetMs: number,
): FieldsOf<'revocation_failed'> => ({
  accessor: accessorOf(before, before.call?.revokes),
  retry_at: iso(revocationStreak && revocationStreak.retryAt + offsetMs),
});

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

/** @returns the result for the metrics */
export function logHook(write: WriteLine, { sink, failure, output }: HookResult): 'ok' | 'error' | 'skipped' {
  if (output !== '') write('debug', 'hook_output', { sink, output });
  if (failure === undefined) {
    write('info', 'hook_ran', { sink });
    return 'ok';
  }
  if (failure.code === 'hook_pid_missing') {
    write('info', 'hook_skipped', { sink }, failure);
    return 'skipped';
  }
  write('warn', 'hook_failed', { sink }, failure);
  return 'error';
}

export function logReadiness(write: WriteLine, last: ExchangeStatus | undefined, status: ExchangeStatus): void {
  if (status.ready && !last?.ready) write('info', 'ready');
  if (!status.ready && last?.ready && status.phase !== 'stopping')
    write('error', 'not_ready', { reasons: status.reasons });
}

export const failureFields = (failure: Failure, place?: LoginPlace) => ({ ...explain(failure, place) });

/** Returns the accessor of a token that the exchange holds or has replaced. */
export const accessorOf = ({ token, replaced }: State, secret: Secret | undefined): string | undefined =>
  secret && [...(token ? [token] : []), ...replaced].find((one) => one.secret.equals(secret))?.accessor;

export const iso = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();
