// The response bodies of the in-memory Vault, in Vault's wire format (sdk/logical/translate_response.go).

import { randomUUID } from 'node:crypto';
import type { PlainReply } from './listen.ts';
import type { DevToken } from './vault-tokens.ts';

/** The response of login and renew-self. */
export function grantBody(held: DevToken, warnings: readonly string[], now: number): object {
  const { token, accessor, rules, role, expiresAt } = held;
  const auth = {
    client_token: token,
    accessor,
    policies: rules.policies,
    token_policies: rules.policies,
    metadata: { role },
    lease_duration: Math.round((expiresAt - now) / 1000),
    renewable: rules.type === 'service',
    entity_id: '',
    token_type: rules.type,
    orphan: true,
    mfa_requirement: null,
    num_uses: rules.numUses,
  };
  return { ...envelope(), warnings: warnings.length === 0 ? null : warnings, auth };
}

/** The response with a wrapped token, for X-Vault-Wrap-TTL. */
export function wrappedBody({ accessor }: DevToken, ttl: number, now: number): object {
  const wrap_info = {
    token: `hvs.wrapping-${randomUUID()}`,
    accessor: randomUUID(),
    ttl,
    creation_time: new Date(now).toISOString(),
    wrapped_accessor: accessor,
  };
  return { ...envelope(), wrap_info, warnings: null, auth: null };
}

export function dataBody(data: object): PlainReply {
  return { status: 200, body: { ...envelope(), data, warnings: null, auth: null } };
}

const envelope = () => ({
  request_id: randomUUID(),
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
});

export function lookupBody(
  { accessor, mount, role, rules, issuedAt, expiresAt, usesLeft }: DevToken,
  now: number,
): object {
  const ttl = Math.round((expiresAt - now) / 1000);
  const { type, policies, ttlSeconds } = rules;
  const login = { path: `auth/${mount}/login`, meta: { role } };
  const life = { creation_time: Math.floor(issuedAt / 1000), creation_ttl: ttlSeconds, ttl, num_uses: usesLeft };
  return { data: { accessor, ...login, ...life, type, policies, renewable: type === 'service' } };
}

export function health(sealed: boolean, now: number): PlainReply {
  const body = {
    initialized: true,
    sealed,
    standby: sealed,
    version: '1.21.1',
    server_time_utc: Math.floor(now / 1000),
  };
  return { status: sealed ? 503 : 200, body };
}
