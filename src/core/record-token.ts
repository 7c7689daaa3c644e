// Records the results of logins, renewals and revocations: the token and its lease, failure streaks, replaced tokens.

import { refilled, spend } from './bucket.ts';
import { defined } from './defined.ts';
import { entryOf, type Failure, isRefusal } from './errors.ts';
import { originOf, placeOf } from './origin.ts';
import {
  checkDelay,
  FAILURE_BUDGET,
  failureCost,
  firstCheckDelay,
  LOGIN_BUDGET,
  loginPoint,
  MOST_DENIED_CHECKS,
  MOST_REPLACED,
  REPLICATION_MS,
  renewalPoint,
  retryDelay,
} from './schedule.ts';
import type { Secret } from './secret.ts';
import type { HeldToken, LiveToken, Moment, Policy, State, Streak } from './state.ts';
import type { Grant } from './vault-protocol.ts';

/**
 * Reports whether a grant must not replace the held token: its lease is already over (after a slow reply or a suspend),
 * but the held token is still valid.
 */
export function isDeadOnArrival({ token, call }: State, { leaseMs }: Grant, { now }: Moment): boolean {
  return token !== undefined && token.expiresAt > now && (call?.startedAt ?? now) + leaseMs <= now;
}

export function withFailedLogin(state: State, failure: Failure, moment: Moment): State {
  // A new JWT was read while this login was in flight: the refusal concerns only the old one.
  const isOutdated = isRefusal(failure) && state.jwt !== undefined && state.call?.jwtSerial !== state.jwt.serial;
  const loginStreak = isOutdated ? undefined : streakAfter(state.loginStreak, failure, state, moment);
  // A node that lags behind has not processed the login: refund its cost.
  const refund = failure.code === 'vault_behind' ? -1 : 0;
  const logins = spend(state.logins, LOGIN_BUDGET, { now: moment.now, cost: refund });
  const retried = state.loginStreak === undefined ? withRenewalRetried(state, moment) : {};
  return { ...withCost(state, failure, moment), ...retried, loginStreak, logins };
}

/**
 * Makes a token renewable again whose renewals count as denied: when logins start to fail, one more renewal is worth a
 * try, since the policies may have changed. Another denial restores the state.
 */
function withRenewalRetried({ token, deniedRenewals }: State, { now }: Moment): Partial<State> {
  if (token === undefined || !token.grantedRenewable || deniedRenewals < 2) return {};
  return { token: { ...token, renewable: true, renewAt: now }, deniedRenewals: 1 };
}

export function withLogin(policy: Policy, before: State, grant: Grant, moment: Moment): State {
  const state =
    before.token === undefined || before.token.secret.equals(grant.secret)
      ? before
      : withReplaced(before, before.token, moment);
  const same = state.token?.secret.equals(grant.secret) === true;
  const generation = same ? state.generation : state.generation + 1;
  const plan = granted(state, grant, moment);
  // the policies lack renew-self: don't try to renew this token
  const unrenewable = state.deniedRenewals >= 2 ? { renewable: false } : {};
  const token: HeldToken = {
    ...plan,
    ...unrenewable,
    generation,
    jwtSerial: state.call?.jwtSerial ?? 0,
    origin: originOf(policy.settings),
    place: placeOf(policy.settings),
    fromEarlierConfig: false,
    issuedAt: moment.now,
    firstLeaseMs: grant.leaseMs,
    renewed: false,
  };
  // A refresh requested after this login started needs a login of its own.
  const isAnswered = (state.refreshRequestedAt ?? 0) <= (state.call?.startedAt ?? moment.now);
  const refreshRequestedAt = isAnswered ? undefined : state.refreshRequestedAt;
  const checkAt = checkAfter(firstCheckDelay, policy, state, token, moment);
  return { ...state, token, generation, checkAt, loginStreak: undefined, renewalStreak: undefined, refreshRequestedAt };
}

function checkAfter(
  delay: typeof checkDelay,
  { settings }: Policy,
  { deniedChecks }: State,
  token: Pick<HeldToken, 'numUses'>,
  { now, random }: Moment,
): number {
  if (deniedChecks >= MOST_DENIED_CHECKS) return Number.POSITIVE_INFINITY;
  // Was the last token dead, or do the policies lack lookup-self? A check of the new token decides.
  return now + (deniedChecks > 0 ? REPLICATION_MS : delay(settings, token, random));
}

export function withRenewal(policy: Policy, state: State, grant: Grant, moment: Moment): State {
  const held = state.token;
  if (held === undefined) return state;
  const token = { ...held, ...granted(state, grant, moment), renewed: true };
  const capped = isCapped(held, grant);
  const newJwtPending = policy.settings.onNewJwt === 'login' && state.jwt?.serial !== held.jwtSerial;
  const loginPending = newJwtPending || capped || state.refreshRequestedAt !== undefined;
  // Below half of the first lease, more renewals would gain next to nothing.
  const renewable = token.renewable && grant.leaseMs >= held.firstLeaseMs / 2;
  return {
    ...state,
    token: capped ? { ...token, renewable, loginAt: moment.now } : token,
    checkAt: checkAfter(checkDelay, policy, state, token, moment),
    deniedRenewals: 0,
    renewalStreak: undefined,
    loginStreak: loginPending ? state.loginStreak : undefined,
  };
}

/**
 * Reports whether a renewal granted less than the login did: Vault cuts leases at the maximum TTL, and only a login gives
 * a whole one. A login at once replaces the token while half of its lease is left. Vault states leases in whole seconds, so
 * renewals of one role grant the same lease until then; a periodic token's lease is cut only at its explicit maximum TTL.
 */
const isCapped = ({ firstLeaseMs }: HeldToken, { leaseMs }: Grant): boolean => leaseMs < firstLeaseMs;

/** Counts the lease from the start of the call, since Vault may have granted it any time before the reply. */
function granted(state: State, grant: Grant, moment: Moment) {
  const grantedAt = state.call?.startedAt ?? moment.now;
  return {
    ...grant,
    grantedRenewable: grant.renewable,
    revision: (state.token?.revision ?? 0) + 1,
    grantedAt,
    expiresAt: grantedAt + grant.leaseMs,
    renewAt: grantedAt + renewalPoint(grant.leaseMs, moment.random),
    loginAt: grantedAt + loginPoint(grant.leaseMs),
  };
}

export function withDeniedRenewal(state: State, failure: Failure, moment: Moment): State {
  const charged = withCost(state, failure, moment);
  const renewalStreak = streakAfter(state.renewalStreak, failure, state, moment);
  const { token } = state;
  const tooYoung =
    token !== undefined && moment.now - token.grantedAt < REPLICATION_MS && state.renewalStreak === undefined;
  if (token === undefined || entryOf(failure).retry !== 'log-in' || (failure.code === 'renewal_denied' && tooYoung)) {
    return { ...charged, renewalStreak };
  }
  const firstDenied = failure.code === 'renewal_denied' && !token.renewed;
  const deniedRenewals = firstDenied ? state.deniedRenewals + 1 : 0;
  return { ...charged, renewalStreak, deniedRenewals, token: { ...token, renewable: false, renewAt: moment.now } };
}

export function withCost(state: State, failure: Failure, { now }: Moment): State {
  return { ...state, budget: spend(state.budget, FAILURE_BUDGET, { now, cost: failureCost(failure) }) };
}

export function streakAfter(
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

/** Charges an earlier process's login to the rate limit, so that a crash loop can't exceed it. */
export function withEarlierLogin(state: State, ageMs: number, { now }: Moment): State {
  const { level, at } = refilled(state.logins, LOGIN_BUDGET, now);
  return { ...state, logins: { level: Math.min(level, ageMs * LOGIN_BUDGET.refillPerMs), at } };
}

/** Remembers the token of a login whose result came too late, unless a later login got the same token. */
export const withLateGrant = (state: State, grant: Grant, origin: LiveToken['origin'], moment: Moment): State =>
  state.token?.secret.equals(grant.secret) === true
    ? state
    : withReplaced(state, { ...grant, origin, expiresAt: moment.now + grant.leaseMs }, moment);

/** Remembers a token that the exchange no longer uses, to revoke it later. Batch tokens can't be revoked. */
function withReplaced(state: State, token: LiveToken & Pick<Grant, 'type'>, { now }: Moment): State {
  if (token.type === 'batch') return state;
  const { secret, accessor, origin, expiresAt, takenOver } = token;
  const live = state.replaced.filter((one) => one.expiresAt > now && !one.secret.equals(secret));
  const replaced = { secret, accessor, origin, expiresAt, ...defined({ takenOver }) };
  return { ...state, replaced: [replaced, ...live].slice(0, MOST_REPLACED) };
}

/** Notes since when the replaced tokens are out of use: once every sink holds the current one. */
export function withReplacedOutOfUse(state: State, now: number): State {
  const { token, sinks, replaced } = state;
  const isInPlace = token !== undefined && sinks.every(({ holds }) => holds?.generation === token.generation);
  if (!isInPlace || replaced.every(({ outOfUseAt }) => outOfUseAt !== undefined)) return state;
  return { ...state, replaced: replaced.map((one) => ({ outOfUseAt: now, ...one })) };
}

/** Records the end of a revocation while the exchange runs. A refusal means that the token is dead already. */
export function withRevocation(
  state: State,
  secret: Secret | undefined,
  failure: Failure | undefined,
  moment: Moment,
): State {
  const isThis = (one: LiveToken) => secret?.equals(one.secret) === true;
  if (failure === undefined || isRefusal(failure)) {
    const replaced = state.replaced.filter((one) => !isThis(one));
    const isPending = replaced.some(({ retryAt }) => retryAt !== undefined);
    const revocationStreak = isPending ? state.revocationStreak : undefined;
    return { ...(failure === undefined ? state : withCost(state, failure, moment)), replaced, revocationStreak };
  }
  const revocationStreak = streakAfter(state.revocationStreak, failure, state, moment);
  const { retryAt } = revocationStreak;
  const replaced = state.replaced.map((one) => (isThis(one) ? { ...one, retryAt } : one));
  return { ...withCost(state, failure, moment), replaced, revocationStreak };
}

/** Records the end of a revocation during a stop: the token isn't revoked again. */
export function withoutRevoked(state: State, attempt: number): State {
  const { stopping, token, replaced } = state;
  const { revocation } = stopping ?? {};
  if (stopping === undefined || revocation?.attempt !== attempt) return state;
  return {
    ...state,
    token: token?.secret.equals(revocation.secret) ? undefined : token,
    replaced: replaced.filter(({ secret }) => !secret.equals(revocation.secret)),
    stopping: { ...stopping, revocation: undefined },
  };
}
