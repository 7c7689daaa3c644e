// A Vault in memory that speaks enough of the HTTP API over a real loopback socket: jwt mounts with config and roles,
// login, renew-self, lookup-self, revoke-self, namespaces, sealing, and faults put in by hand. For the dev command and
// for tests; nothing of it runs in a daemon.

import { listenOn, type PlainReply, type PlainRequest, type TlsPair } from './listen.ts';
import { checkLogin, type Mount, type MountConfig, type Role } from './vault-jwt-auth.ts';
import { grantBody, healthBody, lookupBody } from './vault-replies.ts';
import { type DevToken, openTokenStore, VaultError } from './vault-tokens.ts';

export interface DevVaultOptions {
  readonly port?: number;
  readonly tls?: TlsPair;
  /** Vault's clock, epoch milliseconds */
  readonly now?: () => number;
}

export interface DevVault {
  readonly url: string;
  readonly requests: readonly LoggedRequest[];
  /** Enables the mount, trusts the issuer and writes the role: the guide's three steps. */
  trust(wish: { mount?: string; issuer: string; role: string; namespace?: string; settings?: Role }): void;
  mount(name: string, namespace?: string): Mount;
  setSealed(sealed: boolean): void;
  /** Every request is answered by this while it is set; a fault that answers undefined leaves it hanging. */
  setFault(
    fault: ((request: PlainRequest) => PlainReply | undefined | Promise<PlainReply | undefined>) | undefined,
  ): void;
  revoke(tokenOrAccessor: string): void;
  /** Loses every token, as a storage that was restored does. */
  forget(): void;
  alive(): readonly DevToken[];
  close(): Promise<void>;
}

export interface LoggedRequest {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

export async function openDevVault({ now = Date.now, ...options }: DevVaultOptions = {}): Promise<DevVault> {
  const mounts = new Map<string, Mount>();
  const store = openTokenStore(now);
  const requests: LoggedRequest[] = [];
  let sealed = false;
  let fault: Parameters<DevVault['setFault']>[0];

  function mountOf(name: string, namespace = ''): Mount {
    const key = `${namespace}|${name}`;
    const mount = mounts.get(key) ?? { config: undefined, roles: new Map(), keys: undefined };
    mounts.set(key, mount);
    return mount;
  }

  async function handle(request: PlainRequest): Promise<PlainReply | undefined> {
    const reply = fault === undefined ? await answer(request) : await fault(request);
    if (reply !== undefined)
      requests.push({ at: now(), method: request.method, path: request.path, status: reply.status });
    return reply;
  }

  async function answer(request: PlainRequest): Promise<PlainReply> {
    try {
      if (sealed) throw new VaultError(503, 'Vault is sealed');
      return (await route(request)) ?? { status: 204, body: undefined };
    } catch (error) {
      if (error instanceof VaultError) return { status: error.status, body: { errors: [error.message] } };
      return { status: 500, body: { errors: ['internal error'] } };
    }
  }

  async function route({ method, path, headers, body }: PlainRequest): Promise<PlainReply | undefined> {
    const namespace = String(headers['x-vault-namespace'] ?? '').replace(/\/$/, '');
    const token = headers['x-vault-token']?.toString();
    const isWrite = method === 'POST' || method === 'PUT';
    if (path === '/v1/sys/health') return { status: 200, body: healthBody(sealed, now()) };
    if (path === '/v1/auth/token/lookup-self') return { status: 200, body: lookupBody(ownToken(token), now()) };
    if (isWrite && path === '/v1/auth/token/renew-self') return renew(ownToken(token));
    if (isWrite && path === '/v1/auth/token/revoke-self') {
      store.revoke(ownToken(token).token);
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
  function ownToken(token: string | undefined): DevToken {
    const held = store.use(token);
    if (!held.rules.policies.includes('default'))
      throw new VaultError(403, '1 error occurred:\n\t* permission denied\n\n');
    return held;
  }

  function renew(held: DevToken): PlainReply {
    const role = mounts.get(`${held.namespace}|${held.mount}`)?.roles.get(held.role);
    if (role === undefined && held.rules.type !== 'batch')
      throw new VaultError(500, `role ${held.role} does not exist during renewal`);
    return { status: 200, body: grantBody(held, store.renew(held), now()) };
  }

  const server = await listenOn(options, handle);
  return {
    url: server.url,
    requests,
    trust({ mount = 'jwt', issuer, role, namespace, settings = {} }) {
      const trusted = mountOf(mount, namespace);
      trusted.config = { oidc_discovery_url: issuer, bound_issuer: issuer } satisfies MountConfig;
      trusted.roles.set(role.toLowerCase(), {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: 'vault',
        token_ttl: 3600,
        ...settings,
      });
    },
    mount: mountOf,
    setSealed(value) {
      sealed = value;
    },
    setFault(value) {
      fault = value;
    },
    revoke: store.revoke,
    forget: store.forget,
    alive: store.alive,
    close: () => server.close(),
  };
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
