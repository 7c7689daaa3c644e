// Records the result of reading the workload JWT, and when to read it again.

import { type Failure, isFailure } from './errors.ts';
import { matched } from './record-lookup.ts';
import {
  DEBOUNCE_MS,
  HINT_MS,
  pollDelay,
  requestDelay,
  requestRetryDelay,
  rereadDelay,
  UNWATCHED_POLL_MS,
} from './schedule.ts';
import { isRequested } from './settings.ts';
import type { ExchangeEvent, Moment, Policy, State } from './state.ts';
import { decodeWorkloadJwt, isExpired, isOlder, type WorkloadJwt } from './workload-jwt.ts';

/** Returns when to read after a file event: after HINT_MS, but at most once every DEBOUNCE_MS in a burst. */
export const hintedReadAt = ({ reading }: State, { now }: Moment): number =>
  Math.max(now + HINT_MS, (reading.inFlight?.startedAt ?? reading.endedAt) + DEBOUNCE_MS);

type JwtRead = Extract<ExchangeEvent, { type: 'jwt-read' }>;

export function withJwt(policy: Policy, state: State, event: JwtRead, moment: Moment): State {
  const decoded = decodeWorkloadJwt(event.secret, policy.settings.expect);
  if (isFailure(decoded)) return withUnreadableJwt(policy, state, { failure: decoded, watched: event.watched }, moment);
  // a hint during this reading may have scheduled an earlier reading
  const nextAt = Math.min(state.reading.nextAt, nextReading(policy, event.watched, decoded, moment));
  const reading = { inFlight: undefined, endedAt: moment.now, nextAt, candidate: undefined, failure: undefined };
  const held = state.jwt;
  if (held?.claims.secret.equals(decoded.secret)) return { ...state, reading };
  const heldIsGood = held !== undefined && state.loginStreak === undefined && !isExpired(held.claims, moment.wall);
  if (heldIsGood && isOlder(decoded, held.claims)) return { ...state, reading };
  if (event.mayBeTorn === true && state.reading.candidate?.equals(decoded.secret) !== true) {
    const soon = Math.min(nextAt, moment.now + DEBOUNCE_MS);
    return { ...state, reading: { ...reading, nextAt: soon, candidate: decoded.secret } };
  }
  const jwt = { serial: (held?.serial ?? 0) + 1, claims: decoded };
  const token = state.token && matched(state.token, jwt);
  return { ...state, reading, jwt, token, loginStreak: undefined };
}

export function withUnreadableJwt(
  policy: Policy,
  state: State,
  event: { failure: Failure; watched: boolean },
  moment: Moment,
): State {
  const { now, random } = moment;
  const { source } = policy.settings;
  const last = state.reading.failure;
  const isRepeated = last?.failure.code === event.failure.code;
  const failure = {
    failure: event.failure,
    since: isRepeated ? last.since : now,
    count: isRepeated ? last.count + 1 : 1,
  };
  const delayMs = isRequested(source)
    ? requestRetryDelay(event.failure, failure.count, random)
    : rereadDelay(failure.count, pollDelayOf(policy, event.watched, random));
  const nextAt = Math.min(state.reading.nextAt, now + delayMs);
  return { ...state, reading: { inFlight: undefined, endedAt: now, nextAt, candidate: undefined, failure } };
}

function nextReading(policy: Policy, watched: boolean, jwt: WorkloadJwt, { now, wall, random }: Moment): number {
  const { source } = policy.settings;
  return now + (isRequested(source) ? requestDelay(jwt, wall) : pollDelayOf(policy, watched, random));
}

function pollDelayOf({ settings: { source } }: Policy, watched: boolean, random: number): number {
  // an environment variable never changes
  const interval = source.kind === 'file' ? source.pollIntervalMs : 3_600_000;
  return pollDelay(watched ? interval : Math.min(interval, UNWATCHED_POLL_MS), random);
}
