// All timing constants and rate limits: lease arithmetic, backoff, and the budgets that limit calls to Vault.
// Pure arithmetic on milliseconds; `random` is a random number in [0, 1).

import { type Bucket, type BucketLimit, readyAt } from './bucket.ts';
import { entryOf, type Failure } from './errors.ts';
import { type ExchangeSettings, isRequested, type SourceSettings, type VaultSettings } from './settings.ts';
import type { Grant } from './vault-protocol.ts';
import type { WorkloadJwt } from './workload-jwt.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** The minimum gap between two logins or renewals of one exchange. */
export const CALL_GAP_MS = SECOND;
/** Logins of one exchange: a burst of two, so that a new JWT can soon follow a refused one, then one every 5 s. */
export const LOGIN_BUDGET: BucketLimit = { capacity: 2, refillPerMs: 1 / (5 * SECOND) };
/** The delay from the first file event to the read, so that the read covers the events that follow immediately. */
export const HINT_MS = 20;
/** The gap between two reads in a burst of file events, and the delay before a possibly half-written file is reread. */
export const DEBOUNCE_MS = 100;
/** A JWT that was read this recently isn't reread before a login. */
export const FRESH_READ_MS = SECOND;
/** The longest poll interval while the JWT's directory isn't watched. */
export const UNWATCHED_POLL_MS = 2 * SECOND;
/** How often each sink is checked for a deleted or altered file. */
export const SINK_CHECK_MS = 10 * SECOND;
/** The deadline of a stop, even if a call or a file system hangs: kubelet may leave the process only 2 s. */
export const STOP_MS = SECOND;
/** How many replaced tokens are remembered for `on_stop: revoke`; the oldest are dropped. */
export const MOST_REPLACED = 50;
/** A delivery without a result after this long counts as failed. */
export const DELIVERY_DEADLINE_MS = 30 * SECOND;
/** A token younger than this may not be replicated yet to the Vault node that denies its renewal. */
export const REPLICATION_MS = 5 * SECOND;
/** If wall clock and steady clock drift apart by more than this, the wall clock was set. */
export const CLOCK_JUMP_MS = 5 * SECOND;

/** Failed calls: a burst of 10, then one every 30 s, so at most 12 in any minute and 40 in any 15 minutes. */
export const FAILURE_BUDGET: BucketLimit = { capacity: 10, refillPerMs: 1 / (30 * SECOND) };

/**
 * Returns when to renew, or to log in for a token that can't be renewed: a random point from 40 to 47.5 % of the lease, so
 * that the calls of a fleet spread out. A token that is replaced then has half of its lease left, even if a renewal comes
 * before the login (see isCapped). Leases below a minute need the whole slack of 10 % for these two calls.
 */
export function renewalPoint(leaseMs: number, random: number): number {
  const share = 0.4 + (leaseMs < MINUTE ? 0 : 0.075 * random);
  return Math.max(SECOND, leaseMs * share);
}

/** Returns when to fall back to a login if no renewal has succeeded: at 85 % of the lease. */
export const loginPoint = (leaseMs: number): number => Math.max(SECOND, leaseMs * 0.85);

/** Returns how long before its expiry a token is no longer served: it must not expire on its way to the client. */
export const expiryMargin = (leaseMs: number): number => Math.min(5 * SECOND, leaseMs / 10);

/** Returns an exponential backoff, half of it jitter: d/2 + random * d/2, where d = min(cap, 1 s * 2^(count - 1)). */
function backoff(count: number, capMs: number, random: number): number {
  const whole = Math.min(capMs, SECOND * 2 ** Math.min(count - 1, 30));
  return whole / 2 + (random * whole) / 2;
}

/** Vault accepts a JWT this long before its "not before": the default of a role's clock_skew_leeway. */
const CLOCK_LEEWAY_MS = 60 * SECOND;

export interface RetryFacts {
  /** consecutive failures, including this one */
  readonly count: number;
  /** remaining lease of the held token; undefined without a valid token */
  readonly tokenLeftMs: number | undefined;
  /** time until the JWT's "not before"; negative if it has passed, undefined if unknown */
  readonly untilValidMs: number | undefined;
  readonly random: number;
}

/** Returns the delay before the failed operation is retried. */
export function retryDelay(failure: Failure, { count, tokenLeftMs, untilValidMs, random }: RetryFacts): number {
  // the sooner the held token expires, the more often the call is retried
  const usualCap = tokenLeftMs === undefined ? MINUTE : clamp(tokenLeftMs / 10, 2 * SECOND, MINUTE);
  return Math.max(ownDelay(), overloadDelay(failure, { count, capMs: usualCap, random }));

  function ownDelay(): number {
    switch (entryOf(failure).retry) {
      case 'soon':
        // A signature that stays invalid is more likely the fault of the JWT than of a key rotation.
        return backoff(count, failure.code === 'signature_invalid' && count > 3 ? 5 * MINUTE : usualCap, random);
      case 'slow':
        return backoff(count, 5 * MINUTE, random);
      case 'new-jwt':
        return MINUTE * (1 + random / 10);
      case 'clock':
        return clamp(
          (untilValidMs ?? 0) - CLOCK_LEEWAY_MS + SECOND,
          Math.max(5 * SECOND, backoff(count, MINUTE, random)),
          5 * MINUTE,
        );
      case 'log-in':
        return backoff(count, usualCap, random);
    }
  }
}

/**
 * Returns the delay that an overloaded server needs: Retry-After within limits, plus a jitter that grows with each failure. Without
 * the jitter, all clients that were refused at once return at once: after Retry-After, or when the login budget allows it.
 */
function overloadDelay(
  { code, retryAfterMs }: Failure,
  { count, capMs, random }: { readonly count: number; readonly capMs: number; readonly random: number },
): number {
  const isLimited = code === 'vault_rate_limited' || retryAfterMs !== undefined;
  if (!isLimited && code !== 'vault_unavailable') return 0;
  const jitter = random * Math.min(capMs, count * (isLimited ? 10 : 5) * SECOND);
  const asked = askedDelay(retryAfterMs);
  return Math.min(asked + jitter, MOST_ASKED_MS);
}
const MOST_ASKED_MS = 5 * MINUTE;

/** Returns the delay that the server asks for, within limits. */
const askedDelay = (retryAfterMs: number | undefined): number =>
  retryAfterMs === undefined ? 0 : clamp(retryAfterMs, SECOND, MOST_ASKED_MS);

/** Returns what a failed call costs the budget: a timeout costs double. */
export const failureCost = (failure: Failure): number => (failure.code === 'vault_timeout' ? MOST_COST : 1);
const MOST_COST = 2;

/** Returns when the budget allows a call. With `leavesRoom`, it must also allow one call of the other operation. */
export const budgetReadyAt = (budget: Bucket, leavesRoom: boolean): number =>
  readyAt(budget, FAILURE_BUDGET, leavesRoom ? 1 + MOST_COST : 1);

/** How long the start waits for the token of an earlier process: a sink may hang. */
export const FIND_TOKEN_MS = 2 * SECOND;
/** The minimum gap between two denied requests that each lead to a check of the token. */
export const SUSPICION_GAP_MS = 10 * SECOND;
/**
 * Returns the delay from a denied request to the check of the token: if Vault has lost all tokens, the proxies of a fleet
 * notice in the same second. With the gap between two calls, a login usually comes within 4 s.
 */
export const suspicionDelay = (random: number): number => 3 * SECOND * random;
/** After this many tokens whose first check was denied, the policies lack lookup-self, and checks end. */
export const MOST_DENIED_CHECKS = 2;

type Checking = Pick<ExchangeSettings, 'checkIntervalMs'>;
type Usable = Pick<Grant, 'numUses'>;

/** Reports whether the token is checked. A check of a token with limited uses would spend one. */
const isChecked = ({ checkIntervalMs }: Checking, { numUses }: Usable): boolean => checkIntervalMs > 0 && numUses === 0;

/** Returns the delay before the token is checked again; Infinity if it isn't. */
export const checkDelay = (settings: Checking, token: Usable, random: number): number =>
  isChecked(settings, token) ? pollDelay(settings.checkIntervalMs, random) : Number.POSITIVE_INFINITY;

/** Returns the delay before the first check: at random within the interval, so that sidecars that start together spread. */
export const firstCheckDelay = (settings: Checking, token: Usable, random: number): number =>
  isChecked(settings, token) ? Math.max(REPLICATION_MS, settings.checkIntervalMs * random) : Number.POSITIVE_INFINITY;

/** Returns the delay after a failed check: at least as long as Vault asks for. */
export const recheckDelay = (settings: Checking, token: Usable, { retryAfterMs }: Failure, random: number): number =>
  Math.max(checkDelay(settings, token, random), askedDelay(retryAfterMs));

/** Returns when the budget allows a chore: it leaves room for one call of each other operation. */
export const choreReadyAt = (budget: Bucket): number => readyAt(budget, FAILURE_BUDGET, 1 + 2 * MOST_COST);

/** Returns the poll interval with a jitter of 10 % in either direction. */
export const pollDelay = (intervalMs: number, random: number): number => intervalMs * (0.9 + 0.2 * random);

/** Returns the delay after a failed reading: three quick retries, since the file may be half written, then a minute at most. */
export const rereadDelay = (count: number, pollMs: number): number => Math.min(count <= 3 ? 200 : MINUTE, pollMs);

/** A reading without a result after this long counts as failed. Sources time out earlier, also in a process that hardly runs. */
export const readDeadline = (source: SourceSettings): number => 15 * SECOND + 1.25 * requestTimeout(source);

function requestTimeout(source: SourceSettings): number {
  if (!isRequested(source)) return 0;
  return source.kind === 'http' ? source.timeoutMs : source.vault.timeoutMs;
}

/**
 * Returns the timeout of a call. While a token is held, it leaves half of the rest of the lease for another try, but never less
 * than two seconds for this one.
 */
export const callTimeout = ({ timeoutMs }: Pick<VaultSettings, 'timeoutMs'>, tokenLeftMs: number): number =>
  tokenLeftMs <= 0 ? timeoutMs : Math.min(timeoutMs, Math.max(2 * SECOND, tokenLeftMs / 2));

/** How long an overdue action waits for its result among the events that follow. */
export const OVERDUE_MS = 500;

/** A call without a result after this long counts as failed. The Vault client times out earlier, also in a process that hardly runs. */
export const callDeadline = ({ timeoutMs }: Pick<VaultSettings, 'timeoutMs'>): number =>
  timeoutMs + clamp(timeoutMs / 3, SECOND, 5 * SECOND);

/**
 * Returns the delay before the next JWT is requested: half of the time that is left of the current one, as a server may answer
 * with the same JWT again. If the clocks differ, the JWT's own lifetime limits it.
 */
export function requestDelay({ issuedAt, expiresAt }: WorkloadJwt, wall: number): number {
  if (issuedAt === undefined || expiresAt === undefined || expiresAt <= Math.max(issuedAt, wall)) return MINUTE;
  return Math.max(5 * SECOND, Math.min(expiresAt - issuedAt, expiresAt - wall) / 2);
}

/**
 * Returns the delay after a failed request for a JWT. If the credentials for the request are missing, the server wasn't called,
 * so the retry may come soon.
 */
export function requestRetryDelay(failure: Failure, count: number, random: number): number {
  const { code } = failure;
  if (code === 'identity_token_missing' || code === 'jwt_request_incomplete') return rereadDelay(count, 5 * SECOND);
  const capMs = 30 * SECOND;
  return Math.max(backoff(count, capMs, random), overloadDelay(failure, { count, capMs, random }));
}

/** Returns the delay after a failed delivery: 1 to 2 s at first, doubled with each failure, at most 30 s. */
export const sinkDelay = (count: number, random: number): number => backoff(count + 1, 30 * SECOND, random);

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
