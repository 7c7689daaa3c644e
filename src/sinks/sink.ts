// The seam between an exchange and the places where its Vault token is put.

import type { Secret } from '../core/secret.ts';

/** The Vault token as it is delivered. Instants are epoch milliseconds on the wall clock. */
export interface TokenDocument {
  readonly exchange: string;
  readonly secret: Secret;
  readonly accessor: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly renewable: boolean;
  readonly policies: readonly string[];
}

export interface TokenSink {
  /** names the sink in logs, metrics and status, such as the file's path */
  readonly id: string;
  /**
   * Puts the token in place whole or not at all; what is there already and right stays untouched.
   * Called again at intervals with the same token, so that what somebody deleted or altered is restored.
   * @returns whether anything was written
   * @throws ExchangeError sink_*
   */
  deliver(token: TokenDocument): Promise<{ readonly written: boolean }>;
  /** How long ago a token was put in place, by whomever, in milliseconds; Infinity where nothing tells. Never throws. */
  age(): Promise<number>;
  /** Tries all that delivering takes, and leaves no trace. @throws ExchangeError sink_* */
  check(): Promise<void>;
  /** Takes the token away again (`on_stop: revoke`). */
  remove(): Promise<void>;
}
