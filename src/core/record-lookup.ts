// Records the results of lookups: of the token that an earlier process left (`on_start: reuse`), and of the held token
// (`check_interval`, or a denied request of a client).

import { entryOf, type Failure } from './errors.ts';
import { originOf, placeOf } from './origin.ts';
import { streakAfter, withCost } from './record-token.ts';
import {
  CLOCK_JUMP_MS,
  checkDelay,
  firstCheckDelay,
  loginPoint,
  MOST_DENIED_CHECKS,
  recheckDelay,
  renewalPoint,
  SUSPICION_GAP_MS,
  suspicionDelay,
} from './schedule.ts';
import type { Secret } from './secret.ts';
import type { HeldJwt, HeldToken, Moment, Policy, State } from './state.ts';
import { type TokenLife, whyNotReusable } from './token-life.ts';

/** Records the token that an earlier process left; undefined if there is none, or a sink hangs. */
export function withTokenFound(state: State, token: Secret | undefined): State {
  const { earlier } = state;
  if (earlier === undefined || earlier.secret !== undefined) return state;
  return { ...state, earlier: token === undefined ? undefined : { ...earlier, secret: token } };
}

/**
 * Checks the token that Vault denied a request with: the token may be dead, or its policies may deny the request. A policy that
 * denies many requests leads to one check in SUSPICION_GAP_MS.
 */
export function withSuspicion(state: State, generation: number, { now, random }: Moment): State {
  const { token, deniedChecks, suspectableAt } = state;
  if (token?.generation !== generation || deniedChecks >= MOST_DENIED_CHECKS || suspectableAt > now) return state;
  const checkAt = Math.min(state.checkAt, now + suspicionDelay(random));
  return { ...state, checkAt, suspectableAt: now + SUSPICION_GAP_MS };
}

export function withLookedUp(policy: Policy, state: State, life: TokenLife, moment: Moment): State {
  if (state.earlier === undefined) return withConfirmed(policy, state, life, moment);
  const resumed = { ...state, earlier: undefined, loginStreak: undefined };
  if (whyNotReusable(policy.settings, life) !== undefined) return resumed;
  const token = takenOver(policy, state, life, moment);
  return {
    ...resumed,
    token: state.jwt === undefined ? token : matched(token, state.jwt),
    generation: token.generation,
    checkAt: moment.now + firstCheckDelay(policy.settings, token, moment.random),
  };
}

/** The lease counts back from its end, so a token late in its lease is renewed at once. */
function takenOver(policy: Policy, state: State, { grant, leftMs, issuedWall }: TokenLife, moment: Moment): HeldToken {
  const expiresAt = (state.call?.startedAt ?? moment.now) + leftMs;
  const grantedAt = expiresAt - grant.leaseMs;
  return {
    ...grant,
    grantedRenewable: grant.renewable,
    generation: state.generation + 1,
    revision: 1,
    jwtSerial: 0,
    origin: originOf(policy.settings),
    place: placeOf(policy.settings),
    fromEarlierConfig: false,
    grantedAt,
    issuedAt: issuedWall - state.clockOffsetMs,
    expiresAt,
    firstLeaseMs: grant.leaseMs,
    renewAt: grantedAt + renewalPoint(grant.leaseMs, moment.random),
    loginAt: grantedAt + loginPoint(grant.leaseMs),
    renewed: false,
    takenOver: true,
    takenOverFrom: issuedWall,
    confirmed: true,
  };
}

/** The difference between the issuer's clock and Vault's clock that is overlooked. */
const SKEW_MS = 5000;

/** Decides whether a token that was taken over is the token of this JWT: a JWT issued later asks for a new login. */
export function matched(token: HeldToken, { serial, claims }: HeldJwt): HeldToken {
  const { takenOverFrom, ...known } = token;
  if (takenOverFrom === undefined) return token;
  const isOfThisJwt = claims.issuedAt === undefined || claims.issuedAt <= takenOverFrom + SKEW_MS;
  return { ...known, jwtSerial: isOfThisJwt ? serial : 0 };
}

function withConfirmed(policy: Policy, state: State, { leftMs }: TokenLife, moment: Moment): State {
  const { token } = state;
  if (token === undefined) return state;
  const checkAt = moment.now + checkDelay(policy.settings, token, moment.random);
  const expiresAt = (state.call?.startedAt ?? moment.now) + leftMs;
  // Vault has shortened the lease: renew at once
  const isShorter = leftMs > 0 && expiresAt < token.expiresAt - CLOCK_JUMP_MS;
  const lease = isShorter ? shortened(token, expiresAt, moment) : {};
  return { ...state, token: { ...token, ...lease, confirmed: true }, deniedChecks: 0, checkAt };
}

const shortened = (token: HeldToken, expiresAt: number, { now }: Moment): Partial<HeldToken> => ({
  expiresAt,
  revision: token.revision + 1,
  renewAt: Math.min(token.renewAt, now),
  loginAt: Math.min(token.loginAt, now + loginPoint(expiresAt - now)),
});

export function withFailedLookup(policy: Policy, state: State, failure: Failure, moment: Moment): State {
  const charged = withCost(state, failure, moment);
  if (state.earlier !== undefined) {
    const loginStreak = streakAfter(state.loginStreak, failure, state, moment);
    // A login would fail in the same way, so the earlier token gets another chance.
    if (isDown(failure, loginStreak.count)) return { ...charged, loginStreak };
    return { ...charged, earlier: undefined, loginStreak: undefined };
  }
  const { token } = state;
  if (token === undefined) return charged;
  if (failure.code !== 'token_rejected')
    return { ...charged, checkAt: moment.now + recheckDelay(policy.settings, token, failure, moment.random) };
  // Vault also denies the lookup of a live token whose policies lack lookup-self: the token stays until the login.
  const deniedChecks = token.confirmed === true ? 0 : state.deniedChecks + 1;
  return { ...charged, deniedChecks, checkAt: Number.POSITIVE_INFINITY, refreshRequestedAt: moment.now };
}

/** Failures of the lookup alone: the login may work. */
const OF_LOOKUP: ReadonlySet<Failure['code']> = new Set([
  'bad_response',
  'token_wrapped',
  'mfa_required',
  'vault_call_stuck',
]);
/** A quota or a gateway may affect the path of the lookup alone: the second failure in a row ends the wait. */
const PERHAPS_OF_LOOKUP: ReadonlySet<Failure['code']> = new Set(['vault_unavailable', 'vault_rate_limited']);

/** Reports whether Vault can't serve a login either. */
const isDown = (failure: Failure, count: number): boolean =>
  entryOf(failure).area === 'vault' &&
  !OF_LOOKUP.has(failure.code) &&
  !(count > 1 && PERHAPS_OF_LOOKUP.has(failure.code));
