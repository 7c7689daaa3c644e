// The types of an exchange: its state, the events that it receives, and the effects that it requests. State holds only
// facts; phases are derived from it for display (status.ts), and no decision depends on them.
// Instants are milliseconds on the steady clock (see Moment) unless a comment says "wall".

import type { Bucket } from './bucket.ts';
import type { Failure } from './errors.ts';
import type { TokenOrigin, TokenPlace } from './origin.ts';
import type { Secret } from './secret.ts';
import type { ExchangeSettings } from './settings.ts';
import type { TokenLife } from './token-life.ts';
import type { Grant, Operation } from './vault-protocol.ts';
import type { WorkloadJwt } from './workload-jwt.ts';

/** The clock readings and the random number that a step uses. */
export interface Moment {
  /** epoch milliseconds on the steady clock: it can't be set, and keeps counting while the machine is suspended */
  readonly now: number;
  /** epoch milliseconds on the wall clock, for the JWT's claims and for display */
  readonly wall: number;
  /** a random number in [0, 1) */
  readonly random: number;
}

/** The configuration that decisions depend on. */
export interface Policy {
  readonly settings: ExchangeSettings;
  /** the sinks' ids, in the order of the settings */
  readonly sinks: readonly string[];
}

export interface State {
  readonly jwt: HeldJwt | undefined;
  readonly reading: Reading;
  readonly token: HeldToken | undefined;
  /** the number of the latest token; keeps growing across restarts of the process */
  readonly generation: number;
  /** replaced tokens that may still be valid, newest first: to be revoked with `on_replace: revoke` or `on_stop: revoke` */
  readonly replaced: readonly LiveToken[];
  /** the token of an earlier process, until it is taken over or rejected: `on_start: reuse` */
  readonly earlier: EarlierToken | undefined;
  /** when to ask Vault next whether it still knows the token; Infinity: never */
  readonly checkAt: number;
  /** consecutive tokens whose first check was denied; two mean that the policies lack lookup-self */
  readonly deniedChecks: number;
  /** when a denied request may next lead to a check of the token */
  readonly suspectableAt: number;
  /** failed revocations of replaced tokens */
  readonly revocationStreak: Streak | undefined;
  readonly call: Call | undefined;
  /** the number of the latest attempt; a result is stale if its attempt is no longer in flight */
  readonly attempts: number;
  readonly lastCallAt: number;
  /** the rate limit of logins, successful or not */
  readonly logins: Bucket;
  readonly loginStreak: Streak | undefined;
  readonly renewalStreak: Streak | undefined;
  /** the rate limit of failed calls */
  readonly budget: Bucket;
  /** when the pending refresh was requested; undefined if none is pending */
  readonly refreshRequestedAt: number | undefined;
  /** consecutive tokens whose first renewal was denied; two mean that the policies lack renew-self */
  readonly deniedRenewals: number;
  /** nothing starts earlier, except after a refresh or a stop: staggers the start of many exchanges */
  readonly startsAt: number;
  /**
   * how long actions that are past their deadlines wait for their results: after a time without processor, these may be among
   * the events that follow; undefined if none waits
   */
  readonly overdueUntil: number | undefined;
  /** whether to read the age of the sinks' files, which counts an earlier process's login against `logins` */
  readonly honoursLastLogin: boolean;
  readonly sinks: readonly SinkState[];
  /** true once every sink holds a token; stays true until a reload replaces the state */
  readonly started: boolean;
  /** wall clock minus steady clock; updated only when the difference jumps (CLOCK_JUMP_MS) */
  readonly clockOffsetMs: number;
  readonly stopping: Stopping | undefined;
}

/** A token that an earlier process left in a sink. */
export interface EarlierToken {
  readonly soughtAt: number | undefined;
  /** undefined until the sinks have been read */
  readonly secret: Secret | undefined;
}

/** The workload JWT in use. The serial identifies it without comparing secrets. */
export interface HeldJwt {
  readonly serial: number;
  readonly claims: WorkloadJwt;
}

export interface Reading {
  readonly inFlight: { readonly attempt: number; readonly startedAt: number } | undefined;
  readonly endedAt: number;
  readonly nextAt: number;
  /** a new JWT that may be half written: adopted if the next reading returns the same text */
  readonly candidate: Secret | undefined;
  /** why the latest reading failed; the JWT from before stays in use */
  readonly failure: { readonly failure: Failure; readonly since: number; readonly count: number } | undefined;
}

export interface HeldToken extends Grant {
  /** as Vault granted it; `renewable` is also false once renewals were denied */
  readonly grantedRenewable: boolean;
  readonly generation: number;
  /** grows with every grant, renewals included: a sink that holds another revision is out of date */
  readonly revision: number;
  /** serial of the JWT that it was issued for; 0 if unknown after a reload */
  readonly jwtSerial: number;
  /** where the token is valid; after a reload, the settings may name another Vault */
  readonly origin: TokenOrigin;
  /** where it was issued; after a reload, the settings may name another place */
  readonly place: TokenPlace;
  /** issued under an earlier config for another Vault, mount or role; served until the first login under this config */
  readonly fromEarlierConfig: boolean;
  readonly grantedAt: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly firstLeaseMs: number;
  /** when to renew, or to log in if the token isn't renewable */
  readonly renewAt: number;
  /** when to log in if no renewal has succeeded by then */
  readonly loginAt: number;
  readonly renewed: boolean;
  /** Vault's wall clock when it issued a token that was taken over from an earlier process, until the JWT is known */
  readonly takenOverFrom?: number | undefined;
  /** an earlier process got this token */
  readonly takenOver?: boolean;
  /** whether Vault has confirmed the token by a lookup since its login */
  readonly confirmed?: boolean;
}

export interface LiveToken {
  readonly secret: Secret;
  /** empty for batch tokens */
  readonly accessor: string;
  readonly origin: TokenOrigin;
  readonly expiresAt: number;
  /** since when every sink holds a newer token; undefined until then */
  readonly outOfUseAt?: number;
  /** when to try a failed revocation again */
  readonly retryAt?: number;
  readonly takenOver?: boolean;
}

export interface Call {
  readonly operation: Operation;
  readonly attempt: number;
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly jwtSerial: number;
  /** the token that is being revoked */
  readonly revokes?: Secret;
}

/** Consecutive failures of one operation. */
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
  /** when to deliver again, as a retry or to restore a deleted or altered file */
  readonly checkAt: number;
  /** the generation of the latest token in place that `on_change` was due for, with or without a hook */
  readonly announced: number | undefined;
}

/** Identifies the grant that a sink holds. */
export interface HeldGrant {
  readonly generation: number;
  readonly revision: number;
  readonly expiresAt: number;
}

export interface Stopping {
  readonly since: number;
  /** the removal of the token from the sinks */
  readonly withdrawal: 'due' | 'running' | 'done';
  /** the revocation in flight: one at a time, in parallel with a login or renewal in flight */
  readonly revocation: { readonly attempt: number; readonly secret: Secret } | undefined;
}

/** The ids of a call that connect a log line with Vault's audit log. */
export interface Trace {
  readonly correlationId: string;
  /** Vault's own id; undefined unless the reply has one */
  readonly requestId: string | undefined;
}

interface ResultOfCall {
  readonly attempt: number;
  /** for the log; undefined if the call wasn't sent */
  readonly trace?: Trace | undefined;
}

export type ExchangeEvent =
  | { readonly type: 'woke' }
  | { readonly type: 'hook-ended' }
  | { readonly type: 'jwt-hinted' }
  | {
      readonly type: 'jwt-read';
      readonly attempt: number;
      readonly secret: Secret;
      readonly watched: boolean;
      readonly mayBeTorn?: boolean;
    }
  | { readonly type: 'jwt-unreadable'; readonly attempt: number; readonly failure: Failure; readonly watched: boolean }
  | (ResultOfCall & { readonly type: 'logged-in'; readonly grant: Grant })
  | (ResultOfCall & { readonly type: 'login-failed'; readonly failure: Failure })
  | (ResultOfCall & { readonly type: 'renewed'; readonly grant: Grant })
  | (ResultOfCall & { readonly type: 'renewal-failed'; readonly failure: Failure })
  /** Vault knows the token that was looked up: the held one, or the one of an earlier process */
  | (ResultOfCall & { readonly type: 'looked-up'; readonly life: TokenLife })
  | (ResultOfCall & { readonly type: 'lookup-failed'; readonly failure: Failure })
  /** what an earlier process left in the sinks */
  | { readonly type: 'token-found'; readonly token: Secret | undefined }
  | (ResultOfCall & { readonly type: 'revoked' })
  | (ResultOfCall & { readonly type: 'revocation-failed'; readonly failure: Failure })
  | { readonly type: 'delivered'; readonly sink: string; readonly attempt: number; readonly written: boolean }
  | { readonly type: 'delivery-failed'; readonly sink: string; readonly attempt: number; readonly failure: Failure }
  | { readonly type: 'withdrawn' }
  /** sent once, after the start: the age of the token that an earlier process delivered; Infinity if unknown */
  | { readonly type: 'last-login-found'; readonly ageMs: number }
  /** the result of a login under an earlier config that was in flight during a reload */
  | { readonly type: 'late-grant'; readonly grant: Grant; readonly origin: TokenOrigin }
  /** ends backoffs: a TLS file changed, or the config was reloaded */
  | { readonly type: 'retry-requested' }
  | { readonly type: 'refresh-requested' }
  /** Vault answered 403 to a client's request with the token of this generation */
  | { readonly type: 'token-suspected'; readonly generation: number }
  | { readonly type: 'stop-requested' };

interface CallEffect {
  readonly attempt: number;
  readonly timeoutMs: number;
}

export type Effect =
  | { readonly type: 'find-last-login' }
  | { readonly type: 'read-jwt'; readonly attempt: number }
  | (CallEffect & { readonly type: 'log-in'; readonly jwt: Secret })
  | (CallEffect & { readonly type: 'renew'; readonly token: Secret })
  | { readonly type: 'find-token' }
  | (CallEffect & { readonly type: 'look-up'; readonly token: Secret })
  | (CallEffect & { readonly type: 'revoke'; readonly token: LiveToken })
  | {
      readonly type: 'deliver';
      readonly sink: string;
      readonly attempt: number;
      readonly token: HeldToken;
      readonly clockOffsetMs: number;
    }
  /** `token` is redacted from the hook's output */
  | { readonly type: 'run-hook'; readonly sink: string; readonly token: Secret }
  | { readonly type: 'withdraw'; readonly sinks: readonly string[] };
