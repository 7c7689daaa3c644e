// The built program behind a proxy: https goes through a tunnel, and only the proxy resolves Vault's name. Plain http, whose
// secrets a proxy would read, goes directly.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { makeCa } from '../support/certificates.ts';
import { openActionsEndpoint } from '../support/jwt-endpoints.ts';
import { listen } from '../support/listening.ts';
import { cli } from '../support/program.ts';
import { openPeers } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const VAULT_HOST = 'vault.test:8200';

interface Proxy {
  readonly env: Readonly<Record<string, string>>;
  /** the requested hosts */
  readonly hosts: Set<string>;
}

/** Opens tunnels, and refuses plain requests; `vault.test` is at `vaultPort`. */
async function openProxy(t: TestContext, vaultPort: number): Promise<Proxy> {
  const hosts = new Set<string>();
  const server = createServer(({ url = '' }, reply) => {
    hosts.add(url);
    reply.writeHead(502).end();
  });
  server.on('connect', ({ url = '' }, client) => {
    hosts.add(url);
    const port = url === VAULT_HOST ? vaultPort : Number(new URL(`http://${url}`).port);
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  const url = `http://127.0.0.1:${await listen(t, server)}`;
  return { env: { HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url }, hosts };
}

test('the built program logs in through a proxy, and doctor reaches Vault and the issuer through it (K6)', async (t) => {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const ca = makeCa(directory);
  const issuer = await openIssuer({ tls: ca.issue() });
  const vault = await openDevVault({ tls: ca.issue({ name: 'vault.test' }) });
  t.after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'app' });
  Object.assign(vault.mount('jwt').config ?? {}, { oidc_discovery_ca_pem: ca.cert });
  await writeFile(here('jwt'), await issuer.mint());
  const config = {
    vault: { address: `https://${VAULT_HOST}`, use_proxy_env: true, tls: { ca_file: ca.file } },
    exchanges: {
      app: {
        source: { file: { path: here('jwt') } },
        login: { role: 'app' },
        sinks: [{ file: { path: here('token') } }],
        expect: { issuer: issuer.issuer, audience: 'vault', subject: 'app' },
        setup: { trust: { oidc_discovery_ca_file: ca.file } },
      },
    },
  };
  await writeFile(here('config.json'), JSON.stringify(config));
  const { env, hosts } = await openProxy(t, Number(new URL(vault.url).port));
  const once = await cli(['once', '--config', here('config.json'), '--timeout', '10s'], { env });
  assert.equal(once.code, 0, once.err);
  assert.match(await readFile(here('token'), 'utf8'), /^hvs\./);
  assert.deepEqual([...hosts], [VAULT_HOST]);
  const { code, out, err } = await cli(['doctor', '--config', here('config.json')], { env });
  assert.deepEqual([code, err], [0, ''], out);
  assert.match(out, /ok +the keys at https\S+ verify its signature/);
  assert.match(out, /ok +login at auth\/jwt as app/);
  assert.deepEqual([...hosts], [VAULT_HOST, new URL(issuer.url).host]);
});

test("plain http bypasses the proxy: the operator's token, the JWT, and the credentials of an http source", async (t) => {
  const peers = await openPeers(t);
  const { directory, issuer, vault } = peers;
  const endpoint = await openActionsEndpoint(t, { token: 'of-the-job', mint: (aud) => issuer.mint({ aud }) });
  const http = {
    url: endpoint.origin,
    query: { audience: 'vault' },
    headers: { Authorization: { env: 'REQUEST_TOKEN', prefix: 'Bearer ' } },
    json_pointer: '/value',
    use_proxy_env: true,
  };
  const expect = { issuer: issuer.issuer, audience: 'vault', subject: 'app' };
  const config = peers.config({ source: { http }, expect });
  const file = join(directory, 'config.json');
  await writeFile(file, JSON.stringify({ ...config, vault: { address: vault.url, use_proxy_env: true } }));
  const { env: proxies, hosts } = await openProxy(t, 1);
  const env = { ...proxies, VAULT_ADDR: vault.url, VAULT_TOKEN: ROOT_TOKEN, REQUEST_TOKEN: 'of-the-job' };
  for (const [command = '', ...flags] of [['setup', '--apply', '--yes'], ['doctor'], ['once']]) {
    const { code, out, err } = await cli([command, '--config', file, ...flags], { env });
    assert.equal(code, 0, `${command}: ${out}${err}`);
  }
  assert.deepEqual([...hosts], []);
});
