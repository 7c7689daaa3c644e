// Requests about the token itself. All clients share it: one of them must not revoke it, and the sidecar alone renews it.
// https://developer.hashicorp.com/vault/api-docs/auth/token

import { posix } from 'node:path';
import type { ServedToken } from '../exchange/view.ts';

/**
 * What a request does to the token that it is sent with, or that its body names.
 * - `revokes`, `renews`: the token of the request
 * - `revokes-named`, `renews-named`: the token, or the accessor, in the body
 */
export type TokenRequest = 'revokes' | 'renews' | 'revokes-named' | 'renews-named';

const REQUESTS: Readonly<Record<string, TokenRequest>> = {
  'revoke-self': 'revokes',
  'renew-self': 'renews',
  revoke: 'revokes-named',
  'revoke-orphan': 'revokes-named',
  'revoke-accessor': 'revokes-named',
  renew: 'renews-named',
  // with an increment of a second, it ends the token
  'renew-accessor': 'renews-named',
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

export type Effect = 'revokes' | 'renews' | 'unclear';

/** Returns what the request does to this token; undefined if it does nothing to it; `unclear` if Vaults read its body differently. */
export function effectOn(token: ServedToken, asked: TokenRequest, { isSent, body }: TokenUse): Effect | undefined {
  const names = asked.endsWith('-named') ? namesIn(body) : [];
  if (names === undefined) return 'unclear';
  const named = names.some((name) => name === token.secret.reveal() || (name === token.accessor && name !== ''));
  const concerns = asked.endsWith('-named') ? named : isSent;
  if (!concerns) return undefined;
  return asked.startsWith('revokes') ? 'revokes' : 'renews';
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
