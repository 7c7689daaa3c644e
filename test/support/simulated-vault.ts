// A Vault in virtual time. It takes requests and returns raw HTTP replies, which the sidecar's own code classifies. By
// default it behaves as Vault does; troubles make it silent, slow, refusing or malformed. The ledger records every
// token that it grants, as the truth for the checks. Every secret contains CANARY.

import { Secret } from '../../src/core/secret.ts';
import type { VaultReply, VaultRequest } from '../../src/core/vault-protocol.ts';
import { jwtText } from './jwt-text.ts';
import type { SimulatedTime } from './simulated-time.ts';

export type Operation = 'login' | 'renew' | 'lookup' | 'revoke' | 'identity';
export type RawReply = Pick<VaultReply, 'status' | 'headers'> & { readonly body: string };

/** A fault of a Vault or of the network to it. Of several, the latest applies. */
export interface Trouble {
  /** the affected operations; all if absent */
  readonly operations?: readonly Operation[];
  /** the share of affected calls, at random; all if absent */
  readonly share?: number;
  /** the request never arrives: an errno, or `silent` for no reply at all */
  readonly network?: string;
  /** the request arrives, its reply is lost */
  readonly isDeaf?: boolean;
  readonly latencyMs?: number;
  /** replies instead of Vault; `honest` handles the request as Vault does */
  readonly reply?: (call: ArrivedCall) => RawReply;
}

export interface ArrivedCall {
  readonly operation: Operation;
  readonly request: VaultRequest;
  readonly honest: () => RawReply;
}

/** The truth about a token. */
export interface MintedToken {
  readonly vault: SimulatedVault;
  readonly role: string;
  /** increases with each token of all Vaults */
  readonly order: number;
  readonly issuedAt: number;
  readonly diesAt: number;
  /** in the past if Vault has forgotten it */
  expiresAt: number;
  /** the end of the longest lease that a reply stated */
  toldUntil: number;
  /** the number of the process that received it; undefined until a reply delivered it */
  heldInLife?: number;
}

/** All tokens and JWTs that the Vaults and issuers of one world granted. */
export class Ledger {
  readonly tokens = new Map<string, MintedToken>();
  readonly #jwts = new Map<string, { readonly issuedAt: number; readonly expiresAt: number }>();

  /** @param fromAt, lifeMs on the true clock */
  issueJwt(subject: string, fromAt: number, lifeMs: number): string {
    const [iat, exp] = [Math.floor(fromAt / 1000), Math.floor((fromAt + lifeMs) / 1000)];
    const text = jwtText({ sub: subject, iat, exp }, `CANARY${'x'.repeat(20)}${this.#jwts.size}`);
    this.#jwts.set(text, { issuedAt: iat * 1000, expiresAt: exp * 1000 });
    return text;
  }

  jwtIssuedAt = (jwt: string): number | undefined => this.#jwts.get(jwt)?.issuedAt;

  /** Vault's error for a JWT; undefined if it is valid. */
  refusal(jwt: string, at: number): string | undefined {
    const known = this.#jwts.get(jwt);
    if (known === undefined) return 'error validating token: error verifying token signature: no known key';
    if (at > known.expiresAt + 150_000)
      return 'error validating token: invalid expiration time (exp): token is expired';
    if (at < known.issuedAt - 60_000) return 'error validating token: invalid not before (nbf): token not yet valid';
    return undefined;
  }
}

const PLAIN_HEADERS = { 'content-type': 'application/json' };

export const replyOf = (status: number, value: unknown, headers: Record<string, string> = {}): RawReply => ({
  status,
  headers: { ...PLAIN_HEADERS, ...headers },
  body: typeof value === 'string' ? value : JSON.stringify(value),
});

export class SimulatedVault {
  readonly address: string;
  ttlMs = 3_600_000;
  maxTtlMs = 32 * 86_400_000;
  /** its clock minus the true time */
  clockOffsetMs = 0;
  tokenType: 'service' | 'batch' = 'service';
  readonly troubles: Trouble[] = [];
  readonly #time: SimulatedTime;
  readonly #ledger: Ledger;

  constructor(address: string, time: SimulatedTime, ledger: Ledger) {
    this.address = address;
    this.#time = time;
    this.#ledger = ledger;
  }

  /** Handles a request. */
  answer(request: VaultRequest, trouble: Trouble | undefined): RawReply {
    const operation = operationOf(request);
    const honest = () => this.#honest(operation, request);
    const reply = trouble?.reply?.({ operation, request, honest }) ?? honest();
    const date = new Date(this.#time.now + this.clockOffsetMs).toUTCString();
    return { ...reply, headers: { date, ...reply.headers } };
  }

  /** Forgets every token, as a restored storage does. */
  forget(): void {
    for (const token of this.#ledger.tokens.values()) if (token.vault === this) token.expiresAt = 0;
  }

  #honest(operation: Operation, request: VaultRequest): RawReply {
    if (operation === 'login') return this.#login(JSON.parse(request.body?.reveal() ?? '{}'));
    const text = request.token?.reveal() ?? '';
    const token = this.#ledger.tokens.get(text);
    if (token === undefined || token.vault !== this || token.expiresAt <= this.#time.now)
      return replyOf(403, { errors: ['permission denied'] });
    if (operation === 'identity') return this.#identity(token.role);
    if (operation === 'lookup') return this.#life(token);
    if (operation === 'revoke') {
      token.expiresAt = 0;
      return replyOf(204, '');
    }
    const left = token.diesAt - this.#time.now;
    if (left < 1000) return replyOf(400, { errors: ['past the max TTL, cannot renew'] });
    return this.#granted(text, token, Math.min(this.ttlMs, left));
  }

  #login({ role = '', jwt = '' }: { role?: string; jwt?: string }): RawReply {
    const refusal = this.#ledger.refusal(jwt, this.#time.now + this.clockOffsetMs);
    if (refusal !== undefined) return replyOf(400, { errors: [refusal] });
    return this.#mint(role);
  }

  #mint(role: string): RawReply {
    const order = this.#ledger.tokens.size;
    const issuedAt = this.#time.now;
    const token = {
      vault: this,
      role,
      order,
      issuedAt,
      diesAt: this.#time.now + this.maxTtlMs,
      expiresAt: 0,
      toldUntil: 0,
    };
    const text = tokenText(order);
    this.#ledger.tokens.set(text, token);
    return this.#granted(text, token, this.ttlMs);
  }

  /** Grants an existing token again; `told` overrides fields of the reply. */
  grantAnew(text: string, told: Record<string, unknown> = {}): RawReply {
    const token = this.#ledger.tokens.get(text);
    if (token === undefined) throw new Error('a token that was never granted');
    return this.#granted(text, token, this.ttlMs, told);
  }

  #granted(text: string, token: MintedToken, leaseMs: number, told: Record<string, unknown> = {}): RawReply {
    const lease = Math.floor(leaseMs / 1000);
    token.expiresAt = this.#time.now + lease * 1000;
    // with an overridden lease, the token never expires: the sidecar is right to believe the reply
    if ('lease_duration' in told) token.expiresAt = Number.POSITIVE_INFINITY;
    // a shorter lease whose reply was lost doesn't count either
    token.toldUntil = Math.max(token.toldUntil, token.expiresAt);
    const isService = this.tokenType === 'service';
    const auth = {
      client_token: text,
      accessor: isService ? `accessor-${token.order}` : '',
      policies: ['default'],
      lease_duration: lease,
      renewable: isService,
      token_type: this.tokenType,
      num_uses: 0,
      ...told,
    };
    return replyOf(200, { auth, warnings: null });
  }

  #life({ role, order, issuedAt, expiresAt }: MintedToken): RawReply {
    const isService = this.tokenType === 'service';
    const creation_ttl = Math.floor(this.ttlMs / 1000);
    const left = Number.isFinite(expiresAt) ? Math.floor((expiresAt - this.#time.now) / 1000) : creation_ttl;
    const data = {
      accessor: isService ? `accessor-${order}` : '',
      creation_time: Math.floor((issuedAt + this.clockOffsetMs) / 1000),
      creation_ttl,
      ttl: left,
      path: 'auth/jwt/login',
      meta: { role },
      display_name: 'jwt-app',
      policies: ['default'],
      renewable: isService,
      type: this.tokenType,
      num_uses: 0,
    };
    return replyOf(200, { data });
  }

  #identity(role: string): RawReply {
    return replyOf(200, {
      data: { token: this.#ledger.issueJwt(role, this.#time.now, this.ttlMs), ttl: this.ttlMs / 1000 },
    });
  }
}

export function operationOf({ path }: VaultRequest): Operation {
  if (path.endsWith('/login')) return 'login';
  if (path.startsWith('/v1/identity/')) return 'identity';
  if (path.endsWith('/lookup-self')) return 'lookup';
  return path.endsWith('/renew-self') ? 'renew' : 'revoke';
}

/** Tokens in the format of current Vault, of OpenBao, of older Vaults, and one without a known format. */
function tokenText(number: number): string {
  const prefix = ['hvs.CANARY-', 's.CANARY', 'hvs.CANARY-', 'CANARY+'][number % 4];
  return `${prefix}${'A'.repeat(12)}${String(number).padStart(8, '0')}`;
}

export const rawReply = ({ status, headers, body }: RawReply, durationMs: number): VaultReply => ({
  status,
  headers,
  body: new Secret(body),
  durationMs,
});
