// The interface between an exchange and the source of its workload JWT.
// A source reads and hints; the core decides when to read, and judges the JWT.

import type { Secret } from '../core/secret.ts';

export interface JwtSource {
  /**
   * Reads the JWT, without leading and trailing whitespace.
   * @throws ExchangeError jwt_*; a vault-identity source also throws identity_* and the errors of the Vault client
   */
  read(): Promise<Secret>;
  /** whether the latest reading may be half written; false if the file was replaced by a rename */
  readonly mayBeTorn?: boolean;
  /** false while changes can be noticed only by polling */
  readonly watched: boolean;
  close(): Promise<void>;
}
