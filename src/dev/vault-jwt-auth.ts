// The jwt auth method of the in-memory Vault: the checks of hashicorp/vault-plugin-auth-jwt, in the same order and with the same
// error messages, so that tests against it are valid for Vault.

import { once } from 'node:events';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet } from 'jose';
import { VaultError } from './vault-tokens.ts';

export interface MountConfig {
  oidc_discovery_url?: string;
  oidc_discovery_ca_pem?: string;
  jwks_url?: string;
  jwks_ca_pem?: string;
  bound_issuer?: string;
}

export interface Role {
  /** a write without it sets "oidc" */
  role_type?: string;
  allowed_redirect_uris?: readonly string[] | string;
  user_claim?: string;
  bound_audiences?: readonly string[] | string;
  bound_subject?: string;
  bound_claims?: Readonly<Record<string, unknown>>;
  bound_claims_type?: string;
  groups_claim?: string;
  token_bound_cidrs?: readonly string[] | string;
  token_ttl?: number;
  token_max_ttl?: number;
  token_explicit_max_ttl?: number;
  token_period?: number;
  token_num_uses?: number;
  token_type?: string;
  token_policies?: readonly string[];
  token_no_default_policy?: boolean;
}

export interface Mount {
  readonly type: string;
  config: MountConfig | undefined;
  /** names in lower case, as Vault keeps them */
  readonly roles: Map<string, Role>;
  /** the jwks_uri of the discovery document, which is fetched once, as in the plugin */
  keysUrl?: string | undefined;
  keys: JSONWebKeySet | undefined;
}

const ASYMMETRIC = /^(?:RS|ES|PS)(?:256|384|512)$|^EdDSA$/;
const LEEWAY_SECONDS = 60;
/** The assumed time between "nbf" and "exp" if one is missing. */
const SPAN_SECONDS = 150;
const INVALID = 'error validating token: ';

/** Checks a login. @returns the role. @throws VaultError with the plugin's error message */
export async function checkLogin(
  mount: Mount,
  request: { role?: unknown; jwt?: unknown },
  wall: number,
): Promise<{ name: string; role: Role }> {
  if (mount.config === undefined) throw new VaultError(400, 'could not load configuration');
  if (typeof request.role !== 'string' || request.role === '') throw new VaultError(400, 'missing role');
  const name = request.role.toLowerCase();
  const role = mount.roles.get(name);
  if (role === undefined) throw new VaultError(400, `role "${name}" could not be found`);
  if ((role.role_type ?? 'oidc') === 'oidc') throw new VaultError(400, 'role with oidc role_type is not allowed');
  if (typeof request.jwt !== 'string' || request.jwt === '') throw new VaultError(400, 'missing token');
  // Clients are on loopback, so CIDRs without loopback exclude them.
  if (role.token_bound_cidrs?.length && !/127\.|::1/.test(String(role.token_bound_cidrs)))
    throw new VaultError(403, 'permission denied');
  const claims = await verify(mount, mount.config, request.jwt);
  checkRegisteredClaims(claims, mount.config, { role, wall });
  checkUser(claims, role);
  return { name, role };
}

async function verify(mount: Mount, config: MountConfig, jwt: string): Promise<Record<string, unknown>> {
  if (jwt.split('.').length !== 3) {
    throw new VaultError(
      400,
      `${INVALID}error verifying token signature: oidc: malformed jwt: go-jose/go-jose: compact JWS format must have three parts`,
    );
  }
  const { alg } = headerOf(jwt);
  if (!ASYMMETRIC.test(alg)) {
    const words = `oidc: malformed jwt: unexpected signature algorithm ${JSON.stringify(alg)}; expected [...]`;
    throw new VaultError(400, `${INVALID}error verifying token signature: ${words}`);
  }
  // Try the cached keys first; if they don't verify the signature, fetch the keys again.
  for (const fetched of [false, true]) {
    if (fetched || mount.keys === undefined) mount.keys = await fetchKeys(mount, config);
    const verified = await compactVerify(jwt, createLocalJWKSet(mount.keys)).catch(() => undefined);
    if (verified !== undefined) return JSON.parse(new TextDecoder().decode(verified.payload));
  }
  throw new VaultError(400, `${INVALID}error verifying token signature: failed to verify id token signature`);
}

function headerOf(jwt: string): { alg: string } {
  try {
    return { alg: decodeProtectedHeader(jwt).alg ?? '' };
  } catch {
    throw new VaultError(
      400,
      `${INVALID}error verifying token signature: oidc: malformed jwt: go-jose/go-jose: invalid header`,
    );
  }
}

async function fetchKeys(mount: Mount, config: MountConfig): Promise<JSONWebKeySet> {
  mount.keysUrl ??= config.jwks_url || (await checkDiscovery(config));
  return (await getJson(
    mount.keysUrl,
    config.oidc_discovery_ca_pem || config.jwks_ca_pem,
    `${INVALID}error verifying token signature: fetching keys oidc: get keys failed`,
  )) as unknown as JSONWebKeySet;
}

/** @returns the jwks_uri of the discovery document. @throws VaultError */
export async function checkDiscovery({
  oidc_discovery_url: discovery = '',
  oidc_discovery_ca_pem: ca,
}: MountConfig): Promise<string> {
  const document = await getJson(
    `${discovery}/.well-known/openid-configuration`,
    ca,
    'error configuring token validator: keyset configuration error',
  );
  if (document['issuer'] !== discovery) {
    const words = `issuer did not match the returned issuer, expected "${discovery}" got "${document['issuer']}"`;
    throw new VaultError(400, `error configuring token validator: keyset configuration error: ${words}`);
  }
  return String(document['jwks_uri']);
}

async function getJson(url: string, ca: string | undefined, words: string): Promise<Record<string, unknown>> {
  try {
    const request = url.startsWith('https:') ? getHttps(url, ca ? { ca } : {}) : getHttp(url);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const body = await text(response);
    if (response.statusCode !== 200) throw new VaultError(400, `${words}: ${response.statusCode}: ${body}`);
    return JSON.parse(body);
  } catch (error) {
    if (error instanceof VaultError) throw error;
    throw new VaultError(400, `${words}: Get "${url}": ${goError((error as NodeJS.ErrnoException).code)}`);
  }
}

/** Go's error message for a failed request. */
const goError = (code = ''): string =>
  /CERT|VERIFY/.test(code)
    ? 'tls: failed to verify certificate: x509: certificate signed by unknown authority'
    : 'dial tcp: connection refused';

function checkRegisteredClaims(
  claims: Record<string, unknown>,
  config: MountConfig,
  { role, wall }: { role: Role; wall: number },
): void {
  const refuse = (words: string) => {
    throw new VaultError(400, INVALID + words);
  };
  const now = wall / 1000;
  const { iat, nbf, exp } = numericDates(claims);
  const audiences = [claims['aud'] ?? []].flat();
  const bound = [role.bound_audiences ?? []].flat();
  if (Number.isNaN(exp)) {
    refuse('no issued at (iat), not before (nbf), or expiration time (exp) claims in token');
  }
  if (config.bound_issuer && claims['iss'] !== config.bound_issuer) refuse('invalid issuer (iss) claim');
  if (role.bound_subject && claims['sub'] !== role.bound_subject) refuse('invalid subject (sub) claim');
  if (bound.length > 0 && !audiences.some((one) => bound.includes(one as string))) {
    refuse('invalid audience (aud) claim: audience claim does not match any expected audience');
  }
  if (now + LEEWAY_SECONDS < nbf) refuse('invalid not before (nbf) claim: token not yet valid');
  if (now - LEEWAY_SECONDS > exp) refuse('invalid expiration time (exp) claim: token is expired');
  if (iat !== undefined && now + LEEWAY_SECONDS < iat)
    refuse('invalid issued at (iat) claim: token issued in the future');
  if (audiences.length > 0 && bound.length === 0)
    throw new VaultError(400, 'audience claim found in JWT but no audiences bound to the role');
}

/** Derives missing dates from the others, as hashicorp/cap does; NaN if all are missing. */
function numericDates(claims: Record<string, unknown>): { iat: number | undefined; nbf: number; exp: number } {
  const [iat, nbf, exp] = [claims['iat'], claims['nbf'], claims['exp']].map((claim) =>
    typeof claim === 'number' ? claim : undefined,
  );
  const from = nbf ?? iat ?? (exp ?? Number.NaN) - SPAN_SECONDS;
  return { iat, nbf: from, exp: exp ?? Math.max(iat ?? from, from) + SPAN_SECONDS };
}

function checkUser(claims: Record<string, unknown>, role: Role): void {
  const user = role.user_claim ?? '';
  if (claims[user] === undefined) throw new VaultError(400, `claim "${user}" not found in token`);
  if (typeof claims[user] !== 'string') throw new VaultError(400, `claim "${user}" could not be converted to string`);
  const groups = role.groups_claim;
  if (groups && claims[groups] === undefined)
    throw new VaultError(400, `failed to fetch groups: "${groups}" claim not found in token`);
  for (const [claim, wanted] of Object.entries(role.bound_claims ?? {})) {
    const held = heldBy(claims, claim);
    if (held === undefined) throw new VaultError(400, `error validating claims: claim "${claim}" is missing`);
    if (![wanted].flat().some((one) => fits(held, one, role.bound_claims_type))) {
      throw new VaultError(
        400,
        `error validating claims: claim "${claim}" does not match any associated bound claim values`,
      );
    }
  }
}

/** Compares a claim. In a glob, a star matches any characters, including slashes. */
function fits(held: unknown, wanted: unknown, type: string | undefined): boolean {
  if (type !== 'glob' || typeof held !== 'string') return held === wanted;
  const parts = String(wanted)
    .split('*')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(held);
}

/** Returns a claim by its name, or by a JSON Pointer such as /kubernetes.io/namespace. */
function heldBy(claims: Record<string, unknown>, claim: string): unknown {
  if (!claim.startsWith('/')) return claims[claim];
  return claim
    .slice(1)
    .split('/')
    .reduce<unknown>((value, member) => (value as Record<string, unknown> | undefined)?.[member], claims);
}
