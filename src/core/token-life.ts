// What Vault says of an existing token, and whether an exchange may take it over from an earlier process.
// https://developer.hashicorp.com/vault/api-docs/auth/token#lookup-a-token-self

import type { Failure } from './errors.ts';
import { type Secret, scrubbedLine } from './secret.ts';
import type { ExchangeSettings } from './settings.ts';
import {
  type Grant,
  judgeRefusal,
  millisecondsOf,
  numberOf,
  objectOf,
  parseObject,
  textOf,
  textsOf,
  type VaultReply,
} from './vault-protocol.ts';

export interface TokenLife {
  /** the lease is the one that the token was created with */
  readonly grant: Grant;
  /** the rest of the lease; 0 if the token has no end */
  readonly leftMs: number;
  /** epoch milliseconds on Vault's wall clock */
  readonly issuedWall: number;
  /** the path of the login, such as auth/jwt/login */
  readonly path: string;
  readonly role: string;
  /** the mount's path with dashes, and the claim that names the entity; not for display */
  readonly displayName: string;
}

/** Judges a reply to a lookup of `token`. */
export function judgeLookup(reply: VaultReply, token: Secret): TokenLife | Failure {
  const data = objectOf(parseObject(reply.body)?.['data']);
  if (reply.status !== 200) return judgeRefusal('lookup', reply, [token]);
  if (data === undefined) return { code: 'bad_response', facts: { kind: 'reply-unusable', problem: 'no-data' } };
  const shown = (value: unknown) => scrubbedLine(textOf(value) ?? '', [token]);
  const leftMs = millisecondsOf(numberOf(data['ttl']));
  const numUses = Math.max(0, numberOf(data['num_uses']));
  const grant: Grant = {
    secret: token,
    accessor: shown(data['accessor']),
    leaseMs: Math.max(leftMs, millisecondsOf(numberOf(data['creation_ttl']))),
    renewable: data['renewable'] === true && numUses === 0,
    type: shown(data['type']),
    numUses,
    policies: [...new Set([...textsOf(data['policies']), ...textsOf(data['identity_policies'])])].map(shown),
    warnings: [],
  };
  return {
    grant,
    leftMs: numberOf(data['ttl']) === 0 ? 0 : leftMs,
    issuedWall: numberOf(data['creation_time']) * 1000,
    path: shown(data['path']),
    role: shown(objectOf(data['meta'])?.['role']),
    displayName: textOf(data['display_name']) ?? '',
  };
}

/** A token with less time left isn't worth taking over. */
const SHORTEST_LEFT_MS = 10_000;

/** Returns why the exchange must not take the token over; undefined if it came from a login of this exchange. */
export function whyNotReusable(
  { login, expect }: Pick<ExchangeSettings, 'login' | 'expect'>,
  { grant, leftMs, path, role, displayName }: TokenLife,
): string | undefined {
  if (path !== `auth/${login.mount}/${login.cel === true ? 'cel/' : ''}login`) return 'it is from another mount';
  if (role.toLowerCase() !== login.role.toLowerCase()) return 'it is from another role';
  const prefix = login.mount.replaceAll('/', '-');
  if (expect.subject !== undefined && displayName !== `${prefix}-${expect.subject}`) return 'it is of another subject';
  if (grant.numUses > 0) return 'its uses are limited';
  if (leftMs < SHORTEST_LEFT_MS) return 'it is about to expire';
  return undefined;
}
