// Decides which actions are due, and when to decide again, from the state alone. It doesn't see the event, so a lost or
// duplicate event can't wedge an exchange. Every action that it starts is recorded in the state in the same step.

import { readyAt, spend } from './bucket.ts';
import { nextChore } from './decide-chores.ts';
import { withHooks } from './decide-hooks.ts';
import { isSameOrigin, originOf } from './origin.ts';
import {
  budgetReadyAt,
  CALL_GAP_MS,
  callDeadline,
  callTimeout,
  DELIVERY_DEADLINE_MS,
  FIND_TOKEN_MS,
  FRESH_READ_MS,
  LOGIN_BUDGET,
  readDeadline,
  STOP_MS,
} from './schedule.ts';
import { isRequested } from './settings.ts';
import type { Call, Effect, HeldToken, LiveToken, Moment, Policy, SinkState, State } from './state.ts';

export interface Decision {
  readonly state: State;
  readonly effects: readonly Effect[];
  /** always later than the instant of the decision */
  readonly wakeAt: number;
}

const LONGEST_SLEEP_MS = 3_600_000;

export function decide(policy: Policy, state: State, moment: Moment): Decision {
  const wakeAt = Math.min(moment.now + LONGEST_SLEEP_MS, state.overdueUntil ?? Number.POSITIVE_INFINITY);
  const draft: Draft = { policy, now: moment.now, state, effects: [], wakeAt };
  if (state.stopping !== undefined) {
    decideStop(draft);
  } else if (isDue(draft, state.startsAt)) {
    decideLastLogin(draft);
    decideEarlierToken(draft);
    decideReading(draft);
    decideCall(draft);
    decideDelivery(draft);
  }
  return withHooks(policy, { state: draft.state, effects: draft.effects, wakeAt: draft.wakeAt });
}

/** Returns the next planned call and its start, which may be in the past; undefined if no call is possible. */
export function nextCall(
  policy: Policy,
  state: State,
  now: number,
): { readonly operation: 'login' | 'renew' | 'lookup'; readonly at: number } | undefined {
  // Until the token of an earlier process is known to be useless, a login would be one too many.
  const { earlier } = state;
  if (earlier !== undefined)
    return earlier.secret && { operation: 'lookup', at: earliest(state, false, state.loginStreak?.retryAt ?? 0) };
  const login = wantedLogin(policy, state);
  const renewal = wantedRenewal(state, now);
  if (login === undefined && renewal === undefined) return undefined;
  const { loginStreak, renewalStreak, jwt } = state;
  // Reserve budget for the operation that works: failing logins must not block a renewal, nor failing renewals a login.
  const renewalWorks = renewal !== undefined && renewalStreak === undefined;
  const loginMayWork = jwt !== undefined && loginStreak === undefined && renewalStreak !== undefined;
  const loginAt = earliest(state, renewalWorks, login);
  const renewalAt = earliest(state, loginMayWork, renewal);
  const [failedLogins, failedRenewals] = [loginStreak?.count ?? 0, renewalStreak?.count ?? 0];
  let isLogin = loginAt < renewalAt;
  // If both may start at the same instant, prefer the one that failed less often: the other may never succeed.
  if (loginAt === renewalAt)
    isLogin = failedLogins === failedRenewals ? (login ?? 0) <= (renewal ?? 0) : failedLogins < failedRenewals;
  return isLogin ? { operation: 'login', at: loginAt } : { operation: 'renew', at: renewalAt };
}

/** Returns the earliest start of a call wanted at `wanted`. `leavesRoom` reserves budget for the other operation. */
const earliest = ({ lastCallAt, budget }: State, leavesRoom: boolean, wanted = Number.POSITIVE_INFINITY): number =>
  Math.max(wanted, lastCallAt + CALL_GAP_MS, budgetReadyAt(budget, leavesRoom));

const isLive = (token: HeldToken | undefined, now: number): token is HeldToken =>
  token !== undefined && token.expiresAt > now;

/** Reports whether a stop is complete or past its deadline. */
export function isStopped(policy: Policy, state: State, now: number): boolean {
  const { stopping, call, sinks, earlier } = state;
  if (stopping === undefined) return false;
  if (now >= stopping.since + STOP_MS) return true;
  if (policy.settings.onStop === 'keep') return !sinks.some((sink) => sink.writing);
  const isRevoked = stopping.revocation === undefined && nextToRevoke(policy, state, now) === undefined;
  // a login in flight may still return a token that must be revoked, and so may the lookup of an earlier token
  const mayGrant = call?.operation === 'login' || (call?.operation === 'lookup' && earlier !== undefined);
  return stopping.withdrawal === 'done' && isRevoked && !mayGrant && call?.operation !== 'revoke';
}

/** A decision under construction: the functions below add effects and lower `wakeAt`. */
interface Draft {
  readonly policy: Policy;
  readonly now: number;
  state: State;
  readonly effects: Effect[];
  wakeAt: number;
}

/** Reports whether `at` has come. If not, lowers `wakeAt` to it. */
function isDue(draft: Draft, at: number): boolean {
  if (at <= draft.now) return true;
  draft.wakeAt = Math.min(draft.wakeAt, at);
  return false;
}

/** Best effort: nothing waits for the result. Without it, the first login may be a few seconds early. */
function decideLastLogin(draft: Draft): void {
  if (!draft.state.honoursLastLogin) return;
  draft.effects.push({ type: 'find-last-login' });
  draft.state = { ...draft.state, honoursLastLogin: false };
}

function decideEarlierToken(draft: Draft): void {
  const { earlier } = draft.state;
  if (earlier === undefined || earlier.secret !== undefined) return;
  const { soughtAt = draft.now } = earlier;
  if (earlier.soughtAt === undefined) draft.effects.push({ type: 'find-token' });
  draft.state = { ...draft.state, earlier: { ...earlier, soughtAt } };
  isDue(draft, soughtAt + FIND_TOKEN_MS);
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
  if (draft.state.call === undefined) startCall(draft);
  const { call } = draft.state;
  if (call !== undefined) isDue(draft, call.startedAt + callDeadline(call));
}

function startCall(draft: Draft): void {
  const { policy, state, now } = draft;
  const next = nextCall(policy, state, now);
  if (next !== undefined && isDue(draft, next.at)) {
    REQUESTS[next.operation](draft);
    return;
  }
  const chore = nextChore(policy, state, now);
  if (chore === undefined || !isDue(draft, chore.at)) return;
  if (chore.operation === 'lookup') requestLookup(draft);
  else requestRevocation(draft, chore.token);
}

function newCall(draft: Draft): Pick<Call, 'attempt' | 'startedAt' | 'timeoutMs'> {
  const { policy, state, now } = draft;
  const timeoutMs = callTimeout(policy.settings.vault, (state.token?.expiresAt ?? now) - now);
  return { attempt: nextAttempt(draft), startedAt: now, timeoutMs };
}

/** Looks up the token of an earlier process, or else the held one. */
function requestLookup(draft: Draft): void {
  const token = draft.state.earlier?.secret ?? draft.state.token?.secret;
  if (token === undefined) return;
  const { attempt, timeoutMs, startedAt } = newCall(draft);
  draft.effects.push({ type: 'look-up', attempt, timeoutMs, token });
  draft.state = inCall(draft, { operation: 'lookup', attempt, timeoutMs, startedAt, jwtSerial: 0 });
}

function requestRevocation(draft: Draft, token: LiveToken): void {
  const { attempt, timeoutMs, startedAt } = newCall(draft);
  draft.effects.push({ type: 'revoke', attempt, timeoutMs, token });
  const call = { operation: 'revoke', attempt, timeoutMs, startedAt, jwtSerial: 0, revokes: token.secret } as const;
  draft.state = inCall(draft, call);
}

const REQUESTS = { renew: requestRenewal, login: requestLogin, lookup: requestLookup } as const;

function requestRenewal(draft: Draft): void {
  const { token } = draft.state;
  if (token === undefined) return;
  const { attempt, timeoutMs, startedAt } = newCall(draft);
  draft.effects.push({ type: 'renew', attempt, timeoutMs, token: token.secret });
  draft.state = inCall(draft, { operation: 'renew', attempt, timeoutMs, startedAt, jwtSerial: token.jwtSerial });
}

function requestLogin(draft: Draft): void {
  const { jwt } = draft.state;
  if (jwt === undefined || isAwaitingRead(draft)) return;
  const { attempt, timeoutMs, startedAt } = newCall(draft);
  draft.effects.push({ type: 'log-in', attempt, timeoutMs, jwt: jwt.claims.secret });
  const state = inCall(draft, { operation: 'login', attempt, timeoutMs, startedAt, jwtSerial: jwt.serial });
  draft.state = { ...state, logins: spend(state.logins, LOGIN_BUDGET, { now: draft.now, cost: 1 }) };
}

/** Reports whether a login must wait for a reading, and starts one if needed: the login should use the newest JWT. */
function isAwaitingRead(draft: Draft): boolean {
  const { reading } = draft.state;
  if (reading.failure?.failure.code === 'jwt_read_stuck') return false;
  if (reading.inFlight !== undefined) return true;
  // this source issues a new JWT at each reading, and a new JWT would end the login backoff
  if (isRequested(draft.policy.settings.source)) return false;
  if (reading.endedAt + FRESH_READ_MS > draft.now) return false;
  requestReading(draft);
  return true;
}

const inCall = ({ state }: Draft, call: Call): State => ({ ...state, call, lastCallAt: call.startedAt });

/** Returns when a login is wanted; an instant in the past means at once. */
export function wantedLogin(
  { settings }: Policy,
  { jwt, token, refreshRequestedAt, loginStreak, renewalStreak, logins }: State,
): number | undefined {
  if (jwt === undefined) return undefined;
  const floor = Math.max(readyAt(logins, LOGIN_BUDGET, 1), loginStreak?.retryAt ?? 0);
  if (token === undefined || refreshRequestedAt !== undefined) return floor;
  if (settings.onNewJwt === 'login' && token.jwtSerial !== jwt.serial) return floor;
  // Vault replies 500 to a renewal if the role was deleted: after two such replies, one login shows the actual reason.
  const renewalBroken = renewalStreak?.failure.code === 'vault_unavailable' && renewalStreak.count >= 2;
  if (renewalBroken && loginStreak === undefined) return floor;
  const planned = token.renewable ? token.loginAt : Math.min(token.renewAt, token.loginAt);
  return Math.max(floor, Math.min(planned, token.expiresAt));
}

/** Returns when a renewal is wanted; undefined if the token isn't renewable, or expires before that. */
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
 * Unless `on_stop` is `keep`, removes the token from the sinks and, in parallel, revokes the tokens of this process one
 * by one, until STOP_MS is over.
 */
function decideStop(draft: Draft): void {
  const { policy, now } = draft;
  const { stopping, sinks, token: held } = draft.state;
  if (stopping === undefined || isDue(draft, stopping.since + STOP_MS) || policy.settings.onStop === 'keep') return;
  if (stopping.withdrawal === 'due') {
    // a token of an earlier process lives on, and so does its file, which each renewal writes
    const isOurs = ({ writtenAt, writing }: SinkState) => !held?.takenOver && (writtenAt ?? writing) !== undefined;
    const withdrawn = policy.settings.onStop === 'undo' ? sinks.filter(isOurs) : sinks;
    draft.effects.push({ type: 'withdraw', sinks: withdrawn.map(({ id }) => id) });
  }
  const withdrawal = stopping.withdrawal === 'due' ? 'running' : stopping.withdrawal;
  draft.state = { ...draft.state, stopping: { ...stopping, withdrawal } };
  const token = nextToRevoke(policy, draft.state, now);
  if (stopping.revocation !== undefined || token === undefined) return;
  const attempt = nextAttempt(draft);
  draft.effects.push({ type: 'revoke', attempt, timeoutMs: policy.settings.vault.timeoutMs, token });
  const revocation = { attempt, secret: token.secret };
  draft.state = { ...draft.state, stopping: { ...stopping, withdrawal, revocation } };
}

/**
 * Returns the next token to revoke: the current token first, then replaced ones. Tokens of a Vault or namespace that is
 * no longer configured come last, because that Vault may hang.
 */
function nextToRevoke({ settings }: Policy, { token, replaced, call }: State, now: number): LiveToken | undefined {
  const own = originOf(settings);
  const held = token !== undefined && token.type !== 'batch' ? [token] : [];
  const live = [...held, ...replaced].filter(
    ({ expiresAt, secret, takenOver }) =>
      expiresAt > now && call?.revokes?.equals(secret) !== true && !(settings.onStop === 'undo' && takenOver),
  );
  return live.find(({ origin }) => isSameOrigin(origin, own)) ?? live[0];
}
