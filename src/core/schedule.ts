// When: lease arithmetic, backoff, and the budget that bounds failed calls. Every number of the daemon's manners towards
// Vault is here. Pure arithmetic on milliseconds; `random` is a draw in [0, 1).

import { type Bucket, type BucketLimit, readyAt } from './bucket.ts';
import { entryOf, type Failure } from './errors.ts';
import type { SourceSettings, VaultSettings } from './settings.ts';
import type { WorkloadJwt } from './workload-jwt.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Between any two calls of one exchange to Vault. */
export const CALL_GAP_MS = SECOND;
/** Logins of one exchange: two at once, then one in 5 s. So a JWT that follows a refused one is used at once. */
export const LOGIN_BUDGET: BucketLimit = { capacity: 2, refillPerMs: 1 / (5 * SECOND) };
/** From the first file event to the read: what comes with it is seen by the same read. */
export const HINT_MS = 20;
/** Between two reads in a burst of file events, and between two looks at a file that may still be being written. */
export const DEBOUNCE_MS = 100;
/** A JWT that was read this recently needs no new look before it is sent. */
export const FRESH_READ_MS = SECOND;
/** How often the JWT is read where nothing tells of a change. */
export const UNWATCHED_POLL_MS = 2 * SECOND;
/** A look at each sink, whether somebody deleted or altered what it holds. */
export const SINK_CHECK_MS = 10 * SECOND;
/** From a stop to its end, whatever hangs: kubelet may leave 2 s for the whole process. */
export const STOP_MS = SECOND;
/** How many replaced tokens are remembered for a revoking stop, the newest. */
export const MOST_REPLACED = 50;
/** A delivery without a result after this long counts as failed. */
export const DELIVERY_DEADLINE_MS = 30 * SECOND;
/** A token this young may not have reached the node that denies its renewal. */
export const REPLICATION_MS = 5 * SECOND;
/** Wall and steady clock apart by more than this since the last look: somebody set the clock. */
export const CLOCK_JUMP_MS = 5 * SECOND;

/** Failed calls: 10 at once, then one in 30 s. At most 12 in any minute and 40 in any 15 minutes, whatever fails. */
export const FAILURE_BUDGET: BucketLimit = { capacity: 10, refillPerMs: 1 / (30 * SECOND) };

/**
 * A uniform point between two thirds and three quarters of the lease (half of it below a minute), so that a fleet's renewals
 * spread out. Vault's own clients renew at 70 to 73 %, and once more right after the login.
 */
export function renewalPoint(leaseMs: number, random: number): number {
  const share = leaseMs < MINUTE ? 1 / 2 : 2 / 3 + random / 12;
  return Math.max(SECOND, leaseMs * share);
}

/** From here on logging in is the better way: the last 15 % of the lease. */
export const loginPoint = (leaseMs: number): number => Math.max(SECOND, leaseMs * 0.85);

/** How long before its expiry a token is no longer handed out: it must outlive the way to its user. */
export const expiryMargin = (leaseMs: number): number => Math.min(5 * SECOND, leaseMs / 10);

/** Half fixed, half random: d/2 + random * d/2 with d = min(cap, 1 s * 2^(count - 1)). */
function backoff(count: number, capMs: number, random: number): number {
  const whole = Math.min(capMs, SECOND * 2 ** Math.min(count - 1, 30));
  return whole / 2 + (random * whole) / 2;
}

/** Vault takes a JWT this long before its "not before" (clock_skew_leeway of a role, 60 s unless set). */
const CLOCK_LEEWAY_MS = 60 * SECOND;

export interface RetryFacts {
  /** failures in a row, this one included */
  readonly count: number;
  /** how long the token in hand still lives; undefined without one */
  readonly tokenLeftMs: number | undefined;
  /** from the wall clock to the JWT's "not before"; undefined if unknown */
  readonly untilValidMs: number | undefined;
  readonly random: number;
}

/** How long to wait before the operation that failed is tried again. */
export function retryDelay(failure: Failure, { count, tokenLeftMs, untilValidMs, random }: RetryFacts): number {
  const calmCap = tokenLeftMs === undefined ? MINUTE : clamp(tokenLeftMs / 10, 2 * SECOND, MINUTE);
  const asked = failure.retryAfterMs === undefined ? 0 : clamp(failure.retryAfterMs, SECOND, 5 * MINUTE);
  const own = ownDelay();
  return Math.max(own, asked);

  function ownDelay(): number {
    switch (entryOf(failure).retry) {
      case 'soon':
        // A signature that stays wrong is more likely a wrong JWT than keys in rotation.
        return backoff(count, failure.code === 'signature_invalid' && count > 3 ? 5 * MINUTE : calmCap, random);
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
        return backoff(count, calmCap, random);
    }
  }
}

/** What a failed call costs the budget: one that had to be waited for costs double. */
export const failureCost = (failure: Failure): number => (failure.code === 'vault_timeout' ? MOST_COST : 1);
const MOST_COST = 2;

/** When the budget allows the next call: any call may fail. `leavesRoom`: so that another kind of call is left one, too. */
export const budgetReadyAt = (budget: Bucket, leavesRoom: boolean): number =>
  readyAt(budget, FAILURE_BUDGET, leavesRoom ? 1 + MOST_COST : 1);

/** The poll interval, jittered by 10 % either way. */
export const pollDelay = (intervalMs: number, random: number): number => intervalMs * (0.9 + 0.2 * random);

/** After an unreadable JWT: three quick looks, since it may be in the middle of being written, then the poll. */
export const rereadDelay = (count: number, pollMs: number): number => (count <= 3 ? Math.min(200, pollMs) : pollMs);

/** A reading without a result after this long counts as failed. Sources give up a little earlier, and say why. */
export const readDeadline = (source: SourceSettings): number =>
  6 * SECOND + (source.kind === 'vault-identity' ? source.vault.timeoutMs : 0);

/** A call without a result after this long counts as failed. The Vault client gives up at its timeout. */
export const callDeadline = ({ timeoutMs }: VaultSettings): number => timeoutMs + 5 * SECOND;

/** From one identity token of another Vault to the next: half of its life. */
export const identityDelay = ({ issuedAt, expiresAt }: WorkloadJwt): number =>
  issuedAt !== undefined && expiresAt !== undefined && expiresAt > issuedAt
    ? Math.max(5 * SECOND, (expiresAt - issuedAt) / 2)
    : MINUTE;

/** After another Vault gave no identity token. Without a token to ask with nothing was asked, so the next look may come soon. */
export const identityRetryDelay = ({ code }: Failure, count: number, random: number): number =>
  code === 'identity_token_missing' ? rereadDelay(count, 5 * SECOND) : backoff(count, 30 * SECOND, random);

/** A sink that fails: 1 s, doubled up to 30 s. */
export const sinkDelay = (count: number, random: number): number => backoff(count + 1, 30 * SECOND, random);

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
