// The status of an exchange for people and probes: derived from its state on demand, never stored.
// Instants are epoch milliseconds on the wall clock.

import { nextCall, wantedLogin } from './decide.ts';
import { type ErrorCode, type Explanation, entryOf, explain, type Failure } from './errors.ts';
import { expiryMargin } from './schedule.ts';
import type { HeldToken, Moment, Policy, SinkState, State, Streak } from './state.ts';
import type { Operation } from './vault-protocol.ts';
import { isStale, shownClaims } from './workload-jwt.ts';

/** For display only: no decision depends on it. */
export type Phase = 'waiting-for-jwt' | 'logging-in' | 'active' | 'overdue' | 'expired' | 'stopping';

export interface ExchangeStatus {
  readonly exchange: string;
  readonly phase: Phase;
  /** a Vault token is held that may be served */
  readonly authenticated: boolean;
  /** `authenticated`, and every sink holds an unexpired token and has not failed */
  readonly ready: boolean;
  /** why the exchange isn't ready, one line each; empty if it is ready */
  readonly reasons: readonly string[];
  /** the address of Vault */
  readonly vault: string;
  /** true once every sink holds a token; stays true until a reload changes the exchange */
  readonly started: boolean;
  readonly jwt: JwtStatus | undefined;
  readonly token: TokenStatus | undefined;
  readonly failure: FailureStatus | undefined;
  readonly sinks: readonly SinkStatus[];
  /** the next planned call to Vault */
  readonly nextAction: { readonly kind: 'login' | 'renew' | 'lookup'; readonly at: number } | undefined;
}

/** Returns why no token is served, for clients that ask for it. */
export const whyUnserved = ({ failure, token }: Pick<ExchangeStatus, 'failure' | 'token'>): string =>
  failure?.title ?? (token === undefined ? 'there is no Vault token yet' : 'the Vault token has expired');

export interface JwtStatus {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number | undefined;
  /** past 90 % of its lifetime without being rotated */
  readonly stale: boolean;
}

export interface TokenStatus {
  readonly accessor: string;
  readonly expiresAt: number;
  readonly renewAt: number;
  /** when the exchange logs in unless a renewal succeeds before; undefined without a JWT */
  readonly loginAt: number | undefined;
  /** when the token ends, once it can't be renewed any more */
  readonly endsAt: number | undefined;
  readonly policies: readonly string[];
  readonly type: string;
  readonly renewable: boolean;
  readonly ttlMs: number;
}

export interface FailureStatus extends Explanation {
  readonly since: number;
  readonly attempts: number;
  readonly retryAt: number | undefined;
}

/** What happened to an exchange lately, as far as its observer remembers it. */
export interface RecentStatus {
  readonly lastCall:
    | { readonly operation: Operation; readonly code: 'ok' | ErrorCode; readonly at: number }
    | undefined;
  /** the failures within the last hour, the latest one first; `at` is the last of that code */
  readonly failures: readonly { readonly code: ErrorCode; readonly count: number; readonly at: number }[];
}

export interface SinkStatus {
  readonly id: string;
  /** the configured permission bits, such as 0o640 */
  readonly mode: number | undefined;
  readonly current: boolean;
  readonly writtenAt: number | undefined;
  readonly failure: Explanation | undefined;
}

/** Returns the token, unless it has expired or is about to (see expiryMargin). */
export function servedToken({ token }: State, now: number): HeldToken | undefined {
  return token !== undefined && now < token.expiresAt - expiryMargin(token.leaseMs) ? token : undefined;
}

export function statusOf(policy: Policy, state: State, moment: Moment): ExchangeStatus {
  // converts an instant from the steady clock to the wall clock
  const onWall = (at: number) => Math.round(at + moment.wall - moment.now);
  const reasons = unreadiness(state, moment.now);
  const { jwt, token } = state;
  const { startsAt } = state;
  const next =
    nextCall(policy, state, moment.now) ??
    (startsAt > moment.now ? ({ operation: 'login', at: startsAt } as const) : undefined);
  const loginAt = state.stopping === undefined ? wantedLogin(policy, state) : undefined;
  return {
    exchange: policy.settings.name,
    phase: phaseOf(state, moment.now),
    authenticated: servedToken(state, moment.now) !== undefined,
    ready: reasons.length === 0,
    reasons,
    vault: policy.settings.vault.address,
    started: state.started,
    jwt: jwt && {
      ...shownClaims(jwt.claims),
      expiresAt: jwt.claims.expiresAt,
      stale: isStale(jwt.claims, moment.wall),
    },
    token: token && {
      accessor: token.accessor,
      expiresAt: onWall(token.expiresAt),
      renewAt: onWall(token.renewAt),
      loginAt: loginAt === undefined ? undefined : onWall(Math.max(loginAt, moment.now)),
      endsAt: token.renewable ? undefined : onWall(token.expiresAt),
      policies: token.policies,
      type: token.type,
      renewable: token.renewable,
      ttlMs: token.leaseMs,
    },
    failure: latestFailure(policy, state, next?.at, onWall),
    sinks: state.sinks.map((sink) => sinkStatus(policy, sink, token, onWall)),
    nextAction:
      next && state.stopping === undefined
        ? { kind: next.operation, at: onWall(Math.max(next.at, moment.now, startsAt)) }
        : undefined,
  };
}

function phaseOf(state: State, now: number): Phase {
  if (state.stopping !== undefined) return 'stopping';
  if (servedToken(state, now) !== undefined) {
    return (state.renewalStreak ??
      (state.loginStreak && state.token && now >= Math.min(state.token.renewAt, state.token.loginAt)))
      ? 'overdue'
      : 'active';
  }
  if (state.token !== undefined) return 'expired';
  return state.jwt === undefined ? 'waiting-for-jwt' : 'logging-in';
}

function unreadiness(state: State, now: number): string[] {
  if (servedToken(state, now) === undefined) {
    const cause = failureInForce(state)?.failure;
    const what = state.token === undefined ? 'no Vault token yet' : 'the Vault token has expired';
    return [cause === undefined ? what : `${what}: ${entryOf(cause).title}`];
  }
  return state.sinks.flatMap((sink) => {
    if (sink.failure !== undefined) return [`sink ${sink.id}: ${entryOf(sink.failure.failure).title}`];
    if (sink.holds === undefined || sink.holds.expiresAt <= now) return [`sink ${sink.id}: not written yet`];
    return [];
  });
}

/** Returns the failure that blocks the next login or renewal. Without a JWT, that is the failed reading. */
function failureInForce(
  state: State,
): { failure: Failure; since: number; count: number; retryAt?: number } | undefined {
  const streak: Streak | undefined = state.loginStreak ?? state.renewalStreak;
  return state.jwt === undefined ? state.reading.failure : (streak ?? state.reading.failure);
}

function latestFailure(
  { settings }: Policy,
  state: State,
  nextCallAt: number | undefined,
  onWall: (at: number) => number,
): FailureStatus | undefined {
  const inForce = failureInForce(state);
  if (inForce === undefined) return undefined;
  // rate limits may delay a call beyond its backoff
  const retryAt = inForce.retryAt === undefined ? state.reading.nextAt : (nextCallAt ?? inForce.retryAt);
  return {
    ...explain(inForce.failure, settings),
    since: onWall(inForce.since),
    attempts: inForce.count,
    retryAt: Number.isFinite(retryAt) ? onWall(retryAt) : undefined,
  };
}

function sinkStatus(
  { settings }: Policy,
  sink: SinkState,
  token: HeldToken | undefined,
  onWall: (at: number) => number,
): SinkStatus {
  const failure = sink.failure?.failure;
  return {
    id: sink.id,
    mode: settings.sinks.find(({ path }) => path === sink.id)?.mode,
    current: token !== undefined && sink.holds?.generation === token.generation,
    writtenAt: sink.writtenAt === undefined ? undefined : onWall(sink.writtenAt),
    failure: failure && explain(failure, settings),
  };
}
