// Asks what is due now, and when to look again. Knows nothing of what just happened: each look repairs the whole
// picture, so a lost or doubled event can't wedge it. Whatever it starts is written into the state in the same step.

import { readyAt, spend } from './bucket.ts';
import { isSameOrigin, originOf } from './origin.ts';
import {
  budgetReadyAt,
  CALL_GAP_MS,
  callDeadline,
  DELIVERY_DEADLINE_MS,
  FRESH_READ_MS,
  LOGIN_BUDGET,
  readDeadline,
  STOP_MS,
} from './schedule.ts';
import type { Call, Effect, HeldToken, LiveToken, Moment, Policy, SinkState, State } from './state.ts';

export interface Decision {
  readonly state: State;
  readonly effects: readonly Effect[];
  /** always later than the moment of the decision */
  readonly wakeAt: number;
}

const LONGEST_SLEEP_MS = 3_600_000;

export function decide(policy: Policy, state: State, moment: Moment): Decision {
  const draft: Draft = { policy, now: moment.now, state, effects: [], wakeAt: moment.now + LONGEST_SLEEP_MS };
  if (state.stopping !== undefined) {
    decideStop(draft);
  } else if (isDue(draft, state.startsAt)) {
    decideLastLogin(draft);
    decideReading(draft);
    decideCall(draft);
    decideDelivery(draft);
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

/** True when a stop has nothing left to wait for, or its time is up. */
export function isStopped(policy: Policy, state: State, now: number): boolean {
  const { stopping, call, sinks } = state;
  if (stopping === undefined) return false;
  if (now >= stopping.since + STOP_MS) return true;
  if (policy.settings.onStop === 'keep') return !sinks.some((sink) => sink.writing);
  const isRevoked = stopping.revocation === undefined && nextToRevoke(policy, state, now) === undefined;
  // a login in flight may still bring a token
  return stopping.withdrawal === 'done' && isRevoked && call === undefined;
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

/** Nothing waits for its result: without one the first login may come a few seconds too soon. */
function decideLastLogin(draft: Draft): void {
  if (!draft.state.honoursLastLogin) return;
  draft.effects.push({ type: 'find-last-login' });
  draft.state = { ...draft.state, honoursLastLogin: false };
}

function decideReading(draft: Draft): void {
  const { inFlight, nextAt } = draft.state.reading;
  if (inFlight !== undefined) isDue(draft, inFlight.startedAt + readDeadline(draft.policy.settings.source));
  else if (isDue(draft, nextAt)) requestReading(draft);
}

function requestReading(draft: Draft): void {
  const attempt = nextAttempt(draft);
  draft.effects.push({ type: 'read-jwt', attempt });
  const inFlight = { attempt, startedAt: draft.now };
  const reading = { ...draft.state.reading, inFlight, nextAt: Number.POSITIVE_INFINITY };
  draft.state = { ...draft.state, reading };
  isDue(draft, draft.now + readDeadline(draft.policy.settings.source));
}

function nextAttempt(draft: Draft): number {
  const attempts = draft.state.attempts + 1;
  draft.state = { ...draft.state, attempts };
  return attempts;
}

function decideCall(draft: Draft): void {
  const { policy, state, now } = draft;
  const deadlineMs = callDeadline(policy.settings.vault);
  if (state.call !== undefined) {
    isDue(draft, state.call.startedAt + deadlineMs);
    return;
  }
  const next = nextCall(policy, state, now);
  if (next === undefined || !isDue(draft, next.at)) return;
  if (next.operation === 'renew') requestRenewal(draft);
  else requestLogin(draft);
  isDue(draft, now + deadlineMs);
}

function requestRenewal(draft: Draft): void {
  const { token } = draft.state;
  if (token === undefined) return;
  const attempt = nextAttempt(draft);
  draft.effects.push({ type: 'renew', attempt, token: token.secret });
  draft.state = inCall(draft, { operation: 'renew', attempt, startedAt: draft.now, jwtSerial: token.jwtSerial });
}

function requestLogin(draft: Draft): void {
  const { jwt } = draft.state;
  if (jwt === undefined || isAwaitingRead(draft)) return;
  const attempt = nextAttempt(draft);
  draft.effects.push({ type: 'log-in', attempt, jwt: jwt.claims.secret });
  const state = inCall(draft, { operation: 'login', attempt, startedAt: draft.now, jwtSerial: jwt.serial });
  draft.state = { ...state, logins: spend(state.logins, LOGIN_BUDGET, { now: draft.now, cost: 1 }) };
}

/** A login uses the newest JWT there is: the file is read first, unless that has just been done or hangs. */
function isAwaitingRead(draft: Draft): boolean {
  const { reading } = draft.state;
  if (reading.failure?.failure.code === 'jwt_read_stuck') return false;
  if (reading.inFlight !== undefined) return true;
  // each reading of another Vault makes a new JWT, and a new JWT ends the backoff of logins
  if (draft.policy.settings.source.kind === 'vault-identity') return false;
  if (reading.endedAt + FRESH_READ_MS > draft.now) return false;
  requestReading(draft);
  return true;
}

const inCall = ({ state }: Draft, call: Call): State => ({ ...state, call, lastCallAt: call.startedAt });

/** When a login is wanted, on the steady clock; the past means at once. */
function wantedLogin(
  { settings }: Policy,
  { jwt, token, refreshRequestedAt, loginStreak, renewalStreak, logins }: State,
): number | undefined {
  if (jwt === undefined) return undefined;
  const floor = Math.max(readyAt(logins, LOGIN_BUDGET, 1), loginStreak?.retryAt ?? 0);
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

function decideDelivery(draft: Draft): void {
  const { token } = draft.state;
  if (!isLive(token, draft.now)) return;
  const sinks = draft.state.sinks.map((sink) => {
    if (sink.writing !== undefined) {
      isDue(draft, sink.writing.startedAt + DELIVERY_DEADLINE_MS);
      return sink;
    }
    const changed = sink.holds?.revision !== token.revision && sink.failure === undefined;
    if (!changed && !isDue(draft, sink.checkAt)) return sink;
    const attempt = nextAttempt(draft);
    draft.effects.push({ type: 'deliver', sink: sink.id, attempt, token, clockOffsetMs: draft.state.clockOffsetMs });
    isDue(draft, draft.now + DELIVERY_DEADLINE_MS);
    const { generation, revision, expiresAt } = token;
    const writing = { generation, revision, expiresAt, attempt, startedAt: draft.now };
    return { ...sink, writing } satisfies SinkState;
  });
  draft.state = { ...draft.state, sinks };
}

/**
 * If asked to, takes the token out of the sinks and, at the same time, revokes every token that this process got, one
 * after the other. All of it ends within STOP_MS.
 */
function decideStop(draft: Draft): void {
  const { policy, now } = draft;
  const { stopping } = draft.state;
  if (stopping === undefined || isDue(draft, stopping.since + STOP_MS) || policy.settings.onStop === 'keep') return;
  if (stopping.withdrawal === 'due') draft.effects.push({ type: 'withdraw' });
  const withdrawal = stopping.withdrawal === 'due' ? 'running' : stopping.withdrawal;
  draft.state = { ...draft.state, stopping: { ...stopping, withdrawal } };
  const token = nextToRevoke(policy, draft.state, now);
  if (stopping.revocation !== undefined || token === undefined) return;
  const attempt = nextAttempt(draft);
  draft.effects.push({ type: 'revoke', attempt, token });
  const revocation = { attempt, secret: token.secret };
  draft.state = { ...draft.state, stopping: { ...stopping, withdrawal, revocation } };
}

/** The exchange's own token first, then those that it replaced, those of another Vault last: it may be the one that hangs. */
function nextToRevoke({ settings }: Policy, { token, replaced }: State, now: number): LiveToken | undefined {
  const own = originOf(settings);
  const held = token !== undefined && token.type !== 'batch' ? [token] : [];
  const live = [...held, ...replaced].filter(({ expiresAt }) => expiresAt > now);
  return live.find(({ origin }) => isSameOrigin(origin, own)) ?? live[0];
}
