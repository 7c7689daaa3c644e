// Requests about the token itself. All clients share it: one of them must not revoke it, and the sidecar alone renews it.
// https://developer.hashicorp.com/vault/api-docs/auth/token

import { posix } from 'node:path';
import type { ServedToken } from '../exchange/view.ts';

/** A request that does something to a token. */
export interface TokenRequest {
  readonly effect: 'revokes' | 'renews';
  /** the token that the request is sent with, or the one that its body names, itself or by its accessor */
  readonly on: 'sent' | 'named';
}

const REQUESTS: Readonly<Record<string, TokenRequest>> = {
  'revoke-self': { effect: 'revokes', on: 'sent' },
  'renew-self': { effect: 'renews', on: 'sent' },
  revoke: { effect: 'revokes', on: 'named' },
  'revoke-orphan': { effect: 'revokes', on: 'named' },
  'revoke-accessor': { effect: 'revokes', on: 'named' },
  renew: { effect: 'renews', on: 'named' },
  // with an increment of a second, it ends the token
  'renew-accessor': { effect: 'renews', on: 'named' },
};

/**
 * Returns what the request does to a token; undefined for every other request. The path may begin with a namespace. Vault decodes
 * it, and redirects to its normal form, as load balancers may.
 * @param path without the query
 */
export function tokenRequestOf(method: string, path: string): TokenRequest | undefined {
  if (method !== 'POST' && method !== 'PUT') return undefined;
  const [, name = ''] = /(?:^|\/)auth\/token\/([a-z-]+)\/?$/.exec(posix.normalize(decoded(path))) ?? [];
  return Object.hasOwn(REQUESTS, name) ? REQUESTS[name] : undefined;
}

/** Unlike decodeURIComponent, accepts every byte, as Vault does. */
const decoded = (path: string): string =>
  path.replaceAll(/%([\da-f]{2})/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

export interface TokenUse {
  /** the request is sent with this token */
  readonly isSent: boolean;
  /** the body of the request; empty if it has none */
  readonly body: string;
}

/** Returns what the request does to this token; undefined if it does nothing to it; `unclear` if Vaults read its body differently. */
export function effectOn(
  token: ServedToken,
  { effect, on }: TokenRequest,
  { isSent, body }: TokenUse,
): TokenRequest['effect'] | 'unclear' | undefined {
  if (on === 'sent') return isSent ? effect : undefined;
  const names = namesIn(body);
  if (names === undefined) return 'unclear';
  const isNamed = names.some((name) => name === token.secret.reveal() || (name === token.accessor && name !== ''));
  return isNamed ? effect : undefined;
}

/**
 * Returns the values in the body, which is a form unless it begins as a JSON object; undefined if that is malformed: some Vaults
 * ignore what follows the object.
 */
function namesIn(body: string): readonly unknown[] | undefined {
  if (!body.trimStart().startsWith('{')) return [...new URLSearchParams(body).values()];
  try {
    return Object.values(JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** Returns the reply to a renewal, in Vault's shape: the lease that is left, since the sidecar renews the token itself. */
export function renewalReply(token: ServedToken, requestId: string): string {
  return JSON.stringify({
    request_id: requestId,
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
    warnings: ['vault-token-sidecar renews this token itself: the lease is what is left of it'],
    auth: {
      client_token: token.secret.reveal(),
      accessor: token.accessor,
      policies: token.policies,
      token_policies: token.policies,
      metadata: null,
      lease_duration: Math.floor(token.expiresInMs / 1000),
      renewable: token.renewable,
      entity_id: '',
      token_type: token.type,
      orphan: true,
      mfa_requirement: null,
      num_uses: 0,
    },
  });
}
