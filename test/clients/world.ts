// The surroundings of the clients: a real Vault with short leases, an issuer, and one sidecar, whose token is replaced when the
// test says so.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openIssuer } from '../../src/dev/issuer.ts';
import { startSidecar } from '../faults/sidecar-process.ts';
import { reservePort } from '../support/ports.ts';
import type { Scope } from '../support/scope.ts';
import { until, untilChanged } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openRealVault } from '../vault/real-vault.ts';

const TTL = { token_ttl: 10, token_max_ttl: 26 };
/** For clients that read the token file only every 15 s: half of a lease must be longer. */
const LONG_TTL = { token_ttl: 34, token_max_ttl: 40 };

export interface World {
  readonly directory: string;
  readonly vaultUrl: string;
  readonly tokenFile: string;
  /** a token with longer leases: half of a lease is 17 s */
  readonly longTokenFile: string;
  readonly apiUrl: string;
  readonly proxyUrl: string;
  /** the unix socket of another proxy */
  readonly proxySocket: string;
  /** the config of one exchange, for `exec` */
  readonly execConfigFile: string;
  /** the token in the file */
  token(): Promise<string>;
  /** Writes a new JWT, which replaces the token. Resolves when Vault no longer knows the token before. */
  rotate(): Promise<void>;
  /** Resolves when the token has been replaced at its maximum TTL, and Vault no longer knows the one before. */
  reachMaxTtl(): Promise<void>;
  /** Changes the secret that the clients read. */
  greet(text: string): Promise<void>;
  /** the secret, and since when, in epoch milliseconds */
  greeting(): { readonly text: string; readonly since: number };
}

export async function openWorld(t: Scope): Promise<World> {
  const directory = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t, { config: { telemetry: { prometheus_retention_time: '1h' } } });
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await vault.write('sys/policies/acl/my-app', {
    policy: 'path "secret/data/my-app" { capabilities = ["read"] }\npath "sys/metrics" { capabilities = ["read"] }',
  });
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer });
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', token_policies: 'my-app' };
  await vault.write('auth/jwt/role/my-app', { ...role, ...TTL });
  await vault.write('auth/jwt/role/long', { ...role, ...LONG_TTL });
  const at = (name: string) => join(directory, name);
  const [tokenFile, longTokenFile, jwtFile, proxySocket] = [at('token'), at('long'), at('jwt'), at('vault.sock')];
  const [configFile, execConfigFile] = [at('config.json'), at('exec.json')];
  let greeting = { text: '', since: 0 };
  const greet = async (text: string) => {
    await vault.write('secret/data/my-app', { data: { greeting: text } });
    greeting = { text, since: Date.now() };
  };
  await greet('hello');
  await replaceByRename(jwtFile, await issuer.mint());
  const [api, proxy] = [`127.0.0.1:${await reservePort()}`, `127.0.0.1:${await reservePort()}`];
  const source = { file: { path: jwtFile } };
  const app = { source, login: { role: 'my-app' } };
  const config = {
    vault: { address: vault.url },
    exchanges: {
      app: { ...app, sinks: [{ file: { path: tokenFile } }], proxy: { listen: proxy } },
      socket: { ...app, sinks: [], proxy: { listen: `unix:${proxySocket}` } },
      long: { source, login: { role: 'long' }, sinks: [{ file: { path: longTokenFile } }] },
    },
    api: { listen: api },
    ops: { listen: '127.0.0.1:0' },
  };
  await writeFile(configFile, JSON.stringify(config));
  // its warnings about restarts and leases capped at the maximum TTL would look like failures of the client
  const execConfig = { vault: config.vault, exchanges: { app: { ...app, sinks: [] } }, log: { level: 'error' } };
  await writeFile(execConfigFile, JSON.stringify(execConfig));
  const sidecar = await startSidecar(t, configFile);
  for (const exchange of Object.keys(config.exchanges))
    await sidecar.event('ready', (line) => line['exchange'] === exchange);

  const token = () => untilChanged(tokenFile, undefined);
  const untilDead = (text: string) =>
    until(
      'Vault forgets the token before',
      async () =>
        (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': text })).status === 403,
      30_000,
    );
  const replacedBy = async (replace: () => Promise<void>, limitMs?: number) => {
    const before = await token();
    await replace();
    await untilChanged(tokenFile, before, limitMs);
    await untilDead(before);
  };
  return {
    ...{
      directory,
      vaultUrl: vault.url,
      tokenFile,
      longTokenFile,
      apiUrl: `http://${api}/v1/token/app`,
      proxyUrl: `http://${proxy}`,
      proxySocket,
      execConfigFile,
      token,
      greet,
      greeting: () => greeting,
    },
    rotate: () => replacedBy(async () => replaceByRename(jwtFile, await issuer.mint())),
    reachMaxTtl: () => replacedBy(async () => {}, 1000 * (TTL.token_max_ttl + 5)),
  };
}
