// The client with peers that answer wrongly, slowly or not at all, over real sockets: every call ends in time with a
// reply or a failure that names the problem, and secrets are sent only to Vault.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { VaultSettings } from '../../src/core/settings.ts';
import type { VaultRequest } from '../../src/core/vault-protocol.ts';
import { openVaultClient, type VaultClient } from '../../src/vault/client.ts';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const REQUEST: VaultRequest = {
  method: 'POST',
  path: '/v1/auth/token/renew-self',
  namespace: 'team',
  token: new Secret('hvs.CAESIsecret'),
  body: new Secret('{"jwt":"eyJsecret"}'),
  correlationId: '9f2c41d7-12',
};
const TIMEOUT_MS = 400;

function openClient(t: TestContext, address: string, settings: Partial<VaultSettings> = {}): VaultClient {
  const client = openVaultClient({
    address,
    tls: {},
    timeoutMs: TIMEOUT_MS,
    redirectHosts: [],
    useProxyEnv: false,
    ...settings,
  });
  t.after(() => client.close());
  return client;
}

/** A failure as "code: evidence", or the status. */
async function outcome(client: VaultClient): Promise<string> {
  const startedAt = performance.now();
  const told = await client.send(REQUEST).then(
    ({ status }) => String(status),
    (error) => {
      assert.ok(error instanceof ExchangeError, String(error));
      assert.ok(!error.message.includes('secret'));
      return `${error.failure.code}: ${explain(error.failure).evidence}`;
    },
  );
  assert.ok(performance.now() - startedAt < TIMEOUT_MS + 1000, `${performance.now() - startedAt} ms`);
  return told;
}

async function httpPeer(t: TestContext, answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(t, createHttpServer(answer))}`;
}

async function rawPeer(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  return `http://127.0.0.1:${await listen(t, createServer(onConnection))}`;
}

const afterRequest = (act: (socket: Socket) => void) => (socket: Socket) => void socket.once('data', () => act(socket));

test('a request with a timeout of its own ends earlier than the timeout of the settings', async (t) => {
  const address = await rawPeer(t, () => {});
  const client = openClient(t, address, { timeoutMs: 60_000 });
  const startedAt = performance.now();
  await assert.rejects(client.send({ ...REQUEST, timeoutMs: 200 }), (error) => {
    assert.ok(error instanceof ExchangeError);
    assert.deepEqual(error.failure, { code: 'vault_timeout', facts: { kind: 'timeout', limitMs: 200 } });
    return true;
  });
  assert.ok(performance.now() - startedAt < 5000);
});

test("sends Vault's headers, the token and the body", async (t) => {
  let seen: { headers: Record<string, unknown>; body: string } | undefined;
  const address = await httpPeer(t, async (request, response) => {
    seen = { headers: request.headers, body: Buffer.concat(await request.toArray()).toString() };
    response.setHeader('x-test', 'yes').end('{"auth":null}');
  });
  const reply = await openClient(t, address).send(REQUEST);
  assert.deepEqual([reply.status, reply.body.reveal(), reply.headers['x-test']], [200, '{"auth":null}', 'yes']);
  assert.ok(seen);
  const { 'x-vault-token': token, 'x-vault-namespace': namespace, 'x-vault-request': marker } = seen.headers;
  assert.deepEqual([token, namespace, marker, seen.body], ['hvs.CAESIsecret', 'team', 'true', '{"jwt":"eyJsecret"}']);
  assert.equal(seen.headers['x-correlation-id'], '9f2c41d7-12');
});

test('a namespace and a token are sent only where there are any, and a query as it stands', async (t) => {
  let seen: { url: string | undefined; headers: Record<string, unknown> } | undefined;
  const address = await httpPeer(t, (request, response) => {
    seen = { url: request.url, headers: request.headers };
    response.setHeader('x-several', ['first', 'second']).end('{}');
  });
  const startedAt = performance.now();
  const reply = await openClient(t, address).send({ method: 'GET', path: '/v1/sys/health?standbyok=true' });
  assert.ok(reply.durationMs >= 0 && reply.durationMs <= performance.now() - startedAt);
  assert.equal(reply.headers['x-several'], 'first');
  assert.equal(seen?.url, '/v1/sys/health?standbyok=true');
  assert.deepEqual(
    ['x-vault-token', 'x-vault-namespace'].filter((name) => name in (seen?.headers ?? {})),
    [],
  );
});

test('nobody listens (D1)', async (t) => {
  const server = createServer();
  const port = await listen(t, server);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(
    await outcome(openClient(t, `http://127.0.0.1:${port}`)),
    `vault_unreachable: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
});

test('reports an unknown host name (D8)', async (t) => {
  assert.match(
    await outcome(openClient(t, 'http://vault.invalid:8200', { timeoutMs: 5000 })),
    /^vault_name_unknown: getaddrinfo E\w+ vault\.invalid$/,
  );
});

test('times out if the TLS handshake never ends (D2, D3)', async (t) => {
  const address = (await rawPeer(t, () => {})).replace('http:', 'https:');
  assert.match(await outcome(openClient(t, address)), /^vault_timeout/);
});

test('times out if the peer never answers (D4)', async (t) => {
  assert.equal(await outcome(openClient(t, await rawPeer(t, () => {}))), 'vault_timeout: no reply within 0.4 s');
});

test('times out if the peer sends its reply a byte at a time (D5)', async (t) => {
  const address = await rawPeer(
    t,
    afterRequest((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
      const drip = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(drip));
    }),
  );
  assert.match(await outcome(openClient(t, address)), /^vault_timeout/);
});

test('reports resets before, in and after the headers (D6)', async (t) => {
  for (const said of ['', 'HTTP/1.1 20', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc']) {
    const address = await rawPeer(
      t,
      afterRequest((socket) => void socket.write(said, () => socket.resetAndDestroy())),
    );
    assert.match(await outcome(openClient(t, address)), /^vault_(connection_lost|not_http): /);
  }
});

test('reports a truncated reply (C25)', async (t) => {
  const address = await rawPeer(
    t,
    afterRequest((socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"auth"')),
  );
  assert.match(await outcome(openClient(t, address)), /^vault_connection_lost: /);
});

test("reports a peer that doesn't speak HTTP (D11, E7)", async (t) => {
  const ssh = await rawPeer(t, (socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
  assert.match(await outcome(openClient(t, ssh)), /^vault_not_http: /);
  const plain = await httpPeer(t, (_request, response) => void response.end());
  assert.match(await outcome(openClient(t, plain.replace('http:', 'https:'))), /^vault_not_http: /);
});

test("blocks redirects to hosts that aren't allowed, and sends nothing there (C5)", async (t) => {
  let leaked = 0;
  const foreign = await httpPeer(t, (_request, response) => {
    leaked += 1;
    response.end();
  });
  const redirecting = (location: string | undefined, status = 307) =>
    httpPeer(
      t,
      (_request, response) => void response.writeHead(status, location === undefined ? {} : { location }).end(),
    );
  const host = new URL(foreign).host;
  assert.equal(await outcome(openClient(t, await redirecting(`${foreign}/v1/x`))), `redirect_blocked: to host ${host}`);
  assert.equal(
    await outcome(openClient(t, await redirecting('https://vault/v1/x'))),
    'redirect_blocked: from http:// to https://',
  );
  assert.equal(
    await outcome(openClient(t, await redirecting(undefined))),
    'redirect_blocked: without a usable Location',
  );
  assert.equal(await outcome(openClient(t, await redirecting('/again'))), 'redirect_blocked: redirected twice');
  for (const status of [301, 302, 303])
    assert.equal(
      await outcome(openClient(t, await redirecting('/v1/x', status))),
      `redirect_blocked: status ${status} would drop the request's body`,
    );
  assert.equal(await outcome(openClient(t, await redirecting('/again', 308))), 'redirect_blocked: redirected twice');
  assert.equal(
    await outcome(openClient(t, await redirecting('http://['))),
    'redirect_blocked: without a usable Location',
  );
  assert.equal(await outcome(openClient(t, await redirecting('/v1/x', 304))), '304');
  assert.equal(leaked, 0);
});

test('follows one redirect to an allowed host, with the body (C4)', async (t) => {
  let body = '';
  const active = await httpPeer(t, async (request, response) => {
    body = Buffer.concat(await request.toArray()).toString();
    response.end('{}');
  });
  const standby = await httpPeer(
    t,
    (_request, response) => void response.writeHead(307, { location: `${active}/v1/x` }).end(),
  );
  assert.equal(await outcome(openClient(t, standby, { redirectHosts: [new URL(active).host] })), '200');
  assert.equal(body, '{"jwt":"eyJsecret"}');
});

test('never reuses a connection that the peer closed between calls (D7)', async (t) => {
  const address = await httpPeer(t, (_request, response) => {
    response.on('finish', () => response.socket?.destroy());
    response.end('{}');
  });
  const client = openClient(t, address);
  for (let call = 0; call < 20; call++) assert.equal(await outcome(client), '200');
});

async function tlsPeer(t: TestContext, options: ServerOptions): Promise<string> {
  return `https://127.0.0.1:${await listen(
    t,
    createHttpsServer(options, (_request, response) => void response.end('{}')),
  )}`;
}

test('refuses unknown certificates and those for another name with the reason (E4)', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const caFile = join(directory, 'ca.pem');
  assert.equal(await outcome(openClient(t, await tlsPeer(t, ca.issue()), { tls: { caFile } })), '200');
  assert.match(
    await outcome(openClient(t, await tlsPeer(t, ca.issue()))),
    /^vault_tls: the certificate is signed by an unknown CA/,
  );
  const named = await tlsPeer(t, ca.issue({ name: 'vault.example' }));
  assert.match(
    await outcome(openClient(t, named, { tls: { caFile } })),
    /^vault_tls: the certificate is issued for another name/,
  );
  assert.equal(await outcome(openClient(t, named, { tls: { caFile, serverName: 'vault.example' } })), '200');
});

test('refuses TLS versions below 1.2 (E5)', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const old = { ...ca.issue(), maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  assert.match(
    await outcome(openClient(t, await tlsPeer(t, old), { tls: { caFile: join(directory, 'ca.pem') } })),
    /^vault_(tls|not_http|connection_lost): /,
  );
});

test('uses a new CA file at the next call, keeps the old CA if the file is invalid, and reports an invalid first one (E2, E3)', async (t) => {
  const directory = await temporaryDirectory(t);
  const [ours, theirs] = [makeCa(directory, 'ours'), makeCa(directory, 'theirs')];
  const caFile = join(directory, 'trusted.pem');
  await writeFile(caFile, ours.cert);
  const address = await tlsPeer(t, theirs.issue());
  const client = openClient(t, address, { tls: { caFile } });
  assert.match(await outcome(client), /^vault_tls/);
  await writeFile(caFile, theirs.cert);
  assert.equal(await outcome(client), '200');
  for (const bad of ['', 'garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
    await writeFile(caFile, bad);
    assert.equal(await outcome(client), '200');
    assert.match(await outcome(openClient(t, address, { tls: { caFile } })), /^vault_tls_files: /);
  }
});

test('a close ends the call in flight', async (t) => {
  const asked = Promise.withResolvers<void>();
  const client = openClient(
    t,
    await rawPeer(
      t,
      afterRequest(() => asked.resolve()),
    ),
    { timeoutMs: 20_000 },
  );
  const call = outcome(client);
  await asked.promise;
  await client.close();
  assert.match(await call, /^vault_connection_lost: /);
});

test('HTTP/1.1 is spoken to a Vault that offers HTTP/2 too', async (t) => {
  const directory = await temporaryDirectory(t);
  const protocols: unknown[] = [];
  const server = createHttpsServer(
    { ...makeCa(directory).issue(), ALPNProtocols: ['h2', 'http/1.1'] },
    (_request, response) => void response.end('{}'),
  );
  server.on('secureConnection', ({ alpnProtocol }) => protocols.push(alpnProtocol));
  const address = `https://127.0.0.1:${await listen(t, server)}`;
  assert.equal(await outcome(openClient(t, address, { tls: { caFile: join(directory, 'ca.pem') } })), '200');
  assert.deepEqual(protocols, ['http/1.1']);
});

test('a name of several addresses is reached where one of them answers', async (t) => {
  const port = await listen(
    t,
    createHttpServer((_request, response) => void response.end('{}')),
  );
  const addresses = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  const lookup = (_name: string, { all }: dns.LookupOptions, done: (...outcome: unknown[]) => void) =>
    all ? done(null, addresses) : done(null, '::1', 6);
  t.mock.method(dns, 'lookup', lookup as typeof dns.lookup);
  assert.equal(await outcome(openClient(t, `http://vault.test:${port}`)), '200');
});
