// Asks what is due now, and when to look again. Knows nothing of what just happened: each look repairs the whole
// picture, so a lost or doubled event can't wedge it. Whatever it starts is written into the state in the same step.

import {
  budgetReadyAt,
  CALL_GAP_MS,
  FRESH_READ_MS,
  LOGIN_GAP_MS,
  READ_TIMEOUT_MS,
  STOP_CALL_MS,
  STOP_MS,
} from './schedule.ts';
import type { Call, Effect, HeldToken, Moment, Policy, SinkState, State } from './state.ts';

export interface Decision {
  readonly state: State;
  readonly effects: readonly Effect[];
  /** always later than the moment of the decision */
  readonly wakeAt: number;
}

const LONGEST_SLEEP_MS = 3_600_000;

export function decide(policy: Policy, state: State, moment: Moment): Decision {
  const draft: Draft = { policy, now: moment.now, state, effects: [], wakeAt: moment.now + LONGEST_SLEEP_MS };
  if (state.stopping === undefined) {
    read(draft);
    call(draft);
    deliver(draft);
  } else {
    stop(draft);
  }
  return { state: draft.state, effects: draft.effects, wakeAt: draft.wakeAt };
}

/** The next call that is wanted, whether due or not; undefined when none is possible. */
export function nextCall(
  policy: Policy,
  state: State,
  now: number,
): { readonly operation: 'login' | 'renew'; readonly at: number } | undefined {
  const login = wantedLogin(policy, state);
  const renewal = wantedRenewal(state, now);
  if (login === undefined && renewal === undefined) return undefined;
  const { loginStreak, renewalStreak, jwt } = state;
  // What works keeps its share of the budget from what fails: a token that can be renewed isn't lost to logins that can't be made.
  const renewalWorks = renewal !== undefined && renewalStreak === undefined;
  const loginMayWork = jwt !== undefined && loginStreak === undefined && renewalStreak !== undefined;
  const loginAt = earliest(state, renewalWorks, login);
  const renewalAt = earliest(state, loginMayWork, renewal);
  const [failedLogins, failedRenewals] = [loginStreak?.count ?? 0, renewalStreak?.count ?? 0];
  let isLogin = loginAt < renewalAt;
  // Of two that wait for the same turn, the one that failed less often: the other may never work.
  if (loginAt === renewalAt)
    isLogin = failedLogins === failedRenewals ? (login ?? 0) <= (renewal ?? 0) : failedLogins < failedRenewals;
  return isLogin ? { operation: 'login', at: loginAt } : { operation: 'renew', at: renewalAt };
}

/** When a call that is wanted at `wanted` may be made. `leavesRoom`: for another kind of call, too. */
const earliest = ({ lastCallAt, budget }: State, leavesRoom: boolean, wanted = Number.POSITIVE_INFINITY): number =>
  Math.max(wanted, lastCallAt + CALL_GAP_MS, budgetReadyAt(budget, leavesRoom));

const isLive = (token: HeldToken | undefined, now: number): token is HeldToken =>
  token !== undefined && token.expiresAt > now;

/** True when a stop has nothing left to wait for. */
export function isStopped({ settings }: Policy, { stopping, sinks }: State): boolean {
  if (stopping === undefined) return false;
  return settings.onStop === 'revoke' ? stopping.withdrawal === 'done' : !sinks.some((sink) => sink.writing);
}

/** One decision in the making: the functions below add what is due, and bring the next wake-up forward. */
interface Draft {
  readonly policy: Policy;
  readonly now: number;
  state: State;
  readonly effects: Effect[];
  wakeAt: number;
}

/** True when `at` has come; otherwise the draft wakes then. */
function isDue(draft: Draft, at: number): boolean {
  if (at <= draft.now) return true;
  draft.wakeAt = Math.min(draft.wakeAt, at);
  return false;
}

function read(draft: Draft): void {
  const { reading } = draft.state;
  if (reading.startedAt === undefined) {
    if (isDue(draft, reading.nextAt)) startReading(draft);
    return;
  }
  // A hung file system: the read can't be called off, but the exchange goes on with what it has and says so.
  if (isDue(draft, reading.startedAt + READ_TIMEOUT_MS) && reading.failure?.failure.code !== 'jwt_read_stuck') {
    const failure = { failure: { code: 'jwt_read_stuck' } as const, since: draft.now, count: 1 };
    draft.state = { ...draft.state, reading: { ...reading, failure } };
  }
}

function startReading(draft: Draft): void {
  draft.effects.push({ type: 'read-jwt' });
  draft.state = {
    ...draft.state,
    reading: { ...draft.state.reading, startedAt: draft.now, nextAt: Number.POSITIVE_INFINITY },
  };
  // the look at whether it hangs
  isDue(draft, draft.now + READ_TIMEOUT_MS);
}

function call(draft: Draft): void {
  const { policy, state, now } = draft;
  if (state.call !== undefined) return;
  const next = nextCall(policy, state, now);
  if (next === undefined || !isDue(draft, next.at)) return;
  const attempt = state.attempts + 1;
  if (next.operation === 'renew') {
    if (state.token === undefined) return;
    draft.effects.push({ type: 'renew', attempt, token: state.token.secret });
    draft.state = started(state, { operation: 'renew', attempt, startedAt: now, jwtSerial: state.token.jwtSerial });
    return;
  }
  if (state.jwt === undefined || isAwaitingRead(draft)) return;
  draft.effects.push({ type: 'log-in', attempt, jwt: state.jwt.claims.secret });
  const call = { operation: 'login', attempt, startedAt: now, jwtSerial: state.jwt.serial } as const;
  draft.state = { ...started(state, call), lastLoginAt: now };
}

/** A login is made with the newest JWT there is: the file is looked at first, unless that has just been done. */
function isAwaitingRead(draft: Draft): boolean {
  const { reading } = draft.state;
  if (reading.startedAt !== undefined) return reading.startedAt + READ_TIMEOUT_MS > draft.now;
  if (reading.endedAt + FRESH_READ_MS > draft.now) return false;
  startReading(draft);
  return true;
}

const started = (state: State, call: Call): State => ({
  ...state,
  call,
  attempts: call.attempt,
  lastCallAt: call.startedAt,
});

/** When a login is wanted, on the steady clock; the past means at once. */
function wantedLogin(
  { settings }: Policy,
  { jwt, token, refreshRequestedAt, loginStreak, renewalStreak, lastLoginAt }: State,
): number | undefined {
  if (jwt === undefined) return undefined;
  const floor = Math.max(lastLoginAt + LOGIN_GAP_MS, loginStreak?.retryAt ?? 0);
  if (token === undefined || refreshRequestedAt !== undefined) return floor;
  if (settings.onNewJwt === 'login' && token.jwtSerial !== jwt.serial) return floor;
  // Vault answers 500 to the renewal of a token whose role is gone: two of them, and one login tells.
  const renewalBroken = renewalStreak?.failure.code === 'vault_unavailable' && renewalStreak.count >= 2;
  if (renewalBroken && loginStreak === undefined) return floor;
  const planned = token.renewable ? token.loginAt : token.renewAt;
  return Math.max(floor, Math.min(planned, token.expiresAt));
}

/** When a renewal is wanted. An expired token is not renewed: Vault has forgotten it. */
function wantedRenewal({ token, renewalStreak }: State, now: number): number | undefined {
  if (!isLive(token, now) || !token.renewable) return undefined;
  const at = Math.max(token.renewAt, renewalStreak?.retryAt ?? 0);
  return at < token.expiresAt ? at : undefined;
}

function deliver(draft: Draft): void {
  const { token } = draft.state;
  if (!isLive(token, draft.now)) return;
  const sinks = draft.state.sinks.map((sink) => {
    if (sink.writing !== undefined) return sink;
    const changed = sink.holds?.revision !== token.revision && sink.failure === undefined;
    if (!changed && !isDue(draft, sink.checkAt)) return sink;
    draft.effects.push({ type: 'deliver', sink: sink.id, token, clockOffsetMs: draft.state.clockOffsetMs });
    const { generation, revision, expiresAt } = token;
    return { ...sink, writing: { generation, revision, expiresAt } } satisfies SinkState;
  });
  draft.state = { ...draft.state, sinks };
}

/** If asked to, waits shortly for the call in flight, revokes the token, and takes it out of the sinks: two seconds in all. */
function stop(draft: Draft): void {
  const { state, policy, now } = draft;
  const { stopping, call, token } = state;
  if (stopping === undefined || policy.settings.onStop === 'keep') return;
  const isRevoking = call?.operation === 'revoke';
  if (call !== undefined && !isDue(draft, stopping.since + (isRevoking ? STOP_MS : STOP_CALL_MS))) return;
  if (isLive(token, now) && !token.isForeign && !isRevoking) {
    const attempt = state.attempts + 1;
    draft.effects.push({ type: 'revoke', attempt, token: token.secret });
    draft.state = started(state, { operation: 'revoke', attempt, startedAt: now, jwtSerial: 0 });
    isDue(draft, stopping.since + STOP_MS);
  } else if (stopping.withdrawal === 'due' && !state.sinks.some((sink) => sink.writing)) {
    draft.effects.push({ type: 'withdraw' });
    draft.state = { ...state, stopping: { ...stopping, withdrawal: 'running' } };
  }
}
