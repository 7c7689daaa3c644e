// Tells whether a rate limit delays the next call, and which one. For display only: the decision itself is nextCall().

import { fullBucket, readyAt } from './bucket.ts';
import { nextCall } from './decide.ts';
import { FAILURE_BUDGET, LOGIN_BUDGET } from './schedule.ts';
import type { Policy, State } from './state.ts';

export interface Delay {
  readonly operation: 'login' | 'renew' | 'lookup';
  /** the instant of the call, on the steady clock */
  readonly until: number;
  /** `logins`: too many logins shortly before; `failures`: too many failed calls */
  readonly limit: 'logins' | 'failures';
}

/** Shorter delays aren't reported: calls of an exchange are a second apart. */
const SHORTEST_MS = 1000;

/**
 * Returns the delay of a call that would start at once without the rate limits. A call that failed before has none: the time of its
 * next try is known from the failure.
 */
export function delayOf(policy: Policy, state: State, now: number): Delay | undefined {
  if (state.call !== undefined || state.stopping !== undefined || state.startsAt > now) return undefined;
  const next = nextCall(policy, state, now);
  if (next === undefined || next.at <= now + SHORTEST_MS) return undefined;
  const { loginStreak, renewalStreak } = state;
  if ((next.operation === 'renew' ? renewalStreak : loginStreak) !== undefined) return undefined;
  const [logins, budget] = [fullBucket(LOGIN_BUDGET, now), fullBucket(FAILURE_BUDGET, now)];
  const free = nextCall(policy, { ...state, logins, budget, lastCallAt: Number.NEGATIVE_INFINITY }, now);
  if (free === undefined || free.at > now) return undefined;
  const isLogins = next.operation === 'login' && readyAt(state.logins, LOGIN_BUDGET, 1) >= next.at;
  return { operation: next.operation, until: next.at, limit: isLogins ? 'logins' : 'failures' };
}
