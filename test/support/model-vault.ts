// A model of Vault for tests in virtual time: it has no sockets and no clock.

import type { Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TokenLife } from '../../src/core/token-life.ts';
import type { Grant } from '../../src/core/vault-protocol.ts';
import { decodeWorkloadJwt } from '../../src/core/workload-jwt.ts';

interface Issued {
  readonly issuedAt: number;
  expiresAt: number;
  readonly diesAt: number;
}

export interface ModelVault {
  ttlMs: number;
  maxTtlMs: number;
  /** fields to change in every grant */
  overrides: Partial<Grant>;
  /** answers every call while set */
  outage: Failure | undefined;
  /** answers logins while set */
  refusal: Failure | undefined;
  /** answers renewals while set */
  renewalRefusal: Failure | undefined;
  readonly issued: Map<string, Issued>;
  login(jwt: Secret, now: number, wall: number): Grant | Failure;
  renew(token: Secret, now: number): Grant | Failure;
  lookup(token: Secret, now: number, wallOffsetMs: number): TokenLife | Failure;
  /** forgets every token, as a restored or wiped storage does */
  forget(): void;
  isAlive(token: Secret, now: number): boolean;
}

export function buildModelVault(): ModelVault {
  const issued = new Map<string, Issued>();
  let minted = 0;
  const vault: ModelVault = {
    ttlMs: 3_600_000,
    maxTtlMs: 32 * 86_400_000,
    overrides: {},
    outage: undefined,
    refusal: undefined,
    renewalRefusal: undefined,
    issued,
    login(jwt, now, wall) {
      const refusal = vault.outage ?? vault.refusal;
      if (refusal !== undefined) return refusal;
      const decoded = decodeWorkloadJwt(jwt, {});
      if ('code' in decoded) return { code: 'jwt_refused' };
      if (decoded.expiresAt !== undefined && decoded.expiresAt + 60_000 <= wall) return { code: 'jwt_expired' };
      minted += 1;
      const secret = new Secret(`hvs.model-${String(minted).padStart(8, '0')}`);
      const grant = granted(secret, vault.ttlMs);
      issued.set(secret.reveal(), { issuedAt: now, expiresAt: now + grant.leaseMs, diesAt: now + vault.maxTtlMs });
      return grant;
    },
    renew(token, now) {
      const refusal = vault.outage ?? vault.renewalRefusal;
      if (refusal !== undefined) return refusal;
      const held = issued.get(token.reveal());
      if (held === undefined || held.expiresAt <= now)
        return { code: 'renewal_denied', facts: { kind: 'reply', status: 403, words: '' } };
      const left = held.diesAt - now;
      if (left <= 0) return { code: 'renewal_exhausted', facts: { kind: 'reply', status: 500, words: '' } };
      const grant = granted(token, Math.min(vault.ttlMs, left));
      held.expiresAt = now + grant.leaseMs;
      return grant;
    },
    lookup(token, now, wallOffsetMs) {
      if (vault.outage !== undefined) return vault.outage;
      const held = issued.get(token.reveal());
      if (held === undefined || held.expiresAt <= now)
        return { code: 'token_rejected', facts: { kind: 'reply', status: 403, words: 'permission denied' } };
      return {
        grant: granted(token, vault.ttlMs),
        leftMs: held.expiresAt - now,
        issuedWall: held.issuedAt + wallOffsetMs,
        path: 'auth/jwt/login',
        role: 'app',
        displayName: 'jwt-app',
      };
    },
    forget: () => issued.clear(),
    isAlive: (token, now) => (issued.get(token.reveal())?.expiresAt ?? 0) > now,
  };
  return vault;

  function granted(secret: Secret, leaseMs: number): Grant {
    const accessor = `accessor-${secret.reveal().slice(-8)}`;
    const defaults = {
      accessor,
      leaseMs,
      renewable: true,
      type: 'service',
      numUses: 0,
      policies: ['default'],
      warnings: [],
    };
    return { secret, ...defaults, ...vault.overrides };
  }
}
