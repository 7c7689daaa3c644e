// Reads sys/health, for Vault's state and its clock. Doctor trusts the result of a login more than sys/health.
// https://developer.hashicorp.com/vault/api-docs/system/health

import type { Failure } from '../../core/errors.ts';
import type { Facts } from '../../core/facts.ts';
import { judgeRefusal, parseObject, type VaultReply, type VaultRequest } from '../../core/vault-protocol.ts';
import type { HealthFacts } from './evidence.ts';

export const HEALTH_REQUEST: VaultRequest = { method: 'GET', path: '/v1/sys/health' };

/** @param wall epoch milliseconds of this machine when the reply came */
export function judgeHealth(reply: VaultReply, wall: number): HealthFacts | Failure {
  const body = parseObject(reply.body);
  if (typeof body?.['initialized'] !== 'boolean') {
    const refusal = judgeRefusal('health', reply, []);
    return NOT_OF_VAULT.has(refusal.code) ? { code: 'bad_response', facts: factsOf(reply) } : refusal;
  }
  const facts = { kind: 'reply', status: reply.status, words: '' } as const;
  if (!body['initialized']) return { code: 'vault_uninitialized', facts };
  if (body['sealed'] === true) return { code: 'vault_sealed', facts };
  const serverSeconds = body['server_time_utc'];
  // Vault rounds down to whole seconds, so add half a second; half of the round trip approximates when Vault read its clock.
  const skewMs = typeof serverSeconds === 'number' ? wall - reply.durationMs / 2 - (serverSeconds + 0.5) * 1000 : 0;
  return { version: String(body['version'] ?? ''), standby: body['standby'] === true, skewMs };
}

/** The codes of a reply without a health status that another server may send: web servers answer 501 too. */
const NOT_OF_VAULT: ReadonlySet<Failure['code']> = new Set(['bad_response', 'vault_uninitialized']);

const factsOf = ({ status, headers }: VaultReply): Facts => ({
  kind: 'foreign-reply',
  path: HEALTH_REQUEST.path,
  status,
  contentType: headers['content-type']?.split(';')[0] ?? '',
  server: headers['server'] ?? '',
});
