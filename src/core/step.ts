// One exchange as a state machine: a step records an event in the state, then decides which actions are due.
// Read state.ts for the facts and events, record.ts and decide.ts for the two halves, schedule.ts for the numbers.

import { fullBucket, refilled } from './bucket.ts';
import { type Decision, decide } from './decide.ts';
import { isSameOrigin, originOf } from './origin.ts';
import { record } from './record.ts';
import { FAILURE_BUDGET, firstCheckDelay, LOGIN_BUDGET } from './schedule.ts';
import type { ExchangeSettings } from './settings.ts';
import type { ExchangeEvent, HeldToken, Moment, Policy, SinkState, State } from './state.ts';

/** Applies one event. Returns the new state, the effects to perform, and when the next step is due at the latest. */
export function step(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): Decision {
  return decide(policy, record(policy, state, event, moment), moment);
}

/** The same exchange under the config before a reload. */
export interface Inheritance {
  readonly settings: ExchangeSettings;
  readonly state: State;
}

/** The start conditions of an exchange. */
export interface Beginning {
  /** the earliest start; `now` by default */
  readonly startsAt?: number | undefined;
  /** whether a recent login of an earlier process counts against the rate limit of logins; false by default */
  readonly honoursLastLogin?: boolean | undefined;
  readonly inherited?: Inheritance | undefined;
}

/** Returns the state before the first event. Sinks keep what they held before a reload, but are checked at once. */
export function initialState(policy: Policy, { now, wall, random }: Moment, beginning: Beginning = {}): State {
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
    // The epoch time in milliseconds grows faster than the count of logins, so the number also grows across restarts.
    generation: earlier?.generation ?? Math.floor(wall),
    // the result of a revocation in flight is lost
    replaced: (earlier?.replaced ?? []).filter(({ secret }) => earlier?.call?.revokes?.equals(secret) !== true),
    earlier:
      policy.settings.onStart === 'reuse' && (earlier === undefined || earlier.earlier !== undefined)
        ? { soughtAt: undefined, secret: undefined }
        : undefined,
    checkAt: inheritedCheck(policy, earlier, { now, random }),
    deniedChecks: 0,
    suspectableAt: Number.NEGATIVE_INFINITY,
    revocationStreak: undefined,
    call: undefined,
    attempts: 0,
    lastCallAt: earlier?.lastCallAt ?? Number.NEGATIVE_INFINITY,
    logins: earlier === undefined ? fullBucket(LOGIN_BUDGET, now) : refilled(earlier.logins, LOGIN_BUDGET, now),
    loginStreak: undefined,
    renewalStreak: undefined,
    budget: earlier === undefined ? fullBucket(FAILURE_BUDGET, now) : refilled(earlier.budget, FAILURE_BUDGET, now),
    refreshRequestedAt: earlier?.refreshRequestedAt,
    deniedRenewals: 0,
    startsAt,
    overdueUntil: undefined,
    honoursLastLogin,
    sinks: policy.sinks.map((id) => {
      const known = inherited && inheritedSink(inherited, policy.settings, id);
      return {
        id,
        holds: undefined,
        writtenAt: undefined,
        failure: undefined,
        announced: undefined,
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

/** Keeps the token if Vault, mount and role are the same. Otherwise it is served only until the first login. */
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

/** Keeps the planned check, unless the reload turned the checks on or off. */
function inheritedCheck(
  { settings }: Policy,
  earlier: State | undefined,
  { now, random }: Omit<Moment, 'wall'>,
): number {
  if (earlier?.token === undefined) return Number.POSITIVE_INFINITY;
  const checkAt = now + firstCheckDelay(settings, earlier.token, random);
  return settings.checkIntervalMs === 0 ? checkAt : Math.min(earlier.checkAt, checkAt);
}

/** Returns the sink's state before the reload. A changed format or mode forces a rewrite, but not a changed hook. */
function inheritedSink({ settings, state }: Inheritance, next: ExchangeSettings, id: string): Partial<SinkState> {
  const [before, after] = [settings, next].map(({ sinks }) => {
    const { onChange: _, ...file } = sinks.find(({ path }) => path === id) ?? {};
    return file;
  });
  const { holds, ...known } = state.sinks.find((sink) => sink.id === id) ?? {};
  return isSame(before, after) ? { ...known, holds } : known;
}

const isSameSource = (one: ExchangeSettings, other: ExchangeSettings): boolean =>
  isSame(one.source, other.source) && isSame(one.expect, other.expect);

/** Compares settings. They are plain data, and their members always have the same order. */
const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
