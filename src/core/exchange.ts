// One exchange as a state machine: what happened is recorded, then what is due is decided. Nothing else ever decides.
// Read state.ts for the facts and events, record.ts and decide.ts for the two halves, schedule.ts for the numbers.

import { fullBucket } from './bucket.ts';
import { type Decision, decide } from './decide.ts';
import { record } from './record.ts';
import { FAILURE_BUDGET } from './schedule.ts';
import type { ExchangeSettings } from './settings.ts';
import type { ExchangeEvent, HeldToken, Moment, Policy, SinkState, State } from './state.ts';

/** Takes one event at one moment; returns the state after it, what to do now, and when to come back at the latest. */
export function step(policy: Policy, state: State, event: ExchangeEvent, moment: Moment): Decision {
  return decide(policy, record(policy, state, event, moment), moment);
}

/** What an exchange takes over from itself under an earlier config. */
export interface Inheritance {
  readonly settings: ExchangeSettings;
  readonly state: Pick<State, 'jwt' | 'token' | 'sinks'>;
}

/** The state before the first event. What the sinks hold is known, and looked at anew at once. */
export function initialState(policy: Policy, { now, wall }: Moment, inherited?: Inheritance): State {
  const token = inherited && inheritedToken(inherited, policy.settings, now);
  return {
    jwt: inherited && isSameSource(inherited.settings, policy.settings) ? inherited.state.jwt : undefined,
    reading: {
      startedAt: undefined,
      endedAt: Number.NEGATIVE_INFINITY,
      nextAt: now,
      candidate: undefined,
      failure: undefined,
    },
    token,
    // Seconds since 1970 are more than the logins of any earlier process: the number grows over restarts too.
    generation: token?.generation ?? Math.floor(wall / 1000),
    call: undefined,
    attempts: 0,
    lastCallAt: Number.NEGATIVE_INFINITY,
    lastLoginAt: Number.NEGATIVE_INFINITY,
    loginStreak: undefined,
    renewalStreak: undefined,
    budget: fullBucket(FAILURE_BUDGET, now),
    refreshRequestedAt: undefined,
    deniedRenewals: 0,
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

/** At the same Vault and role it lives on as it is; else it is served until the first login of this config. */
function inheritedToken(
  { settings, state: { token } }: Inheritance,
  next: ExchangeSettings,
  now: number,
): HeldToken | undefined {
  if (token === undefined) return undefined;
  if (!isSame(settings.vault, next.vault) || !isSame(settings.login, next.login))
    return { ...token, isForeign: true, renewable: false, jwtSerial: 0, renewAt: now };
  return isSameSource(settings, next) ? token : { ...token, jwtSerial: 0 };
}

/** What another format or mode asks for isn't held yet. */
function inheritedSink({ settings, state }: Inheritance, next: ExchangeSettings, id: string): Partial<SinkState> {
  const [before, after] = [settings, next].map(({ sinks }) => sinks.find(({ path }) => path === id));
  const { holds, ...known } = state.sinks.find((sink) => sink.id === id) ?? {};
  return isSame(before, after) ? { ...known, holds } : known;
}

const isSameSource = (one: ExchangeSettings, other: ExchangeSettings): boolean =>
  isSame(one.source, other.source) && isSame(one.expect, other.expect);

/** Of settings, which are plain data, made in the same order each time. */
const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
