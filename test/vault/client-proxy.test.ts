// The way to Vault through a proxy, over real sockets: used only where it is asked for, past it where NO_PROXY says so,
// and when it refuses the failure says that it was the proxy, without its credentials.

import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { openVaultClient } from '../../src/vault/client.ts';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CREDENTIALS = 'operator:hunter2';

interface Seen {
  /** the first line and the headers of what the proxy was asked */
  readonly heads: string[];
}

/** A proxy that answers a CONNECT with `refusal`, or else opens the tunnel. */
async function openProxy(t: TestContext, refusal?: string): Promise<Seen & { port: number }> {
  const heads: string[] = [];
  const port = await listen(
    t,
    createServer((client) => {
      client.once('data', (bytes: Buffer) => {
        const head = bytes.toString();
        heads.push(head);
        if (refusal !== undefined) return void client.end(refusal);
        const target = /^CONNECT 127\.0\.0\.1:(\d+) /.exec(head);
        const vault = connect(Number(target?.[1]), '127.0.0.1', () => {
          client.write('HTTP/1.1 200 OK\r\n\r\n');
          client.pipe(vault).pipe(client);
        });
        vault.on('error', () => client.destroy());
      });
    }),
  );
  return { heads, port };
}

/** Sets the proxy variables as given, and no others, until the test ends. */
function setEnvironment(t: TestContext, variables: Record<string, string>): void {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
  const apply = (values: Record<string, string | undefined>) => {
    for (const name of names) delete process.env[name];
    for (const [name, value] of Object.entries(values)) if (value !== undefined) process.env[name] = value;
  };
  apply(variables);
  t.after(() => apply(before));
}

async function ask(t: TestContext, address: string, settings: { useProxyEnv: boolean; caFile?: string }) {
  const { useProxyEnv, caFile } = settings;
  const tls = caFile === undefined ? {} : { caFile };
  const client = openVaultClient({ address, tls, timeoutMs: 2000, redirectHosts: [], useProxyEnv });
  t.after(() => client.close());
  const token = new Secret('hvs.CAESIsecret');
  return client.send({ method: 'POST', path: '/v1/auth/token/renew-self', token, body: new Secret('{}') }).then(
    ({ status }) => String(status),
    (error) => {
      assert.ok(error instanceof ExchangeError, String(error));
      assert.doesNotMatch(error.message, /hunter2|operator|b3BlcmF0b3I|hvs/);
      return error.failure.code;
    },
  );
}

async function setUp(t: TestContext, refusal?: string) {
  const directory = await temporaryDirectory(t);
  const pair = makeCa(directory).issue();
  const answer = (_request: unknown, response: { end(text: string): void }) => response.end('{}');
  const https = `https://127.0.0.1:${await listen(t, createHttpsServer(pair, answer))}`;
  const http = `http://127.0.0.1:${await listen(t, createHttpServer(answer))}`;
  const proxy = await openProxy(t, refusal);
  const variables = { https_proxy: `http://${CREDENTIALS}@127.0.0.1:${proxy.port}` };
  return { https, http, proxy, variables, pair, caFile: join(directory, 'ca.pem') };
}

test('uses the proxy with the opt-in, through a tunnel without secrets, and honours NO_PROXY (D12)', async (t) => {
  const { https, proxy, variables, caFile } = await setUp(t);
  setEnvironment(t, variables);
  assert.equal(await ask(t, https, { useProxyEnv: false, caFile }), '200');
  assert.equal(proxy.heads.length, 0, 'without the opt-in nobody asks it');
  assert.equal(await ask(t, https, { useProxyEnv: true, caFile }), '200');
  assert.match(proxy.heads.join(), /^CONNECT 127\.0\.0\.1:\d+ HTTP\/1\.1\r\n/);
  assert.match(proxy.heads.join(), new RegExp(`basic ${btoa(CREDENTIALS)}`, 'i'));
  assert.doesNotMatch(proxy.heads.join(), /hvs/);
  for (const NO_PROXY of ['127.0.0.1', '*', 'example.com,127.0.0.1']) {
    setEnvironment(t, { ...variables, NO_PROXY });
    assert.equal(await ask(t, https, { useProxyEnv: true, caFile }), '200', NO_PROXY);
  }
  assert.equal(proxy.heads.length, 1, 'NO_PROXY goes past it');
});

for (const [what, refusal] of [
  ['wants other credentials', 'HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n'],
  ["can't reach Vault", 'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'],
  ['forbids it', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nno way\n'],
  ["doesn't speak HTTP", 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['hangs up', ''],
] as const) {
  test(`a proxy that ${what} is named in the failure, without its credentials (D13)`, async (t) => {
    const { https, variables, caFile } = await setUp(t, refusal);
    setEnvironment(t, variables);
    const code = await ask(t, https, { useProxyEnv: true, caFile });
    assert.match(code, refusal.startsWith('HTTP') ? /^vault_proxy$/ : /^vault_(proxy|connection_lost|not_http)$/);
  });
}

test('reports an unreachable proxy, and one without TLS at an https address (D13)', async (t) => {
  const { https, variables, caFile, proxy } = await setUp(t, '');
  setEnvironment(t, { https_proxy: `http://${CREDENTIALS}@127.0.0.1:1` });
  assert.equal(await ask(t, https, { useProxyEnv: true, caFile }), 'vault_unreachable');
  setEnvironment(t, { https_proxy: variables.https_proxy.replace('http:', 'https:') });
  assert.match(await ask(t, https, { useProxyEnv: true, caFile }), /^vault_(proxy|tls|not_http|connection_lost)$/);
  assert.doesNotMatch(proxy.heads.join(), /hvs/);
});

test('a request through a tunnel has the same limits: 256 KiB, and a connection per call (C26, D12)', async (t) => {
  const { proxy, variables, pair, caFile } = await setUp(t);
  let isEndless = false;
  const vault = createHttpsServer(pair, (_request, response) => {
    if (!isEndless) return void response.end('{}');
    const pour = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', pour);
    pour();
  });
  const address = `https://127.0.0.1:${await listen(t, vault)}`;
  setEnvironment(t, variables);
  for (let call = 1; call <= 3; call += 1) {
    assert.equal(await ask(t, address, { useProxyEnv: true, caFile }), '200');
    assert.equal(proxy.heads.length, call);
  }
  isEndless = true;
  assert.equal(await ask(t, address, { useProxyEnv: true, caFile }), 'bad_response');
});

test('plain http never goes to a proxy, which would read the secrets of the request (D12)', async (t) => {
  const { http, https, proxy, variables, caFile } = await setUp(t);
  const url = variables.https_proxy;
  for (const environment of [{ http_proxy: url }, { HTTP_PROXY: url, HTTPS_PROXY: url }, variables]) {
    setEnvironment(t, environment);
    assert.equal(await ask(t, http, { useProxyEnv: true }), '200');
  }
  setEnvironment(t, { HTTP_PROXY: url });
  assert.equal(await ask(t, https, { useProxyEnv: true, caFile }), '200', 'HTTP_PROXY is not for https');
  assert.deepEqual(proxy.heads, []);
});
