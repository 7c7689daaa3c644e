// What the HTTP apps see of the exchanges: a read-only view, never the runners.

import type { Secret } from '../core/secret.ts';
import type { ExchangeStatus } from '../core/status.ts';

export interface ExchangeView {
  readonly name: string;
  status(): ExchangeStatus;
  /** the Vault token while it may be served: never an expired one */
  token(): ServedToken | undefined;
  /** of the latest token, also when it has expired; undefined before the first one */
  generation(): number | undefined;
  /** resolves when the token's generation differs from `generation`, or when `signal` aborts; never rejects */
  changed(generation: number | undefined, signal: AbortSignal): Promise<void>;
  /** asks for a fresh login; returns at once */
  refresh(): void;
}

export interface ServedToken {
  readonly secret: Secret;
  readonly accessor: string;
  /** grows with every new token, also over a restart of the process */
  readonly generation: number;
  /** epoch milliseconds on the wall clock */
  readonly expiresAt: number;
  readonly expiresInMs: number;
  readonly renewable: boolean;
}
