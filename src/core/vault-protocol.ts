// The part of Vault's HTTP API that the daemon uses: builds requests and judges replies. It is pure, so every possible
// reply is tested without a network; vault/client.ts only transports.
// https://developer.hashicorp.com/vault/api-docs/auth/jwt and .../auth/token

import { defined } from './defined.ts';
import type { Failure } from './errors.ts';
import { readLoginRefusal, readRenewalRefusal, readSetupRefusal } from './login-refusals.ts';
import type { TokenOrigin } from './origin.ts';
import { isTokenText, Secret, scrubbedLine } from './secret.ts';
import type { LoginSettings, VaultIdentitySettings } from './settings.ts';

export type Operation = 'login' | 'renew' | 'lookup' | 'revoke';

/** All kinds of requests. Only those of type Operation are counted in the metrics. */
type RequestKind = Operation | 'identity' | 'setup' | 'health';

export interface VaultRequest {
  readonly method: 'GET' | 'POST';
  /** absolute path, percent-encoded, such as /v1/auth/jwt/login */
  readonly path: string;
  readonly namespace?: string;
  /** sent as X-Vault-Token */
  readonly token?: Secret;
  /** JSON text */
  readonly body?: Secret;
  /** sent as X-Correlation-Id */
  readonly correlationId?: string;
  /** the deadline of the call; that of the client's settings by default */
  readonly timeoutMs?: number;
}

/** A login, renewal or revocation by an exchange. */
export interface TokenRequest extends VaultRequest {
  readonly operation: Operation;
}

/** A raw reply. Header names are in lower case. */
export interface VaultReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Secret;
  readonly durationMs: number;
}

/** The result of a login or renewal. */
export interface Grant {
  readonly secret: Secret;
  /** empty for batch tokens */
  readonly accessor: string;
  /** the token's lifetime, counted from the start of the call */
  readonly leaseMs: number;
  readonly renewable: boolean;
  readonly type: string;
  /** 0: unlimited */
  readonly numUses: number;
  readonly policies: readonly string[];
  readonly warnings: readonly string[];
}

const TEN_YEARS_SECONDS = 10 * 365 * 86_400;
const UNSTATED_LEASE_SECONDS = 3600;

export function loginRequest(login: LoginSettings, jwt: Secret): TokenRequest {
  const mount = login.mount.split('/').map(encodeURIComponent).join('/');
  const body = new Secret(JSON.stringify({ role: login.role, jwt: jwt.reveal() }));
  const path = `/v1/auth/${mount}/${login.cel === true ? 'cel/' : ''}login`;
  return { operation: 'login', method: 'POST', path, body, ...inNamespace(login) };
}

export function renewalRequest(login: LoginSettings, token: Secret): TokenRequest {
  return {
    operation: 'renew',
    method: 'POST',
    path: '/v1/auth/token/renew-self',
    token,
    body: new Secret('{}'),
    ...inNamespace(login),
  };
}

export function revocationRequest(place: Partial<TokenOrigin>, token: Secret): TokenRequest {
  return { operation: 'revoke', method: 'POST', path: '/v1/auth/token/revoke-self', token, ...inNamespace(place) };
}

/** Builds a lookup-self request. */
export function lookupRequest(login: LoginSettings, token: Secret): TokenRequest {
  return { operation: 'lookup', method: 'GET', path: '/v1/auth/token/lookup-self', token, ...inNamespace(login) };
}

/** Builds a request for an identity token: https://developer.hashicorp.com/vault/api-docs/secret/identity/tokens */
export function identityRequest({ role, vault }: VaultIdentitySettings, token: Secret): VaultRequest {
  return { method: 'GET', path: `/v1/identity/oidc/token/${encodeURIComponent(role)}`, token, ...inNamespace(vault) };
}

/** Judges a reply to a request for an identity token: returns the JWT or a failure. */
export function judgeIdentity(reply: VaultReply, sent: readonly Secret[]): Secret | Failure {
  const jwt = objectOf(parseObject(reply.body)?.['data'])?.['token'];
  if (reply.status === 200 && typeof jwt === 'string') return new Secret(jwt);
  return judgeRefusal('identity', reply, sent);
}

/** Judges a reply to a login or renewal. Redacts `sent`, the secrets of the request. */
export function judgeGrant(operation: Operation, reply: VaultReply, sent: readonly Secret[]): Grant | Failure {
  if (reply.status !== 200) return judgeRefusal(operation, reply, sent);
  const answer = parseObject(reply.body);
  const auth = objectOf(answer?.['auth']);
  if (auth === undefined) {
    if (objectOf(answer?.['wrap_info']) !== undefined) return { code: 'token_wrapped' };
    return { code: 'bad_response', facts: { kind: 'reply-unusable', problem: 'no-auth' } };
  }
  if (objectOf(auth['mfa_requirement']) !== undefined) return { code: 'mfa_required' };
  const token = auth['client_token'];
  if (typeof token !== 'string' || !isTokenText(token))
    return { code: 'bad_response', facts: { kind: 'reply-unusable', problem: 'no-token' } };
  const lease = auth['lease_duration'];
  if (typeof lease !== 'number' || !Number.isFinite(lease) || lease < 0) {
    return { code: 'bad_response', facts: { kind: 'reply-unusable', problem: 'no-lease' } };
  }
  // A lease of 0 means a root token without expiry, or a misconfigured role: treat it as one hour, not renewable.
  const leaseMs = millisecondsOf(lease === 0 ? UNSTATED_LEASE_SECONDS : lease);
  const numUses = typeof auth['num_uses'] === 'number' && auth['num_uses'] > 0 ? auth['num_uses'] : 0;
  // logs and status show these fields
  const shown = (text: string) => scrubbedLine(text, [...sent, new Secret(token)]);
  return {
    secret: new Secret(token),
    accessor: shown(textOf(auth['accessor']) ?? ''),
    leaseMs,
    renewable: auth['renewable'] === true && lease > 0 && numUses === 0,
    type: shown(textOf(auth['token_type']) ?? 'service'),
    numUses,
    policies: textsOf(auth['policies']).map(shown),
    warnings: textsOf(answer?.['warnings']).map(shown),
  };
}

/** Judges a reply to a revocation: returns undefined if the token is revoked. */
export function judgeRevocation(reply: VaultReply, sent: readonly Secret[]): Failure | undefined {
  if (reply.status === 204 || reply.status === 200) return undefined;
  return judgeRefusal('revoke', reply, sent);
}

/** Returns Vault's own id of a request, which its audit log shows, too. Vault's replies with an error have none. */
export function requestIdOf({ body }: VaultReply, { token }: VaultRequest): string | undefined {
  const answer = parseObject(body);
  const granted = textOf(objectOf(answer?.['auth'])?.['client_token']);
  const secrets = [token, granted === undefined ? undefined : new Secret(granted)].filter((one) => one !== undefined);
  return scrubbedLine(textOf(answer?.['request_id']) ?? '', secrets) || undefined;
}

/** Maps an error reply to a failure. The meaning of a status and of Vault's messages depends on the operation. */
export function judgeRefusal(operation: RequestKind, reply: VaultReply, sent: readonly Secret[]): Failure {
  const words = textsOf(parseObject(reply.body)?.['errors']).join('; ');
  const facts = { kind: 'reply', status: reply.status, words: scrubbedLine(words, sent) } as const;
  const code = codeOf(operation, reply, words);
  const retryAfterMs = parseRetryAfter(reply);
  return { code, facts, ...defined({ retryAfterMs }) };
}

function codeOf(operation: RequestKind, { status, body }: VaultReply, words: string): Failure['code'] {
  if (status >= 300 && status < 400) return 'redirect_blocked';
  if (/namespace.*locked/i.test(words)) return 'vault_locked';
  const specific = SPECIFIC_CODES[operation](status, words);
  if (specific !== undefined) return specific;
  if (status === 400 && body.reveal().startsWith('Client sent an HTTP request to an HTTPS server'))
    return 'vault_not_http';
  if (status === 412) return 'vault_behind';
  if (status === 429) return 'vault_rate_limited';
  if (status === 501) return 'vault_uninitialized';
  if (status === 503 && /sealed/.test(words)) return 'vault_sealed';
  if (status === 503 && /active|leader/.test(words)) return 'vault_no_leader';
  if (status >= 500) return 'vault_unavailable';
  return 'bad_response';
}

/** The error codes that are specific to one operation; codeOf has those common to all. */
const SPECIFIC_CODES = {
  login: loginCodeOf,
  renew: tokenCodeOf,
  lookup: (status: number) => (status === 403 || status === 404 ? 'token_rejected' : undefined),
  revoke: (status: number, words: string) =>
    status === 403 || status === 404 ? 'revocation_denied' : tokenCodeOf(status, words),
  identity: (status: number) => (status === 400 || status === 403 || status === 404 ? 'identity_refused' : undefined),
  setup: (status: number, words: string) => (status >= 400 && status < 410 ? readSetupRefusal(words) : undefined),
  health: () => undefined,
} as const satisfies Record<RequestKind, (status: number, words: string) => Failure['code'] | undefined>;

function loginCodeOf(status: number, words: string): Failure['code'] | undefined {
  // A 400 without an error message isn't Vault's: it comes from a proxy or load balancer.
  if (status === 400 && words !== '') return readLoginRefusal(words) ?? 'login_refused';
  if (status === 403) return 'login_forbidden';
  if (status === 404 || status === 405) return 'mount_missing';
  return undefined;
}

/** For renewals and revocations, which Vault denies for the same reasons. */
function tokenCodeOf(status: number, words: string): Failure['code'] | undefined {
  if (status === 400 || status === 500)
    return readRenewalRefusal(words) ?? (status === 400 && words !== '' ? 'renewal_impossible' : undefined);
  if (status === 403 || status === 404) return 'renewal_denied';
  return undefined;
}

/** Parses Retry-After (RFC 9110 section 10.2.3) to milliseconds. A date is compared with the reply's Date header. */
export function parseRetryAfter({ headers }: Pick<VaultReply, 'headers'>): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1000;
  const wait = Date.parse(value) - Date.parse(headers['date'] ?? '');
  return Number.isFinite(wait) && wait > 0 ? wait : undefined;
}

export function parseObject(body: Secret): Record<string, unknown> | undefined {
  try {
    return objectOf(JSON.parse(body.reveal()));
  } catch {
    // drop the parser's message: it quotes the body, which may contain a token
    return undefined;
  }
}

/** Converts a lease to milliseconds, limited to ten years so that timers and dates can't overflow. */
export const millisecondsOf = (seconds: number): number =>
  Math.max(1, Math.floor(Math.min(seconds, TEN_YEARS_SECONDS) * 1000));

export const objectOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

export const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

export const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

const inNamespace = ({ namespace }: { readonly namespace?: string | undefined }) => defined({ namespace });
