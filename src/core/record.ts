// Records events as facts in the state; decide.ts then starts the actions that are due.
// A result is ignored unless its attempt is in flight, so late and duplicate events are harmless.

import { entryOf, type Failure } from './errors.ts';
import { originOf } from './origin.ts';
import { hintedReadAt, withJwt, withUnreadableJwt } from './record-jwt.ts';
import { withFailedLookup, withLookedUp, withSuspicion, withTokenFound } from './record-lookup.ts';
import {
  isDeadOnArrival,
  withDeniedRenewal,
  withEarlierLogin,
  withFailedLogin,
  withLateGrant,
  withLogin,
  withoutRevoked,
  withRenewal,
  withReplacedOutOfUse,
  withRevocation,
} from './record-token.ts';
import {
  CLOCK_JUMP_MS,
  callDeadline,
  DELIVERY_DEADLINE_MS,
  FIND_TOKEN_MS,
  OVERDUE_MS,
  readDeadline,
  SINK_CHECK_MS,
  sinkDelay,
} from './schedule.ts';
import type { Call, ExchangeEvent, Moment, Policy, SinkState, State } from './state.ts';

export function record(policy: Policy, before: State, event: ExchangeEvent, moment: Moment): State {
  const happened = recordEvent(policy, withClockChecked(before, moment), event, moment);
  const after = withReplacedOutOfUse(withOverdueJudged(policy, happened, event, moment), moment.now);
  const inPlace = after.token !== undefined && after.sinks.every((sink) => sink.holds !== undefined);
  return inPlace && !after.started ? { ...after, started: true } : after;
}

function recordEvent(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): State {
  switch (event.type) {
    case 'woke':
    case 'hook-ended':
      return state;
    case 'last-login-found':
      return withEarlierLogin(state, event.ageMs, moment);
    case 'token-found':
      return withTokenFound(state, event.token);
    case 'jwt-hinted':
      return {
        ...state,
        reading: { ...state.reading, nextAt: Math.min(state.reading.nextAt, hintedReadAt(state, moment)) },
      };
    case 'jwt-read':
      return state.reading.inFlight?.attempt === event.attempt ? withJwt(policy, state, event, moment) : state;
    case 'jwt-unreadable':
      return state.reading.inFlight?.attempt === event.attempt
        ? withUnreadableJwt(policy, state, event, moment)
        : state;
    case 'delivered':
      return withSink(state, event, ({ writing, ...sink }) => ({
        ...sink,
        writing: undefined,
        holds: writing === undefined ? sink.holds : heldGrant(writing),
        writtenAt: event.written ? moment.now : sink.writtenAt,
        failure: undefined,
        checkAt: moment.now + SINK_CHECK_MS,
      }));
    case 'delivery-failed':
      return withSink(state, event, (sink) => withFailedDelivery(sink, event.failure, moment));
    case 'withdrawn':
      return state.stopping === undefined ? state : { ...state, stopping: { ...state.stopping, withdrawal: 'done' } };
    case 'retry-requested':
      return withBackoffEnded(state, moment);
    case 'refresh-requested':
      return {
        ...withBackoffEnded(state, moment),
        refreshRequestedAt: moment.now,
        startsAt: Math.min(state.startsAt, moment.now),
      };
    case 'token-suspected':
      return withSuspicion(state, event.generation, moment);
    case 'stop-requested':
      return {
        ...state,
        stopping: state.stopping ?? { since: moment.now, withdrawal: 'due', revocation: undefined },
      };
    default:
      return recordCall(policy, state, event, moment);
  }
}

type CallResult = Extract<
  ExchangeEvent,
  {
    type:
      | 'logged-in'
      | 'late-grant'
      | 'renewed'
      | 'login-failed'
      | 'renewal-failed'
      | 'looked-up'
      | 'lookup-failed'
      | 'revoked'
      | 'revocation-failed';
  }
>;

/** Records the result of a call to Vault. */
function recordCall(policy: Policy, state: State, event: CallResult, moment: Moment): State {
  switch (event.type) {
    case 'logged-in':
      // the token of a login past its deadline isn't used, but a stop must revoke it
      if (state.call?.operation !== 'login' || state.call.attempt !== event.attempt)
        return withLateGrant(state, event.grant, originOf(policy.settings), moment);
      return ended(state, 'login', event.attempt, () =>
        isDeadOnArrival(state, event.grant, moment)
          ? withFailedLogin(state, { code: 'vault_timeout', facts: { kind: 'lease-over' } }, moment)
          : withLogin(policy, state, event.grant, moment),
      );
    case 'late-grant':
      return withLateGrant(state, event.grant, event.origin, moment);
    case 'renewed':
      return ended(state, 'renew', event.attempt, () => withRenewal(policy, state, event.grant, moment));
    case 'login-failed':
      return ended(state, 'login', event.attempt, () => withFailedLogin(state, event.failure, moment));
    case 'renewal-failed':
      return ended(state, 'renew', event.attempt, () => withDeniedRenewal(state, event.failure, moment));
    case 'looked-up':
      return ended(state, 'lookup', event.attempt, () => withLookedUp(policy, state, event.life, moment));
    case 'lookup-failed':
      return ended(state, 'lookup', event.attempt, () => withFailedLookup(policy, state, event.failure, moment));
    case 'revoked':
    case 'revocation-failed': {
      const failure = event.type === 'revoked' ? undefined : event.failure;
      const after = ended(state, 'revoke', event.attempt, () =>
        withRevocation(state, state.call?.revokes, failure, moment),
      );
      return withoutRevoked(after, event.attempt);
    }
  }
}

/** Ends every backoff: failed calls, readings and deliveries are retried at once. */
function withBackoffEnded(state: State, { now }: Moment): State {
  const { reading, sinks, loginStreak, replaced } = state;
  return {
    ...state,
    // Vault would refuse the same JWT again: this backoff ends only with a new JWT
    loginStreak:
      loginStreak !== undefined && entryOf(loginStreak.failure).retry === 'new-jwt' ? loginStreak : undefined,
    renewalStreak: undefined,
    revocationStreak: undefined,
    replaced: replaced.map(({ retryAt: _, ...one }) => one),
    reading: reading.failure === undefined ? reading : { ...reading, nextAt: Math.min(reading.nextAt, now) },
    sinks: sinks.map((sink) => (sink.failure === undefined ? sink : { ...sink, checkAt: now })),
  };
}

/**
 * Fails the overdue actions: at once if the timer caused the step, as the timer has waited for results; otherwise after
 * OVERDUE_MS, as the result may be the next event.
 */
function withOverdueJudged(policy: Policy, state: State, { type }: ExchangeEvent, moment: Moment): State {
  const failed = withOverdueFailed(policy, state, moment);
  const isOverdue = failed !== state;
  const { overdueUntil = type === 'woke' ? moment.now : moment.now + OVERDUE_MS } = state;
  if (isOverdue && moment.now < overdueUntil) return { ...state, overdueUntil };
  return failed.overdueUntil === undefined ? failed : { ...failed, overdueUntil: undefined };
}

/** Fails every action that is past its deadline, so that a lost result or a hang can't block the exchange. */
function withOverdueFailed(policy: Policy, state: State, moment: Moment): State {
  const { now } = moment;
  let after = state;
  const { inFlight } = after.reading;
  if (inFlight !== undefined && inFlight.startedAt + readDeadline(policy.settings.source) <= now)
    after = withUnreadableJwt(policy, after, { failure: { code: 'jwt_read_stuck' }, watched: true }, moment);
  const { call, earlier } = after;
  if (earlier?.secret === undefined && (earlier?.soughtAt ?? now) + FIND_TOKEN_MS <= now)
    after = withTokenFound(after, undefined);
  if (call !== undefined && call.startedAt + callDeadline(call) <= now) {
    const failure: Failure = { code: 'vault_call_stuck' };
    after = { ...FAILED[call.operation](policy, after, failure, moment), call: undefined };
  }
  const isOverdue = ({ writing }: SinkState) =>
    writing !== undefined && writing.startedAt + DELIVERY_DEADLINE_MS <= now;
  if (!after.sinks.some(isOverdue)) return after;
  const sinks = after.sinks.map((sink) =>
    isOverdue(sink)
      ? withFailedDelivery(sink, { code: 'sink_write_stuck', facts: { kind: 'file', path: sink.id } }, moment)
      : sink,
  );
  return { ...after, sinks };
}

/** How each call fails. */
const FAILED: Readonly<
  Record<Call['operation'], (policy: Policy, state: State, failure: Failure, moment: Moment) => State>
> = {
  login: (_policy, ...failed) => withFailedLogin(...failed),
  renew: (_policy, ...failed) => withDeniedRenewal(...failed),
  lookup: withFailedLookup,
  revoke: (_policy, state, failure, moment) => withRevocation(state, state.call?.revokes, failure, moment),
};

function withFailedDelivery(sink: SinkState, failure: Failure, { now, random }: Moment): SinkState {
  const count = (sink.failure?.count ?? 0) + 1;
  return { ...sink, writing: undefined, failure: { failure, count }, checkAt: now + sinkDelay(count, random) };
}

const heldGrant = ({ generation, revision, expiresAt }: NonNullable<SinkState['writing']>) => ({
  generation,
  revision,
  expiresAt,
});

/** Schedules one early renewal, as a precaution, if the wall clock has jumped against the steady clock. */
function withClockChecked(state: State, { now, wall }: Moment): State {
  const clockOffsetMs = wall - now;
  if (Math.abs(clockOffsetMs - state.clockOffsetMs) <= CLOCK_JUMP_MS) return state;
  const token = state.token?.renewable ? { ...state.token, renewAt: Math.min(state.token.renewAt, now) } : state.token;
  return { ...state, clockOffsetMs, token };
}

/** Applies `change` and ends the call in flight, if `attempt` is that call. */
function ended(state: State, operation: Call['operation'], attempt: number, change: () => State): State {
  if (state.call?.operation !== operation || state.call.attempt !== attempt) return state;
  return { ...change(), call: undefined };
}

/** Applies `change` to the sink, if `attempt` is its delivery in flight. */
function withSink(
  state: State,
  { sink: id, attempt }: { readonly sink: string; readonly attempt: number },
  change: (sink: SinkState) => SinkState,
): State {
  return {
    ...state,
    sinks: state.sinks.map((sink) => (sink.id === id && sink.writing?.attempt === attempt ? change(sink) : sink)),
  };
}
