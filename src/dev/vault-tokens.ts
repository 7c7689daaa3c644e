// The token store of the in-memory Vault: issues, renews, looks up and revokes tokens, with Vault's TTL rules and error messages.
// https://developer.hashicorp.com/vault/docs/concepts/tokens

import { randomBytes } from 'node:crypto';

export interface TokenRules {
  readonly ttlSeconds: number;
  readonly maxTtlSeconds: number;
  readonly explicitMaxTtlSeconds: number;
  readonly periodSeconds: number;
  readonly numUses: number;
  readonly type: 'service' | 'batch';
  readonly policies: readonly string[];
}

export interface DevToken {
  readonly token: string;
  readonly accessor: string;
  readonly mount: string;
  readonly role: string;
  readonly namespace: string;
  readonly rules: TokenRules;
  readonly issuedAt: number;
  expiresAt: number;
  usesLeft: number;
}

/** An error response, with Vault's error message. */
export class VaultError extends Error {
  readonly status: number;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

const SYSTEM_MAX_TTL_SECONDS = 768 * 3600;
const DENIED = '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n';

export type TokenStore = ReturnType<typeof openTokenStore>;

export function openTokenStore(now: () => number) {
  const tokens = new Map<string, DevToken>();

  function capOf({ rules, issuedAt }: Pick<DevToken, 'rules' | 'issuedAt'>): number {
    const max = Math.min(rules.maxTtlSeconds || SYSTEM_MAX_TTL_SECONDS, SYSTEM_MAX_TTL_SECONDS);
    const explicit = rules.explicitMaxTtlSeconds || Number.POSITIVE_INFINITY;
    // A periodic token only has an explicit maximum TTL.
    return issuedAt + 1000 * Math.min(rules.periodSeconds > 0 ? Number.POSITIVE_INFINITY : max, explicit);
  }

  /** Extends the lease, and returns Vault's warnings. */
  /** @param at the time of the login or renewal */
  function extend(held: DevToken, at: number): string[] {
    const wanted = held.rules.periodSeconds || held.rules.ttlSeconds || SYSTEM_MAX_TTL_SECONDS;
    const granted = Math.min(wanted * 1000, capOf(held) - at);
    held.expiresAt = at + granted;
    const capped = granted < wanted * 1000;
    return capped
      ? [
          `TTL of "${wanted}s" exceeded the effective max_ttl of "${Math.floor(granted / 1000)}s"; TTL value is capped accordingly`,
        ]
      : [];
  }

  return {
    issue(origin: Pick<DevToken, 'mount' | 'role' | 'namespace' | 'rules'>) {
      const prefix = origin.rules.type === 'batch' ? 'hvb.' : 'hvs.';
      const accessor = origin.rules.type === 'batch' ? '' : randomBytes(18).toString('base64url');
      const token = prefix + randomBytes(69).toString('base64url');
      const issuedAt = now();
      const held: DevToken = {
        ...origin,
        token,
        accessor,
        issuedAt,
        expiresAt: 0,
        usesLeft: origin.rules.numUses,
      };
      const warnings = extend(held, issuedAt);
      tokens.set(token, held);
      return { held, warnings };
    },

    /** Returns the token of a request, and spends one of its uses. @throws VaultError 403 for an unknown or expired token */
    use(token: string | undefined): DevToken {
      const held = tokens.get(token ?? '');
      if (held === undefined || held.expiresAt <= now())
        throw new VaultError(403, token === undefined ? 'permission denied' : DENIED);
      if (held.rules.numUses > 0) {
        held.usesLeft -= 1;
        if (held.usesLeft <= 0) tokens.delete(held.token);
      }
      return held;
    },

    renew(held: DevToken): string[] {
      if (held.rules.numUses > 0 && held.usesLeft <= 0) throw new VaultError(400, 'token not found');
      if (held.rules.type === 'batch') throw new VaultError(400, 'batch tokens cannot be renewed');
      if (capOf(held) <= now()) throw new VaultError(500, '1 error occurred:\n\t* past the max TTL, cannot renew\n\n');
      return extend(held, now());
    },

    revoke: (tokenOrAccessor: string) => {
      for (const held of tokens.values()) {
        if (held.token === tokenOrAccessor || held.accessor === tokenOrAccessor) tokens.delete(held.token);
      }
    },
    forget: () => tokens.clear(),
    alive: () => [...tokens.values()].filter(({ expiresAt }) => expiresAt > now()),
  };
}
