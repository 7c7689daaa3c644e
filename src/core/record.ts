// Writes down what happened, and nothing else: each event changes the facts, decide.ts then asks what is due.
// A result that answers another attempt than the one in flight is ignored, so a late or doubled event does no harm.

import { spend } from './bucket.ts';
import { type Failure, factsOf } from './errors.ts';
import {
  CLOCK_JUMP_MS,
  DEBOUNCE_MS,
  FAILURE_BUDGET,
  failureCost,
  HINT_MS,
  IDENTITY_POLL_MS,
  loginPoint,
  pollDelay,
  REPLICATION_MS,
  renewalPoint,
  rereadDelay,
  retryDelay,
  SINK_CHECK_MS,
  sinkDelay,
  UNWATCHED_POLL_MS,
} from './schedule.ts';
import type { SourceSettings } from './settings.ts';
import type { Call, ExchangeEvent, HeldToken, Moment, Policy, SinkState, State, Streak } from './state.ts';
import type { Grant } from './vault-protocol.ts';
import { decodeWorkloadJwt, isExpired, isOlder } from './workload-jwt.ts';

export function record(policy: Policy, before: State, event: ExchangeEvent, moment: Moment): State {
  const after = recordEvent(policy, withClockChecked(before, moment), event, moment);
  const inPlace = after.token !== undefined && after.sinks.every((sink) => sink.holds !== undefined);
  return inPlace && !after.started ? { ...after, started: true } : after;
}

function recordEvent(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): State {
  switch (event.type) {
    case 'woke':
      return state;
    case 'token-found':
      // that was after a login: whoever is started again and again logs in no more often for it
      return { ...state, lastLoginAt: Math.max(state.lastLoginAt, moment.now - event.ageMs) };
    case 'jwt-hinted':
      return {
        ...state,
        reading: { ...state.reading, nextAt: Math.min(state.reading.nextAt, hintedReadAt(state, moment)) },
      };
    case 'jwt-read':
      return withJwt(policy, state, event, moment);
    case 'jwt-unreadable':
      return withUnreadableJwt(policy, state, event, moment);
    case 'logged-in':
      return ended(state, 'login', event.attempt, () =>
        isDeadOnArrival(state, event.grant, moment)
          ? withFailedLogin(
              state,
              { code: 'vault_timeout', evidence: 'the lease was over when the answer came' },
              moment,
            )
          : withLogin(state, event.grant, moment),
      );
    case 'renewed':
      return ended(state, 'renew', event.attempt, () => withRenewal(policy, state, event.grant, moment));
    case 'login-failed':
      return ended(state, 'login', event.attempt, () => withFailedLogin(state, event.failure, moment));
    case 'renewal-failed':
      return ended(state, 'renew', event.attempt, () => withDeniedRenewal(state, event.failure, moment));
    case 'revoked':
    case 'revocation-failed':
      return ended(state, 'revoke', event.attempt, () => ({ ...state, token: undefined }));
    case 'delivered':
      return withSink(state, event.sink, (sink) => ({
        ...sink,
        writing: undefined,
        holds: sink.writing ?? sink.holds,
        writtenAt: event.written ? moment.now : sink.writtenAt,
        failure: undefined,
        checkAt: moment.now + SINK_CHECK_MS,
      }));
    case 'delivery-failed':
      return withSink(state, event.sink, (sink) => {
        const count = (sink.failure?.count ?? 0) + 1;
        const checkAt = moment.now + sinkDelay(count, moment.random);
        return { ...sink, writing: undefined, failure: { failure: event.failure, count }, checkAt };
      });
    case 'withdrawn':
      return state.stopping === undefined ? state : { ...state, stopping: { ...state.stopping, withdrawal: 'done' } };
    case 'trust-changed':
      return { ...state, loginStreak: undefined, renewalStreak: undefined };
    case 'refresh-requested':
      return { ...state, refreshRequestedAt: moment.now, loginStreak: undefined, renewalStreak: undefined };
    case 'stop-requested':
      return { ...state, stopping: state.stopping ?? { since: moment.now, withdrawal: 'due' } };
  }
}

/** Somebody set the clock: what was planned may rest on a wrong idea of the time, so the renewal is brought forward once. */
function withClockChecked(state: State, { now, wall }: Moment): State {
  const clockOffsetMs = wall - now;
  if (Math.abs(clockOffsetMs - state.clockOffsetMs) <= CLOCK_JUMP_MS) return state;
  const token = state.token?.renewable ? { ...state.token, renewAt: Math.min(state.token.renewAt, now) } : state.token;
  return { ...state, clockOffsetMs, token };
}

/** At once after a quiet time, so that a JWT that was put in place is used at once; in a burst, now and then. */
const hintedReadAt = ({ reading }: State, { now }: Moment): number =>
  Math.max(now + HINT_MS, (reading.startedAt ?? reading.endedAt) + DEBOUNCE_MS);

type JwtRead = Extract<ExchangeEvent, { type: 'jwt-read' }>;

function withJwt(policy: Policy, state: State, event: JwtRead, moment: Moment): State {
  const decoded = decodeWorkloadJwt(event.secret, policy.settings.expect);
  if ('code' in decoded) return withUnreadableJwt(policy, state, { failure: decoded, watched: event.watched }, moment);
  // a hint that came while the file was being read asks for one more look
  const nextAt = Math.min(state.reading.nextAt, nextPoll(policy, event.watched, moment));
  const reading = { startedAt: undefined, endedAt: moment.now, nextAt, candidate: undefined, failure: undefined };
  const held = state.jwt;
  if (held?.claims.secret.equals(decoded.secret)) return { ...state, reading };
  const heldIsGood = held !== undefined && state.loginStreak === undefined && !isExpired(held.claims, moment.wall);
  if (heldIsGood && isOlder(decoded, held.claims)) return { ...state, reading };
  if (event.mayBeTorn === true && state.reading.candidate?.equals(decoded.secret) !== true) {
    const soon = Math.min(nextAt, moment.now + DEBOUNCE_MS);
    return { ...state, reading: { ...reading, nextAt: soon, candidate: decoded.secret } };
  }
  const jwt = { serial: (held?.serial ?? 0) + 1, claims: decoded };
  return { ...state, reading, jwt, loginStreak: undefined };
}

function withUnreadableJwt(
  policy: Policy,
  state: State,
  event: { failure: Failure; watched: boolean },
  moment: Moment,
): State {
  const last = state.reading.failure;
  const same = last?.failure.code === event.failure.code;
  const failure = { failure: event.failure, since: same ? last.since : moment.now, count: (last?.count ?? 0) + 1 };
  const pollMs = nextPoll(policy, event.watched, moment) - moment.now;
  const nextAt = Math.min(state.reading.nextAt, moment.now + rereadDelay(failure.count, pollMs));
  return { ...state, reading: { startedAt: undefined, endedAt: moment.now, nextAt, candidate: undefined, failure } };
}

function nextPoll(policy: Policy, watched: boolean, { now, random }: Moment): number {
  const interval = readingInterval(policy.settings.source);
  return now + pollDelay(watched ? interval : Math.min(interval, UNWATCHED_POLL_MS), random);
}

/** A variable never changes; an identity token is kept by its source, so that looking is cheap. */
function readingInterval(source: SourceSettings): number {
  if (source.kind === 'file') return source.pollIntervalMs;
  return source.kind === 'env' ? 3_600_000 : IDENTITY_POLL_MS;
}

/** Applies `change` when `attempt` is the call in flight, and ends that call. */
function ended(state: State, operation: Call['operation'], attempt: number, change: () => State): State {
  if (state.call?.operation !== operation || state.call.attempt !== attempt) return state;
  return { ...change(), call: undefined };
}

/** The machine slept over the answer, or it took longer than the lease: no reason to let go of a token that lives. */
function isDeadOnArrival({ token, call }: State, { leaseMs }: Grant, { now }: Moment): boolean {
  return token !== undefined && token.expiresAt > now && (call?.startedAt ?? now) + leaseMs <= now;
}

function withFailedLogin(state: State, failure: Failure, moment: Moment): State {
  const loginStreak = streakAfter(state.loginStreak, failure, state, moment);
  // A node that lags did nothing: asking again is the same login still, with no gap but the backoff's.
  const lastLoginAt = failure.code === 'vault_behind' ? Number.NEGATIVE_INFINITY : state.lastLoginAt;
  return { ...withCost(state, failure, moment), loginStreak, lastLoginAt };
}

function withLogin(state: State, grant: Grant, moment: Moment): State {
  const same = state.token?.secret.equals(grant.secret) === true;
  const generation = same ? state.generation : state.generation + 1;
  const plan = granted(state, grant, moment);
  // the policies of the tokens before lacked renew-self: this one is not asked about
  const unrenewable = state.deniedRenewals >= 2 ? { renewable: false, renewAt: plan.loginAt } : {};
  const token: HeldToken = {
    ...plan,
    ...unrenewable,
    generation,
    jwtSerial: state.call?.jwtSerial ?? 0,
    isForeign: false,
    issuedAt: moment.now,
    firstLeaseMs: grant.leaseMs,
    renewed: false,
  };
  // one that was asked for while this login was under way is another one
  const isAnswered = (state.refreshRequestedAt ?? 0) <= (state.call?.startedAt ?? moment.now);
  const refreshRequestedAt = isAnswered ? undefined : state.refreshRequestedAt;
  return { ...state, token, generation, loginStreak: undefined, renewalStreak: undefined, refreshRequestedAt };
}

function withRenewal(policy: Policy, state: State, grant: Grant, moment: Moment): State {
  const held = state.token;
  if (held === undefined) return state;
  const token = { ...held, ...granted(state, grant, moment), renewed: true };
  // Less than half of what the first login gave: the maximum TTL is near, and only a login helps.
  const shrunk = grant.leaseMs < held.firstLeaseMs / 2;
  const newJwtRefused = policy.settings.onNewJwt === 'login' && state.jwt?.serial !== held.jwtSerial;
  const loginIsWanted = newJwtRefused || state.refreshRequestedAt !== undefined;
  return {
    ...state,
    token: shrunk ? { ...token, renewable: false } : token,
    deniedRenewals: 0,
    renewalStreak: undefined,
    loginStreak: loginIsWanted ? state.loginStreak : undefined,
  };
}

/** The lease counts from the moment of asking, so that it is never taken for longer than it is. */
function granted(state: State, grant: Grant, moment: Moment) {
  const grantedAt = state.call?.startedAt ?? moment.now;
  return {
    ...grant,
    revision: (state.token?.revision ?? 0) + 1,
    grantedAt,
    expiresAt: grantedAt + grant.leaseMs,
    renewAt: grantedAt + renewalPoint(grant.leaseMs, moment.random),
    loginAt: grantedAt + loginPoint(grant.leaseMs),
  };
}

function withDeniedRenewal(state: State, failure: Failure, moment: Moment): State {
  const charged = withCost(state, failure, moment);
  const renewalStreak = streakAfter(state.renewalStreak, failure, state, moment);
  const { token } = state;
  const tooYoung =
    token !== undefined && moment.now - token.grantedAt < REPLICATION_MS && state.renewalStreak === undefined;
  if (token === undefined || factsOf(failure).retry !== 'log-in' || (failure.code === 'renewal_denied' && tooYoung)) {
    return { ...charged, renewalStreak };
  }
  const firstDenied = failure.code === 'renewal_denied' && !token.renewed;
  const deniedRenewals = firstDenied ? state.deniedRenewals + 1 : 0;
  // Two fresh tokens in a row whose first renewal is denied: it's the policy, and the token itself is alive.
  const renewAt = deniedRenewals >= 2 ? token.loginAt : moment.now;
  return { ...charged, renewalStreak, deniedRenewals, token: { ...token, renewable: false, renewAt } };
}

function withCost(state: State, failure: Failure, { now }: Moment): State {
  return { ...state, budget: spend(state.budget, FAILURE_BUDGET, { now, cost: failureCost(failure) }) };
}

function streakAfter(
  streak: Streak | undefined,
  failure: Failure,
  state: State,
  { now, wall, random }: Moment,
): Streak {
  const count = (streak?.count ?? 0) + 1;
  const left = state.token === undefined ? undefined : state.token.expiresAt - now;
  const notBefore = state.jwt?.claims.notBefore ?? state.jwt?.claims.issuedAt;
  const delay = retryDelay(failure, {
    count,
    tokenLeftMs: left !== undefined && left > 0 ? left : undefined,
    untilValidMs: notBefore === undefined ? undefined : notBefore - wall,
    random,
  });
  return { failure, since: streak?.since ?? now, count, retryAt: now + delay };
}

function withSink(state: State, id: string, change: (sink: SinkState) => SinkState): State {
  return { ...state, sinks: state.sinks.map((sink) => (sink.id === id ? change(sink) : sink)) };
}
