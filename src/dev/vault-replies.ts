// The in-memory Vault's bodies, in the real one's wire format (sdk/logical/translate_response.go).

import { randomUUID } from 'node:crypto';
import type { DevToken } from './vault-tokens.ts';

/** What login and renew-self answer. */
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
  const envelope = {
    request_id: randomUUID(),
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
  };
  return { ...envelope, warnings: warnings.length === 0 ? null : warnings, auth };
}

export function lookupBody({ accessor, rules, expiresAt, usesLeft }: DevToken, now: number): object {
  const ttl = Math.round((expiresAt - now) / 1000);
  const { type, policies } = rules;
  return { data: { accessor, ttl, type, num_uses: usesLeft, policies, renewable: type === 'service' } };
}

export function healthBody(sealed: boolean, now: number): object {
  return { initialized: true, sealed, standby: false, version: '1.21.1', server_time_utc: Math.floor(now / 1000) };
}
