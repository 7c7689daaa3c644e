// Which headers of a client's request go to Vault.

import type { IncomingHttpHeaders } from 'node:http';
import type { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import { HOP_BY_HOP } from '../network/forward.ts';

/** Not for Vault: the client's own credentials, what this proxy answered itself, and what is set below. */
const DROPPED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'host',
  'expect',
  'cookie',
  'authorization',
  'x-vault-token',
  'content-length',
]);

export interface HeaderFacts {
  readonly token: Secret;
  readonly vault: VaultSettings;
  /** the id for the log, unless the client has sent one */
  readonly correlationId: string;
  /** the length of a body that is streamed; undefined if it is unknown */
  readonly length: string | undefined;
}

export function headersForVault(
  headers: IncomingHttpHeaders,
  { token, vault, correlationId, length }: HeaderFacts,
): Record<string, string> {
  const sent: Record<string, string> = { 'x-vault-request': 'true', 'x-correlation-id': correlationId };
  if (vault.namespace !== undefined) sent['x-vault-namespace'] = vault.namespace;
  // the Connection header names more headers that belong to the connection
  const named = (headers.connection ?? '').toLowerCase().split(/\s*,\s*/);
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || DROPPED.has(name) || named.includes(name)) continue;
    sent[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  if (length !== undefined) sent['content-length'] = length;
  sent['x-vault-token'] = token.reveal();
  return sent;
}

/** Returns the Vault token that the client sends, in either of the headers that Vault reads; undefined if there is none. */
export function tokenOfClient(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer\s+(.+)$/i.exec(headers.authorization ?? '')?.[1];
  const token = headers['x-vault-token'] || bearer;
  return Array.isArray(token) ? token[0] : token;
}
