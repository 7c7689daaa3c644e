// The HTTP API of the in-memory Vault. A VaultError becomes an error response.

import type { PlainReply, PlainRequest } from './listen.ts';
import { type AdminWorld, administer, ROOT_TOKEN } from './vault-admin.ts';
import { checkLogin, type Mount, type Role } from './vault-jwt-auth.ts';
import { grantBody, health, lookupBody, wrappedBody } from './vault-replies.ts';
import { type DevToken, type TokenStore, VaultError } from './vault-tokens.ts';

/** The state of one in-memory Vault. */
export interface VaultWorld extends AdminWorld {
  /** the times of the requests in the current interval of the quota */
  recent: readonly number[];
}

export async function answer(world: VaultWorld, request: PlainRequest): Promise<PlainReply> {
  try {
    const { path } = request;
    if (path === '/v1/sys/health') return health(world.sealed, world.now());
    if (path === '/v1/sys/unseal') world.sealed = false;
    if (path === '/v1/sys/unseal' || path === '/v1/sys/seal-status')
      return { status: 200, body: { sealed: world.sealed, initialized: true } };
    if (world.sealed) throw new VaultError(503, 'Vault is sealed');
    return (await route(world, request)) ?? { status: 204, body: undefined };
  } catch (error) {
    if (error instanceof VaultError) return { status: error.status, body: { errors: [error.message] } };
    return { status: 500, body: { errors: ['internal error'] } };
  }
}

async function route(
  world: VaultWorld,
  { method, path, headers, body }: PlainRequest,
): Promise<PlainReply | undefined> {
  const { mounts, store, now } = world;
  const namespace = String(headers['x-vault-namespace'] ?? '').replace(/\/$/, '');
  const token = headers['x-vault-token']?.toString() || undefined;
  const isWrite = method === 'POST' || method === 'PUT';
  if (token === ROOT_TOKEN)
    return administer(world, {
      method,
      path: path.slice('/v1/'.length),
      namespace,
      body: body === '' ? {} : parse(body),
    });
  spendQuota(world, path);
  if (path === '/v1/auth/token/lookup-self') return { status: 200, body: lookupBody(ownToken(store, token), now()) };
  if (isWrite && path === '/v1/auth/token/renew-self') return renew(world, ownToken(store, token));
  if (isWrite && path === '/v1/auth/token/revoke-self') {
    store.revoke(ownToken(store, token).token);
    return undefined;
  }
  const [, name] = /^\/v1\/auth\/(.+)\/login$/.exec(path) ?? [];
  const mount = name === undefined ? undefined : mounts.get(`${namespace}|${decodeURIComponent(name)}`);
  // Vault answers an unknown path like one that requires a token.
  if (!isWrite || name === undefined || mount === undefined || !isJwtMount(mount))
    throw new VaultError(403, 'permission denied');
  const { name: roleName, role } = await checkLogin(mount, parse(body), now());
  const { held, warnings } = store.issue({
    mount: decodeURIComponent(name),
    namespace,
    role: roleName,
    rules: rulesOf(role),
  });
  const wrapSeconds = Number.parseInt(headers['x-vault-wrap-ttl']?.toString() ?? '', 10);
  if (wrapSeconds > 0) return { status: 200, body: wrappedBody(held, wrapSeconds, now()) };
  return { status: 200, body: grantBody(held, warnings, now()) };
}

const isJwtMount = ({ type }: Mount): boolean => type === 'jwt' || type === 'oidc';

function spendQuota(world: VaultWorld, path: string): void {
  if (world.quota === undefined) return;
  const { rate, intervalMs } = world.quota;
  world.recent = world.recent.filter((at) => at > world.now() - intervalMs);
  if (world.recent.length >= rate)
    throw new VaultError(429, `request path "${path.slice('/v1/'.length)}": rate limit quota exceeded`);
  world.recent = [...world.recent, world.now()];
}

/** Returns the token of a request to a -self path, which requires the policy "default". @throws VaultError */
function ownToken(store: TokenStore, token: string | undefined): DevToken {
  const held = store.use(token);
  if (!held.rules.policies.includes('default'))
    throw new VaultError(403, '1 error occurred:\n\t* permission denied\n\n');
  return held;
}

function renew({ mounts, store, now }: VaultWorld, held: DevToken): PlainReply {
  const role = mounts.get(`${held.namespace}|${held.mount}`)?.roles.get(held.role);
  if (role === undefined && held.rules.type !== 'batch')
    throw new VaultError(500, `role ${held.role} does not exist during renewal`);
  return { status: 200, body: grantBody(held, store.renew(held), now()) };
}

function rulesOf(role: Role): DevToken['rules'] {
  const own = role.token_policies ?? [];
  return {
    ttlSeconds: role.token_ttl ?? 0,
    maxTtlSeconds: role.token_max_ttl ?? 0,
    explicitMaxTtlSeconds: role.token_explicit_max_ttl ?? 0,
    periodSeconds: role.token_period ?? 0,
    numUses: role.token_num_uses ?? 0,
    type: role.token_type === 'batch' ? 'batch' : 'service',
    policies: role.token_no_default_policy === true ? own : [...own, 'default'].sort(),
  };
}

function parse(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body);
  } catch {
    throw new VaultError(400, 'failed to parse JSON input');
  }
}
