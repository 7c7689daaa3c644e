// One exchange as a state machine: what happened is recorded, then what is due is decided. Nothing else ever decides.
// Read state.ts for the facts and events, record.ts and decide.ts for the two halves, schedule.ts for the numbers.

import { fullBucket } from './bucket.ts';
import { type Decision, decide } from './decide.ts';
import { record } from './record.ts';
import { FAILURE_BUDGET } from './schedule.ts';
import type { ExchangeEvent, Moment, Policy, State } from './state.ts';

/** Takes one event at one moment; returns the state after it, what to do now, and when to come back at the latest. */
export function step(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): Decision {
  return decide(policy, record(policy, state, event, moment), moment);
}

/** What an exchange takes over from itself under an earlier config. */
export type Inheritance = Pick<State, 'token' | 'sinks'>;

/**
 * The state before the first event. An inherited token is served until the first login of this config, and never renewed,
 * since it may belong to another Vault. What the sinks hold is known, and looked at anew at once.
 */
export function initialState(policy: Policy, { now, wall }: Moment, inherited?: Inheritance): State {
  const token = inherited?.token;
  return {
    jwt: undefined,
    reading: {
      startedAt: undefined,
      endedAt: Number.NEGATIVE_INFINITY,
      nextAt: now,
      candidate: undefined,
      failure: undefined,
    },
    token: token && { ...token, renewable: false, jwtSerial: 0, renewAt: now },
    // Seconds since 1970 are more than the logins of any earlier process: the number grows over restarts too.
    generation: token?.generation ?? Math.floor(wall / 1000),
    call: undefined,
    attempts: 0,
    lastCallAt: Number.NEGATIVE_INFINITY,
    lastLoginAt: Number.NEGATIVE_INFINITY,
    loginStreak: undefined,
    renewalStreak: undefined,
    budget: fullBucket(FAILURE_BUDGET, now),
    refreshRequested: false,
    deniedRenewals: 0,
    sinks: policy.sinks.map((id) => {
      const known = inherited?.sinks.find((sink) => sink.id === id);
      return {
        id,
        holds: undefined,
        writtenAt: undefined,
        failure: undefined,
        ...known,
        writing: undefined,
        checkAt: now,
      };
    }),
    started: false,
    clockOffsetMs: wall - now,
    stopping: undefined,
  };
}
