// The built program behind a proxy. Only the proxy resolves Vault's name, so every reply must have come through it.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { cli } from '../support/program.ts';
import { scopeOf } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const VAULT_HOST = 'vault.test:8200';

/** Forwards plain requests and tunnels; `vault.test` is at `vaultPort`. Collects the requested hosts. */
async function openProxy(t: TestContext, vaultPort: number): Promise<{ url: string; hosts: Set<string> }> {
  const hosts = new Set<string>();
  const portOf = (host: string): number => {
    hosts.add(host);
    return host === VAULT_HOST ? vaultPort : Number(new URL(`http://${host}`).port);
  };
  const server = createServer((asked, reply) => {
    const { host, pathname, search } = new URL(asked.url ?? '');
    const options = { port: portOf(host), method: asked.method, path: pathname + search, headers: asked.headers };
    asked.pipe(
      request(options, (answer) => {
        reply.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(reply);
      }).on('error', () => reply.writeHead(502).end()),
    );
  });
  server.on('connect', ({ url = '' }, client) => {
    const target = connect(portOf(url), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  return { url: `http://127.0.0.1:${await listen(t, server)}`, hosts };
}

async function setUp(t: TestContext, withTls: boolean) {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const tls = withTls ? makeCa(directory).issue({ name: 'vault.test' }) : undefined;
  const [issuer, vault] = [await openIssuer(), await openDevVault(tls === undefined ? {} : { tls })];
  scopeOf(t).after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'app' });
  await writeFile(here('jwt'), await issuer.mint());
  const config = {
    vault: {
      address: `${withTls ? 'https' : 'http'}://${VAULT_HOST}`,
      use_proxy_env: true,
      ...(withTls ? { tls: { ca_file: here('ca.pem') } } : { allow_insecure_http: true }),
    },
    exchanges: {
      app: {
        source: { file: { path: here('jwt') } },
        login: { role: 'app' },
        sinks: [{ file: { path: here('token') } }],
        expect: { issuer: issuer.issuer, audience: 'vault', subject: 'app' },
      },
    },
  };
  await writeFile(here('config.json'), JSON.stringify(config));
  const proxy = await openProxy(t, Number(new URL(vault.url).port));
  const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
  const run = (command: string, ...more: string[]) => cli([command, '--config', here('config.json'), ...more], { env });
  return { run, proxy, issuerHost: new URL(issuer.url).host, tokenFile: here('token') };
}

for (const withTls of [false, true]) {
  const how = withTls ? 'with TLS' : 'without TLS';
  test(`the built program logs in through a proxy ${how}, and doctor reaches Vault and the issuer through it (K6)`, async (t) => {
    const { run, proxy, issuerHost, tokenFile } = await setUp(t, withTls);
    const once = await run('once', '--timeout', '10s');
    assert.equal(once.code, 0, once.err);
    assert.match(await readFile(tokenFile, 'utf8'), /^hvs\./);
    assert.deepEqual([...proxy.hosts], [VAULT_HOST]);
    const { code, out, err } = await run('doctor');
    assert.deepEqual([code, err], [0, ''], out);
    assert.match(out, /ok +the keys at http\S+ verify its signature/);
    assert.match(out, /ok +login at auth\/jwt as app/);
    assert.ok(proxy.hosts.has(issuerHost), 'the issuer was asked through the proxy');
  });
}
