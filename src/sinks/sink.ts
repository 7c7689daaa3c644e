// The interface between an exchange and the places where its Vault token is delivered.

import type { TokenPlace } from '../core/origin.ts';
import type { Secret } from '../core/secret.ts';

/** The Vault token as it is delivered. Instants are epoch milliseconds on the wall clock. */
export interface TokenDocument {
  readonly exchange: string;
  readonly place: TokenPlace;
  readonly secret: Secret;
  readonly accessor: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly renewable: boolean;
  readonly policies: readonly string[];
}

export interface Delivered {
  readonly secret: Secret;
  readonly place: TokenPlace;
}

export interface TokenSink {
  /** names the sink in logs, metrics and status, such as the file's path */
  readonly id: string;
  /**
   * Writes the token atomically; a no-op if it is already in place.
   * Called at intervals with the same token, to restore a deleted or altered file.
   * @param isCurrent asked before the old token is replaced: false if a newer delivery has overtaken this one while it hung
   * @returns whether anything was written
   * @throws ExchangeError sink_*
   */
  deliver(token: TokenDocument, isCurrent?: () => boolean): Promise<{ readonly written: boolean }>;
  /**
   * Returns the token that an earlier process delivered; undefined if there is none, if another user could have written it,
   * or if the format doesn't name its Vault.
   * Never rejects.
   */
  read(): Promise<Delivered | undefined>;
  /** Returns the age of the delivered token in milliseconds, from any process; Infinity if unknown. Never rejects. */
  age(): Promise<number>;
  /** Tests whether a delivery would succeed, and leaves no trace. @throws ExchangeError sink_* */
  check(): Promise<void>;
  /** Removes the token (`on_stop: revoke`). @param isCurrent as for deliver */
  remove(isCurrent?: () => boolean): Promise<void>;
}
