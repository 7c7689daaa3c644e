// The in-memory Vault's HTTP API: from a request to what the real one would answer. VaultError carries a refusal.

import type { PlainReply, PlainRequest } from './listen.ts';
import { checkLogin, type Mount, type Role } from './vault-jwt-auth.ts';
import { grantBody, healthBody, lookupBody } from './vault-replies.ts';
import { type DevToken, type TokenStore, VaultError } from './vault-tokens.ts';

/** All that one Vault knows. */
export interface VaultWorld {
  /** by "namespace|mount" */
  readonly mounts: Map<string, Mount>;
  readonly store: TokenStore;
  readonly now: () => number;
  sealed: boolean;
}

export async function answer(world: VaultWorld, request: PlainRequest): Promise<PlainReply> {
  try {
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
  const { mounts, store, now, sealed } = world;
  const namespace = String(headers['x-vault-namespace'] ?? '').replace(/\/$/, '');
  const token = headers['x-vault-token']?.toString();
  const isWrite = method === 'POST' || method === 'PUT';
  if (path === '/v1/sys/health') return { status: 200, body: healthBody(sealed, now()) };
  if (path === '/v1/auth/token/lookup-self') return { status: 200, body: lookupBody(ownToken(store, token), now()) };
  if (isWrite && path === '/v1/auth/token/renew-self') return renew(world, ownToken(store, token));
  if (isWrite && path === '/v1/auth/token/revoke-self') {
    store.revoke(ownToken(store, token).token);
    return undefined;
  }
  const [, name] = /^\/v1\/auth\/(.+)\/login$/.exec(path) ?? [];
  const mount = name === undefined ? undefined : mounts.get(`${namespace}|${decodeURIComponent(name)}`);
  // an unknown path is one that needs a token, so Vault says the same as to a dead one
  if (!isWrite || name === undefined || mount === undefined) throw new VaultError(403, 'permission denied');
  const { name: roleName, role } = await checkLogin(mount, parse(body), now());
  const { held, warnings } = store.issue({
    mount: decodeURIComponent(name),
    namespace,
    role: roleName,
    rules: rulesOf(role),
  });
  return { status: 200, body: grantBody(held, warnings, now()) };
}

/** The policy "default" is what lets a token look after itself. */
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
    policies: role.token_no_default_policy === true ? own : ['default', ...own],
  };
}

function parse(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body);
  } catch {
    throw new VaultError(400, 'failed to parse JSON input');
  }
}
