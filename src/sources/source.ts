// The seam between an exchange and the place where its workload JWT comes from.
// A source reads and hints; it doesn't decide when to read, and never judges the JWT.

import type { Secret } from '../core/secret.ts';

export interface JwtSource {
  /**
   * Reads the JWT's text now, blanks at its ends removed.
   * @throws ExchangeError jwt_missing, jwt_unreadable, jwt_not_a_file, jwt_too_large or jwt_empty
   */
  read(): Promise<Secret>;
  /** what was read last may still be being written: nothing says that it was put in its place whole */
  readonly mayBeTorn?: boolean;
  /** false while a change can only be noticed by reading again */
  readonly watched: boolean;
  close(): Promise<void>;
}
