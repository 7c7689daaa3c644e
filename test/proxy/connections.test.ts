// The connections between the proxy and Vault: shared by the requests, and replaced after a reload or a rotation of TLS files.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import nodeFs, { readdir, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { openForwarder } from '../../src/network/forward.ts';
import { openSocket, request } from '../http/raw-socket.ts';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openProxy } from './open-proxy.ts';

const textOf = async (asked: Promise<Response>): Promise<string> => (await asked).text();

/** A Vault that keeps idle connections, and counts them. */
async function openVault(t: Scope, answer: RequestListener) {
  const server = createServer({ keepAliveTimeout: 60_000 }, answer);
  const seen = { opened: 0, open: 0 };
  server.on('connection', (socket) => {
    seen.opened += 1;
    seen.open += 1;
    socket.on('close', () => {
      seen.open -= 1;
    });
  });
  return { address: `http://127.0.0.1:${await listen(t, server)}`, seen };
}

test('requests share connections, also after a reload that changes nothing about Vault', async (t) => {
  const { address, seen } = await openVault(t, (_request, response) => response.end('{}'));
  const { url, view } = await openProxy(t, { vault: { address } });
  for (const _turn of [1, 2]) {
    for (const _request of [1, 2]) assert.equal(await textOf(fetch(`${url}/v1/x`)), '{}');
    view.setVault({ ...view.vault() });
  }
  assert.equal(seen.opened, 1);
});

test('a reload to another Vault leaves a request in flight its connection, and then closes it', async (t) => {
  const { promise: arrived, resolve } = Promise.withResolvers<ServerResponse>();
  const before = await openVault(t, (_request, response) => resolve(response));
  const after = await openVault(t, (_request, response) => response.end('after'));
  const { url, view } = await openProxy(t, { vault: { address: before.address } });
  const inFlight = textOf(fetch(`${url}/v1/x`));
  const response = await arrived;
  view.setVault({ ...view.vault(), address: after.address });
  view.set('hvs.of-the-new-vault');
  assert.equal(await textOf(fetch(`${url}/v1/x`)), 'after');
  response.end('before');
  assert.equal(await inFlight, 'before');
  await until('the connection to the old Vault is closed', () => before.seen.open === 0, 2000);
});

test('a rotated client certificate is in use five seconds later, and no request waits for it', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const options = { ...ca.issue(), ca: ca.cert, requestCert: true, rejectUnauthorized: true };
  const server = createTlsServer(options, ({ socket }, response) => {
    response.end((socket as TLSSocket).getPeerCertificate().subject.CN);
  });
  const clientCertFile = join(directory, 'client.pem');
  const clientKeyFile = join(directory, 'client.key');
  const rotate = async (name: string) => {
    const { cert, key } = ca.issue({ name });
    await Promise.all([writeFile(clientCertFile, cert), writeFile(clientKeyFile, key)]);
  };
  await rotate('first');
  const tls = { caFile: ca.file, clientCertFile, clientKeyFile };
  const { url, close } = await openProxy(t, {
    vault: { address: `https://127.0.0.1:${await listen(t, server)}`, tls },
  });
  let [opened, reading] = [0, Promise.resolve()];
  const original = nodeFs.open;
  const opening = t.mock.method(nodeFs, 'open', async (...file: Parameters<typeof original>) => {
    opened += 1;
    await reading;
    return original(...file);
  });
  syncBuiltinESMExports();
  t.after(() => {
    opening.mock.restore();
    syncBuiltinESMExports();
  });
  const startedAt = Math.ceil(performance.now());
  let now = startedAt;
  t.mock.method(performance, 'now', () => now);
  const peer = () => textOf(fetch(`${url}/v1/x`));
  assert.equal(await peer(), 'first');
  await rotate('second');
  now = startedAt + 4999;
  for (const _request of [1, 2]) assert.equal(await peer(), 'first');
  assert.equal(opened, 3, 'each file once');
  const { promise: hung, resolve: goOn } = Promise.withResolvers<void>();
  reading = hung;
  now = startedAt + 5000;
  for (const _request of [1, 2]) assert.equal(await peer(), 'first');
  goOn();
  await until('the new certificate is in use', async () => (await peer()) === 'second');
  assert.equal(opened, 6, 'each file once more');
  // a stop while the files are being read
  const { promise: hungAgain, resolve: end } = Promise.withResolvers<void>();
  reading = hungAgain;
  now = startedAt + 10_000;
  assert.equal(await peer(), 'second');
  await close();
  end();
  await new Promise(setImmediate);
});

test('takes 256 clients, or as many as half of its share of the open files', async (t) => {
  for (const [files, most] of [
    ['1048576', 256],
    ['unlimited', 256],
    ['102', 9],
  ] as const) {
    const mock = t.mock.method(fs, 'readFileSync', () => `Max open files            ${files}   ${files}   files \n`);
    syncBuiltinESMExports();
    const { port } = await openProxy(t);
    mock.mock.restore();
    syncBuiltinESMExports();
    const sockets = Array.from({ length: most + 1 }, () => openSocket(port).socket);
    await until('one is evicted', () => sockets.some((socket) => socket.closed));
    const [last = assert.fail()] = sockets.slice(-1);
    last.write(request(port));
    await once(last, 'data');
    assert.equal(sockets.filter(({ closed }) => closed).length, 1, files);
    for (const socket of sockets) socket.destroy();
  }
});

test('on a unix socket, removes its file at the stop', async (t) => {
  const directory = await temporaryDirectory(t);
  const { close } = await openProxy(t, { proxy: { listen: { path: join(directory, 'vault.sock'), mode: 0o600 } } });
  assert.deepEqual(await readdir(directory), ['vault.sock']);
  await close();
  assert.deepEqual(await readdir(directory), []);
});

test('a client that leaves while its request waits for a connection does not keep the forwarder from closing', async (t) => {
  const { promise: arrived, resolve } = Promise.withResolvers<ServerResponse>();
  const { address } = await openVault(t, (_request, response) => resolve(response));
  const vault = { address, tls: {}, timeoutMs: 5000, redirectHosts: [], useProxyEnv: false };
  const forwarder = openForwarder(vault, 1);
  const ended: (number | undefined)[] = [];
  let begun = 0;
  const front = createServer((_request, response) => {
    begun += 1;
    void forwarder
      .forward({ method: 'GET', path: '/v1/x', headers: {}, body: null }, response)
      .then((status) => ended.push(status));
  });
  const port = await listen(t, front);
  const [served, waiting] = [openSocket(port), openSocket(port)];
  served.socket.write(request(port));
  const response = await arrived;
  waiting.socket.write(request(port));
  await until('the second request waits', () => begun === 2);
  waiting.socket.destroy();
  await until('it has ended', () => ended.length === 1);
  response.end('{}');
  await forwarder.close();
  assert.deepEqual(ended, [undefined, 200]);
});
