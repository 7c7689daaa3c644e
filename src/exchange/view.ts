// The read-only view of an exchange that the HTTP APIs use. They never see the runners.

import type { TokenOrigin } from '../core/origin.ts';
import type { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import type { ExchangeStatus } from '../core/status.ts';

export interface ExchangeView {
  readonly name: string;
  status(): ExchangeStatus;
  /** the Vault token; undefined without one, or if it has expired or is about to */
  token(): ServedToken | undefined;
  /** the generation of the latest token, expired or not; undefined before the first token */
  generation(): number | undefined;
  /** resolves when the token's generation differs from `generation`, or when `signal` aborts; never rejects */
  changed(generation: number | undefined, signal: AbortSignal): Promise<void>;
  /** requests a new login; returns at once */
  refresh(): void;
  /** the Vault of the settings in force, with the namespace of the login; an older token may be from another Vault */
  vault(): VaultSettings;
  /** tells that Vault denied a request with the token of this generation, which may be dead; returns at once */
  suspect(generation: number): void;
}

export interface ServedToken {
  readonly secret: Secret;
  readonly accessor: string;
  readonly type: string;
  readonly policies: readonly string[];
  readonly origin: TokenOrigin;
  /** grows with every new token, also across restarts of the process */
  readonly generation: number;
  /** epoch milliseconds on the wall clock */
  readonly expiresAt: number;
  readonly expiresInMs: number;
  readonly renewable: boolean;
}
