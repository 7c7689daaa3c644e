// The log line about a call that a rate limit delays: why, and for how long.

import { type Delay, delayOf } from '../core/delay.ts';
import type { Moment, Policy, State } from '../core/state.ts';
import { iso, type WriteLine } from './news.ts';

const REASONS: Readonly<Record<Delay['limit'], string>> = {
  logins: 'two logins came shortly before: after them, one in 5 s is allowed',
  failures: 'many calls have failed lately',
};

/** Reports each delay once. */
export function openDelayLog() {
  const reported = new Map<string, number>();
  return (write: WriteLine, policy: Policy, state: State, { now, wall }: Moment): void => {
    const exchange = policy.settings.name;
    const delay = delayOf(policy, state, now);
    if (delay === undefined || reported.get(exchange) === delay.until) return;
    const { operation, until, limit } = delay;
    reported.set(exchange, until);
    write('info', 'call_delayed', {
      operation,
      reason: REASONS[limit],
      wait_seconds: Math.round((until - now) / 1000),
      starts_at: iso(until + wall - now),
    });
  };
}
