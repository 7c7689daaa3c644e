// An in-memory Vault on a real loopback socket. It implements the part of the HTTP API that the sidecar uses: jwt mounts with
// config and roles, login, renew-self, lookup-self, revoke-self, namespaces and sealing; tests can inject faults. Only for the dev
// command and tests.

import { listenOn, type PlainReply, type PlainRequest, type TlsPair } from './listen.ts';
import { answer, type VaultWorld } from './vault-api.ts';
import type { Mount, MountConfig, Role } from './vault-jwt-auth.ts';
import { type DevToken, openTokenStore } from './vault-tokens.ts';

export interface DevVaultOptions {
  readonly port?: number;
  readonly tls?: TlsPair;
  /** Vault's clock, epoch milliseconds */
  readonly now?: () => number;
}

export interface DevVault {
  readonly url: string;
  readonly requests: readonly LoggedRequest[];
  /** Enables the mount, trusts the issuer and writes the role. */
  trust(wish: { mount?: string; issuer: string; role: string; namespace?: string; settings?: Role }): void;
  mount(name: string, namespace?: string): Mount;
  setSealed(sealed: boolean): void;
  /** Answers every request with the fault while it is set; if it returns undefined, the request hangs. */
  setFault(
    fault: ((request: PlainRequest) => PlainReply | undefined | Promise<PlainReply | undefined>) | undefined,
  ): void;
  revoke(tokenOrAccessor: string): void;
  /** Deletes every token, like a restore of an old storage. */
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
  const world: VaultWorld = {
    mounts: new Map(),
    policies: new Map(),
    store: openTokenStore(now),
    now,
    sealed: false,
    quota: undefined,
    recent: [],
  };
  const { mounts, store } = world;
  const requests: LoggedRequest[] = [];
  let fault: Parameters<DevVault['setFault']>[0];

  function mountOf(name: string, namespace = ''): Mount {
    const key = `${namespace}|${name}`;
    const mount = mounts.get(key) ?? { type: 'jwt', config: undefined, roles: new Map(), keys: undefined };
    mounts.set(key, mount);
    return mount;
  }

  async function handle(request: PlainRequest): Promise<PlainReply | undefined> {
    const reply = fault === undefined ? await answer(world, request) : await fault(request);
    if (reply !== undefined)
      requests.push({ at: now(), method: request.method, path: request.path, status: reply.status });
    return reply;
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
      world.sealed = value;
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
