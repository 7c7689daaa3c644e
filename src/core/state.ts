// What an exchange knows, what can happen to it, and what it can ask for. Types only: record.ts writes the facts down,
// decide.ts asks what is due. State is facts; phases are derived from it for people (status.ts) and never decided by.
// Instants are milliseconds on the steady clock (see Moment) unless a comment says "wall".

import type { Bucket } from './bucket.ts';
import type { Failure } from './errors.ts';
import type { Secret } from './secret.ts';
import type { ExchangeSettings } from './settings.ts';
import type { Grant } from './vault-protocol.ts';
import type { WorkloadJwt } from './workload-jwt.ts';

/** The world's part in one step. */
export interface Moment {
  /** epoch milliseconds of a clock that never jumps, and goes on while the machine sleeps */
  readonly now: number;
  /** epoch milliseconds of the wall clock: for the JWT's claims and for display */
  readonly wall: number;
  /** one draw in [0, 1) */
  readonly random: number;
}

/** What decisions depend on, taken from the settings. */
export interface Policy {
  readonly settings: ExchangeSettings;
  /** the sinks' ids, in the order of the settings */
  readonly sinks: readonly string[];
}

export interface State {
  readonly jwt: HeldJwt | undefined;
  readonly reading: Reading;
  readonly token: HeldToken | undefined;
  /** the number of the latest token; grows also over a restart of the process */
  readonly generation: number;
  /** tokens that a later login replaced and that Vault still takes, the newest first: a revoking stop ends them too */
  readonly replaced: readonly LiveToken[];
  readonly call: Call | undefined;
  /** numbers every action whose result is waited for: a result that carries another number is stale */
  readonly attempts: number;
  readonly lastCallAt: number;
  /** what is left to spend on logins, whether they succeed or not */
  readonly logins: Bucket;
  readonly loginStreak: Streak | undefined;
  readonly renewalStreak: Streak | undefined;
  /** what is left to spend on failed calls */
  readonly budget: Bucket;
  /** when somebody asked for a fresh login that hasn't come yet */
  readonly refreshRequestedAt: number | undefined;
  /** tokens in a row whose very first renewal was denied: their policies lack renew-self */
  readonly deniedRenewals: number;
  /** nothing is started before this instant, except by a refresh or a stop: many exchanges start one after another */
  readonly startsAt: number;
  /** whether an earlier process's login still has to be looked for, by the age of what it delivered */
  readonly honoursLastLogin: boolean;
  readonly sinks: readonly SinkState[];
  /** true from the first delivery to every sink on */
  readonly started: boolean;
  /** wall clock minus steady clock, as last accepted */
  readonly clockOffsetMs: number;
  readonly stopping: Stopping | undefined;
}

/** The workload JWT in use. The serial tells one from the next without comparing secrets. */
export interface HeldJwt {
  readonly serial: number;
  readonly claims: WorkloadJwt;
}

export interface Reading {
  readonly inFlight: { readonly attempt: number; readonly startedAt: number } | undefined;
  readonly endedAt: number;
  readonly nextAt: number;
  /** another JWT that may still be being written: it counts when the next look finds the same */
  readonly candidate: Secret | undefined;
  /** why the latest reading gave no usable JWT; the one held before stays in use */
  readonly failure: { readonly failure: Failure; readonly since: number; readonly count: number } | undefined;
}

export interface HeldToken extends Grant {
  readonly generation: number;
  /** grows with every grant, renewals included: what a sink compares */
  readonly revision: number;
  /** the JWT that it was got with; 0 when that was under an earlier config */
  readonly jwtSerial: number;
  /** where Vault takes it: a reload may have moved the exchange elsewhere since */
  readonly origin: TokenOrigin;
  /** logged in for by an earlier config, at another Vault, mount or role: served until this config's first login */
  readonly fromEarlierConfig: boolean;
  readonly grantedAt: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly firstLeaseMs: number;
  /** when to renew, or to log in anew where renewal is impossible */
  readonly renewAt: number;
  /** when to log in rather than go on trying to renew */
  readonly loginAt: number;
  readonly renewed: boolean;
}

/** A token is valid at one Vault, in one namespace. */
export interface TokenOrigin {
  readonly address: string;
  readonly namespace: string | undefined;
}

export interface LiveToken {
  readonly secret: Secret;
  readonly origin: TokenOrigin;
  readonly expiresAt: number;
}

export interface Call {
  readonly operation: 'login' | 'renew';
  readonly attempt: number;
  readonly startedAt: number;
  readonly jwtSerial: number;
}

/** Failures of one operation since its last success. */
export interface Streak {
  readonly failure: Failure;
  readonly since: number;
  readonly count: number;
  readonly retryAt: number;
}

export interface SinkState {
  readonly id: string;
  readonly writing: (HeldGrant & { readonly attempt: number; readonly startedAt: number }) | undefined;
  readonly holds: HeldGrant | undefined;
  readonly writtenAt: number | undefined;
  readonly failure: { readonly failure: Failure; readonly count: number } | undefined;
  /** when to deliver again: a retry, or a look whether somebody deleted or altered it */
  readonly checkAt: number;
}

/** Which grant a sink has. */
export interface HeldGrant {
  readonly generation: number;
  readonly revision: number;
  readonly expiresAt: number;
}

export interface Stopping {
  readonly since: number;
  /** taking the token out of the sinks */
  readonly withdrawal: 'due' | 'running' | 'done';
  /** one at a time, beside whatever call was in flight */
  readonly revocation: { readonly attempt: number; readonly secret: Secret } | undefined;
}

export type ExchangeEvent =
  | { readonly type: 'woke' }
  | { readonly type: 'jwt-hinted' }
  | {
      readonly type: 'jwt-read';
      readonly attempt: number;
      readonly secret: Secret;
      readonly watched: boolean;
      readonly mayBeTorn?: boolean;
    }
  | { readonly type: 'jwt-unreadable'; readonly attempt: number; readonly failure: Failure; readonly watched: boolean }
  | { readonly type: 'logged-in'; readonly attempt: number; readonly grant: Grant }
  | { readonly type: 'login-failed'; readonly attempt: number; readonly failure: Failure }
  | { readonly type: 'renewed'; readonly attempt: number; readonly grant: Grant }
  | { readonly type: 'renewal-failed'; readonly attempt: number; readonly failure: Failure }
  | { readonly type: 'revoked'; readonly attempt: number }
  | { readonly type: 'revocation-failed'; readonly attempt: number; readonly failure: Failure }
  | { readonly type: 'delivered'; readonly sink: string; readonly attempt: number; readonly written: boolean }
  | { readonly type: 'delivery-failed'; readonly sink: string; readonly attempt: number; readonly failure: Failure }
  | { readonly type: 'withdrawn' }
  /** at the start: how long ago another process of this exchange put its token in place; Infinity if none did */
  | { readonly type: 'last-login-found'; readonly ageMs: number }
  /** a login of an earlier config that was in flight when a reload replaced it */
  | { readonly type: 'late-grant'; readonly grant: Grant; readonly origin: TokenOrigin }
  /** what failed may work now: a TLS file changed, or somebody reloaded the config */
  | { readonly type: 'retry-requested' }
  | { readonly type: 'refresh-requested' }
  | { readonly type: 'stop-requested' };

export type Effect =
  | { readonly type: 'find-last-login' }
  | { readonly type: 'read-jwt'; readonly attempt: number }
  | { readonly type: 'log-in'; readonly attempt: number; readonly jwt: Secret }
  | { readonly type: 'renew'; readonly attempt: number; readonly token: Secret }
  | { readonly type: 'revoke'; readonly attempt: number; readonly token: LiveToken }
  | {
      readonly type: 'deliver';
      readonly sink: string;
      readonly attempt: number;
      readonly token: HeldToken;
      readonly clockOffsetMs: number;
    }
  | { readonly type: 'withdraw' };
