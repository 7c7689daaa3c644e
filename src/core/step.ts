// One exchange as a state machine: what happened is recorded, then what is due is decided. Nothing else ever decides.
// Read state.ts for the facts and events, record.ts and decide.ts for the two halves, schedule.ts for the numbers.

import { fullBucket, refilled } from './bucket.ts';
import { type Decision, decide } from './decide.ts';
import { isSameOrigin, originOf } from './origin.ts';
import { record } from './record.ts';
import { FAILURE_BUDGET, LOGIN_BUDGET } from './schedule.ts';
import type { ExchangeSettings } from './settings.ts';
import type { ExchangeEvent, HeldToken, Moment, Policy, SinkState, State } from './state.ts';

/** Takes one event at one moment; returns the state after it, what to do now, and when to come back at the latest. */
export function step(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): Decision {
  return decide(policy, record(policy, state, event, moment), moment);
}

/** What an exchange takes over from itself under an earlier config. */
export interface Inheritance {
  readonly settings: ExchangeSettings;
  readonly state: State;
}

/** How an exchange begins; all of it may be left out. */
export interface Beginning {
  /** nothing is started earlier; at once if left out */
  readonly startsAt?: number | undefined;
  /** an earlier process may have logged in a moment ago, which counts as a login of this one */
  readonly honoursLastLogin?: boolean | undefined;
  readonly inherited?: Inheritance | undefined;
}

/** The state before the first event. What the sinks hold is known, and checked again at once. */
export function initialState(policy: Policy, { now, wall }: Moment, beginning: Beginning = {}): State {
  const { inherited, startsAt = now, honoursLastLogin = false } = beginning;
  const earlier = inherited?.state;
  return {
    jwt: inherited && isSameSource(inherited.settings, policy.settings) ? earlier?.jwt : undefined,
    reading: {
      inFlight: undefined,
      endedAt: Number.NEGATIVE_INFINITY,
      nextAt: now,
      candidate: undefined,
      failure: undefined,
    },
    token: inherited && inheritedToken(inherited, policy.settings, now),
    // Seconds since 1970 exceed the logins of any earlier process: the number grows over restarts too.
    generation: earlier?.generation ?? Math.floor(wall / 1000),
    replaced: earlier?.replaced ?? [],
    call: undefined,
    attempts: 0,
    lastCallAt: earlier?.lastCallAt ?? Number.NEGATIVE_INFINITY,
    logins: earlier === undefined ? fullBucket(LOGIN_BUDGET, now) : refilled(earlier.logins, LOGIN_BUDGET, now),
    loginStreak: undefined,
    renewalStreak: undefined,
    budget: earlier === undefined ? fullBucket(FAILURE_BUDGET, now) : refilled(earlier.budget, FAILURE_BUDGET, now),
    refreshRequestedAt: undefined,
    deniedRenewals: 0,
    startsAt,
    honoursLastLogin,
    sinks: policy.sinks.map((id) => {
      const known = inherited && inheritedSink(inherited, policy.settings, id);
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

/** At the same Vault, mount and role it lives on; else it is served until the first login of this config. */
function inheritedToken(
  { settings, state: { token } }: Inheritance,
  next: ExchangeSettings,
  now: number,
): HeldToken | undefined {
  if (token === undefined) return undefined;
  if (!isSameOrigin(originOf(settings), originOf(next)) || !isSame(settings.login, next.login))
    return { ...token, fromEarlierConfig: true, renewable: false, jwtSerial: 0, renewAt: now };
  return isSameSource(settings, next) ? token : { ...token, jwtSerial: 0 };
}

/** A changed format or mode forces a rewrite. */
function inheritedSink({ settings, state }: Inheritance, next: ExchangeSettings, id: string): Partial<SinkState> {
  const [before, after] = [settings, next].map(({ sinks }) => sinks.find(({ path }) => path === id));
  const { holds, ...known } = state.sinks.find((sink) => sink.id === id) ?? {};
  return isSame(before, after) ? { ...known, holds } : known;
}

const isSameSource = (one: ExchangeSettings, other: ExchangeSettings): boolean =>
  isSame(one.source, other.source) && isSame(one.expect, other.expect);

/** Of settings, which are plain data, made in the same order each time. */
const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
