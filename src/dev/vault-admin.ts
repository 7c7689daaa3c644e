// The administrator's API of the in-memory Vault, with Vault's routes and error messages: mounts, trust config, roles, policies, rate
// limit quota, revocation and sealing.

import type { PlainReply } from './listen.ts';
import { checkDiscovery, type Mount, type MountConfig, type Role } from './vault-jwt-auth.ts';
import { dataBody, grantBody } from './vault-replies.ts';
import { type TokenStore, VaultError } from './vault-tokens.ts';

export const ROOT_TOKEN = 'dev-root';

export interface AdminWorld {
  /** keyed by "namespace|mount" */
  readonly mounts: Map<string, Mount>;
  readonly policies: Map<string, string>;
  readonly store: TokenStore;
  readonly now: () => number;
  sealed: boolean;
  quota: { readonly rate: number; readonly intervalMs: number } | undefined;
}

export interface AdminRequest {
  readonly method: string;
  /** below /v1/ */
  readonly path: string;
  readonly namespace: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** @returns undefined for 204. @throws VaultError */
export async function administer(world: AdminWorld, request: AdminRequest): Promise<PlainReply | undefined> {
  for (const [pattern, handle] of ROUTES) {
    const match = pattern.exec(request.path);
    if (match !== null) return handle(world, request, match.slice(1).map(decodeURIComponent));
  }
  throw new VaultError(404, `no handler for route "${request.path}". route entry not found.`);
}

type Handle = (
  world: AdminWorld,
  request: AdminRequest,
  names: readonly string[],
) => PlainReply | undefined | Promise<PlainReply | undefined>;

const ROUTES: readonly (readonly [RegExp, Handle])[] = [
  [/^sys\/auth$/, listMounts],
  [/^sys\/auth\/(.+)$/, changeMount],
  [/^auth\/(.+)\/config$/, changeConfig],
  [/^auth\/(.+)\/role$/, listRoles],
  [/^auth\/(.+)\/role\/([^/]+)$/, changeRole],
  [/^sys\/policies\/acl$/, listPolicies],
  [/^sys\/policies\/acl\/([^/]+)$/, changePolicy],
  [/^sys\/quotas\/rate-limit\/[^/]+$/, changeQuota],
  [/^auth\/token\/revoke(?:-accessor)?$/, revoke],
  [/^auth\/token\/create$/, createToken],
  [/^sys\/seal$/, seal],
];

function listMounts({ mounts }: AdminWorld, { namespace }: AdminRequest): PlainReply {
  const here = [...mounts].filter(([key]) => key.startsWith(`${namespace}|`));
  const shown = here.map(([key, { type }]) => [`${key.slice(namespace.length + 1)}/`, { type }]);
  return dataBody(Object.fromEntries([['token/', { type: 'token' }], ...shown]));
}

function changeMount(
  { mounts }: AdminWorld,
  { method, namespace, body }: AdminRequest,
  [name = '']: readonly string[],
) {
  const key = `${namespace}|${name}`;
  if (method === 'DELETE') {
    mounts.delete(key);
    return undefined;
  }
  if (mounts.has(key)) throw new VaultError(400, `path is already in use at ${name}/`);
  mounts.set(key, { type: String(body['type']), config: undefined, roles: new Map(), keys: undefined });
  return undefined;
}

function mountOf({ mounts }: AdminWorld, { namespace, path }: AdminRequest, name: string): Mount {
  const mount = mounts.get(`${namespace}|${name}`);
  if (mount === undefined) throw new VaultError(404, `no handler for route "${path}". route entry not found.`);
  return mount;
}

async function changeConfig(world: AdminWorld, request: AdminRequest, [name = '']: readonly string[]) {
  const mount = mountOf(world, request, name);
  if (request.method === 'GET') return found(mount.config);
  const config = configOf(request.body);
  if (config.oidc_discovery_url) {
    await checkDiscovery(config).catch(() => {
      throw new VaultError(400, 'error checking oidc discovery URL');
    });
  }
  mount.config = config;
  mount.keys = undefined;
  mount.keysUrl = undefined;
  return undefined;
}

const CONFIG_DEFAULTS = {
  bound_issuer: '',
  default_role: '',
  jwks_ca_pem: '',
  jwks_pairs: [],
  jwks_url: '',
  jwt_supported_algs: [],
  jwt_validation_pubkeys: [],
  namespace_in_state: true,
  oidc_client_id: '',
  oidc_discovery_ca_pem: '',
  oidc_discovery_url: '',
  oidc_response_mode: '',
  oidc_response_types: [],
  provider_config: {},
  unsupported_critical_cert_extensions: [],
};

/** Builds a config from a write, which replaces the whole config: resets missing members and ignores unknown ones. */
function configOf(body: AdminRequest['body']): MountConfig {
  const members = Object.entries(CONFIG_DEFAULTS).map(([member, fallback]) => [member, body[member] ?? fallback]);
  const config = Object.fromEntries(members) as MountConfig & Record<string, unknown>;
  for (const list of ['jwt_supported_algs', 'jwt_validation_pubkeys', 'unsupported_critical_cert_extensions'] as const)
    if (typeof config[list] === 'string') config[list] = config[list].split(',').filter(Boolean);
  return config;
}

function listRoles(world: AdminWorld, request: AdminRequest, [name = '']: readonly string[]): PlainReply {
  return listed([...mountOf(world, request, name).roles.keys()]);
}

function changeRole(world: AdminWorld, request: AdminRequest, [mountName = '', name = '']: readonly string[]) {
  const { roles } = mountOf(world, request, mountName);
  const key = name.toLowerCase();
  if (request.method === 'GET') return found(roles.get(key));
  if (request.method === 'DELETE') {
    roles.delete(key);
    return undefined;
  }
  // A write without these two members resets them.
  const reset = { role_type: 'oidc', bound_claims_type: 'string' };
  const role: Role = { ...roles.get(key), ...reset, ...parseRole(request.body) };
  if (role.role_type === 'oidc' && !role.allowed_redirect_uris?.length)
    throw new VaultError(400, "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.");
  if (!/^(?:default|service|batch)?$/.test(role.token_type ?? ''))
    throw new VaultError(400, `invalid 'token_type' value "${role.token_type}"`);
  if (role.token_type === 'batch' && role.token_period)
    throw new VaultError(400, "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens");
  if (role.token_max_ttl && (role.token_ttl ?? 0) > role.token_max_ttl)
    throw new VaultError(400, "'token_ttl' cannot be greater than 'token_max_ttl'");
  if (!role.user_claim) throw new VaultError(400, 'a user claim must be defined on the role');
  const bound = role.bound_audiences?.length || role.bound_subject || Object.keys(role.bound_claims ?? {}).length;
  if (role.role_type === 'jwt' && !bound)
    throw new VaultError(400, 'must have at least one bound constraint when creating/updating a role');
  roles.set(key, role);
  return undefined;
}

const ALIASES: Readonly<Record<string, string>> = {
  ttl: 'token_ttl',
  max_ttl: 'token_max_ttl',
  policies: 'token_policies',
  period: 'token_period',
  num_uses: 'token_num_uses',
};
const DURATIONS = new Set(['token_ttl', 'token_max_ttl', 'token_explicit_max_ttl', 'token_period']);
const LISTS = new Set(['bound_audiences', 'token_policies', 'token_bound_cidrs']);

/** Parses a role as Vault's CLI sends it: old member names, Go-style durations, comma-separated lists, all values as strings. */
function parseRole(body: AdminRequest['body']): Role {
  const members = Object.entries(body).map(([given, value]) => {
    const name = ALIASES[given] ?? given;
    if (DURATIONS.has(name)) return [name, secondsOf(value)];
    if (LISTS.has(name) && typeof value === 'string') return [name, value.split(',').filter(Boolean)];
    if (name === 'token_num_uses') return [name, Number(value)];
    if (name === 'token_no_default_policy') return [name, String(value) === 'true'];
    return [name, value];
  });
  return Object.fromEntries(members);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function secondsOf(value: unknown): number {
  const parts = String(value).matchAll(/(\d+)([smh]?)/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 1), 0);
}

function changePolicy({ policies }: AdminWorld, { method, body }: AdminRequest, [name = '']: readonly string[]) {
  if (method === 'DELETE') {
    policies.delete(name);
    return undefined;
  }
  const policy = policies.get(name);
  if (method === 'GET') return found(policy === undefined ? undefined : { name, policy });
  policies.set(name, String(body['policy']));
  return undefined;
}

function listPolicies({ policies }: AdminWorld): PlainReply {
  return listed(['default', ...policies.keys(), 'root']);
}

function changeQuota(world: AdminWorld, { method, body }: AdminRequest): undefined {
  const intervalMs = 1000 * secondsOf(body['interval'] ?? 1);
  world.quota = method === 'DELETE' ? undefined : { rate: Number(body['rate']), intervalMs };
}

function revoke({ store }: AdminWorld, { body }: AdminRequest): undefined {
  store.revoke(String(body['token'] ?? body['accessor']));
}

function createToken({ store, now }: AdminWorld, { namespace, body }: AdminRequest): PlainReply {
  const rules = {
    ttlSeconds: secondsOf(body['ttl'] ?? 0),
    maxTtlSeconds: 0,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    numUses: 0,
    type: 'service' as const,
    policies: ['default'],
  };
  const { held, warnings } = store.issue({ mount: 'token', role: '', namespace, rules });
  return { status: 200, body: grantBody(held, warnings, now()) };
}

function seal(world: AdminWorld): undefined {
  world.sealed = true;
}

/** Vault answers an empty list like a missing path. */
function listed(keys: readonly string[]): PlainReply {
  return keys.length === 0 ? found(undefined) : dataBody({ keys });
}

function found(data: object | undefined): PlainReply {
  return data === undefined ? { status: 404, body: { errors: [] } } : dataBody(data);
}
