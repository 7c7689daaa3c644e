// What a person or a probe is told of an exchange, derived from its state and never stored.
// Instants are epoch milliseconds on the wall clock.

import type { ErrorCode } from './errors.ts';

/** For people only: nothing is ever decided by it. */
export type Phase = 'waiting-for-jwt' | 'logging-in' | 'active' | 'overdue' | 'expired' | 'stopping';

export interface ExchangeStatus {
  readonly exchange: string;
  readonly phase: Phase;
  readonly ready: boolean;
  /** why it isn't ready, one line each; empty when ready */
  readonly reasons: readonly string[];
  /** true from the first delivery to every sink on, for ever */
  readonly started: boolean;
  readonly jwt: JwtStatus | undefined;
  readonly token: TokenStatus | undefined;
  readonly failure: FailureStatus | undefined;
  readonly sinks: readonly SinkStatus[];
  /** the next planned call to Vault */
  readonly nextAction: { readonly kind: 'log-in' | 'renew'; readonly at: number } | undefined;
}

export interface JwtStatus {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number | undefined;
}

export interface TokenStatus {
  readonly accessor: string;
  readonly expiresAt: number;
  readonly renewAt: number;
  readonly policies: readonly string[];
  readonly type: string;
  readonly renewable: boolean;
  readonly ttlMs: number;
}

export interface FailureStatus {
  readonly code: ErrorCode;
  readonly title: string;
  readonly hint: string;
  readonly evidence: string | undefined;
  readonly since: number;
  readonly attempts: number;
  readonly retryAt: number | undefined;
}

export interface SinkStatus {
  readonly id: string;
  readonly current: boolean;
  readonly writtenAt: number | undefined;
  readonly failure: { readonly code: ErrorCode; readonly title: string; readonly hint: string } | undefined;
}
