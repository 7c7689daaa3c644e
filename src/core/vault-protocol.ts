// The part of Vault's HTTP API that the daemon speaks: builds the requests, judges the replies.

import type { Secret } from './secret.ts';

export type Operation = 'login' | 'renew' | 'revoke';

export interface VaultRequest {
  readonly operation: Operation;
  readonly method: 'POST';
  /** absolute path, percent-encoded, such as /v1/auth/jwt/login */
  readonly path: string;
  readonly namespace?: string;
  /** for X-Vault-Token */
  readonly token?: Secret;
  /** JSON text */
  readonly body?: Secret;
}

/** What came back, unjudged. Header names are in lower case. */
export interface VaultReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Secret;
  readonly durationMs: number;
}
