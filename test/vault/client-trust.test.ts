// Rotation of the CA file over real TLS: a bundle of the old and the new CA is in place before the server changes. Many
// changes leave nothing open.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { readTrust } from '../../src/network/trust.ts';
import { openVaultClient, type VaultClient } from '../../src/vault/client.ts';
import { makeCa, type Pair } from '../support/certificates.ts';
import { until } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';

async function listenTls(t: TestContext, pair: Pair): Promise<{ server: Server; port: number }> {
  const server = createServer(pair, (_request, response) => void response.end('{}'));
  // what is left open by the client stays open
  server.keepAliveTimeout = 60_000;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

function open(t: TestContext, port: number, caFile: string): VaultClient {
  const address = `https://127.0.0.1:${port}`;
  const client = openVaultClient({ address, tls: { caFile }, timeoutMs: 5000, redirectHosts: [], useProxyEnv: false });
  t.after(() => client.close());
  return client;
}

const ask = (client: VaultClient): Promise<number> =>
  client.send({ method: 'POST', path: '/v1/x', body: new Secret('{}') }).then(({ status }) => status);

test('no call fails if the CA file has both CAs before the server changes, and only the new one afterwards (E1)', async (t) => {
  const directory = await temporaryDirectory(t);
  const [old, next] = [makeCa(directory, 'old'), makeCa(directory, 'next')];
  const caFile = join(directory, 'trusted.pem');
  await writeFile(caFile, old.cert);
  const { server, port } = await listenTls(t, old.issue());
  const client = open(t, port, caFile);
  assert.equal(await ask(client), 200);
  await replaceByRename(caFile, `${old.cert}${next.cert}`);
  assert.equal(await ask(client), 200);
  server.setSecureContext(next.issue());
  assert.equal(await ask(client), 200);
  await replaceByRename(caFile, next.cert);
  assert.equal(await ask(client), 200);
  server.setSecureContext(old.issue());
  const refused = await ask(client).catch((error) => error.failure.code);
  assert.equal(refused, 'vault_tls', 'the old CA is trusted no more');
});

test('a hundred changes of the CA file apply at the next call, and leak no socket or descriptor (E8)', async (t) => {
  const directory = await temporaryDirectory(t);
  const [ours, theirs] = [makeCa(directory, 'ours'), makeCa(directory, 'theirs')];
  const caFile = join(directory, 'trusted.pem');
  await writeFile(caFile, ours.cert);
  const { port } = await listenTls(t, ours.issue());
  const client = open(t, port, caFile);
  const held = () => ({
    descriptors: readdirSync('/proc/self/fd').length,
    sockets: process.getActiveResourcesInfo().filter((kind) => /TCP|TLS/.test(kind)).length,
  });
  assert.equal(await ask(client), 200);
  await until('the first connection is gone', () => held().sockets === 1);
  const before = held();
  for (let change = 0; change < 100; change += 1) {
    const isTrusted = change % 4 !== 3;
    await replaceByRename(caFile, isTrusted ? `${ours.cert}${'\n'.repeat(change)}` : theirs.cert);
    const outcome = await ask(client).catch((error) => error.failure.code);
    assert.equal(outcome, isTrusted ? 200 : 'vault_tls');
  }
  await until('all connections are gone', () => held().sockets === before.sockets, 2000);
  assert.ok(held().descriptors <= before.descriptors + 1, JSON.stringify([before, held()]));
});

test('forty simultaneous first calls of a client succeed', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const caFile = join(directory, 'trusted.pem');
  await writeFile(caFile, ca.cert);
  const { port } = await listenTls(t, ca.issue());
  const client = open(t, port, caFile);
  assert.deepEqual([...new Set(await Promise.all(Array.from({ length: 40 }, () => ask(client))))], [200]);
});

test('a client that is closed while it rereads its files makes no further call', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const caFile = join(directory, 'trusted.pem');
  await writeFile(caFile, ca.cert);
  const { server, port } = await listenTls(t, ca.issue());
  let asked = 0;
  server.on('request', () => {
    asked += 1;
  });
  for (const isFirst of [true, false]) {
    const client = open(t, port, caFile);
    if (!isFirst) assert.equal(await ask(client), 200);
    const before = asked;
    await writeFile(caFile, `${ca.cert}\n`);
    const late = ask(client).catch((error) => error.failure.code);
    await client.close();
    assert.equal(await late, 'vault_connection_lost');
    assert.equal(asked, before);
  }
});

test('a file of CAs has 1 MiB at most', async (t) => {
  const directory = await temporaryDirectory(t);
  const caFile = join(directory, 'trusted.pem');
  const { cert } = makeCa(directory, 'ours');
  const mostBytes = 1024 * 1024;
  await writeFile(caFile, cert.padEnd(mostBytes, '\n'));
  assert.equal((await readTrust({ caFile }, 5000)).ca?.length, mostBytes);
  await writeFile(caFile, cert.padEnd(mostBytes + 1, '\n'));
  await assert.rejects(readTrust({ caFile }, 5000), /trusted\.pem: too large/);
});

test('a certificate without its key, and what is no certificate, are refused by the names of their files', async (t) => {
  const directory = await temporaryDirectory(t);
  const caFile = join(directory, 'trusted.pem');
  const clientCertFile = join(directory, 'client.pem');
  const clientKeyFile = join(directory, 'client.key');
  const ca = makeCa(directory, 'ours');
  const [one, other] = [ca.issue(), ca.issue()];
  await Promise.all([
    writeFile(caFile, ca.cert),
    writeFile(clientCertFile, one.cert),
    writeFile(clientKeyFile, other.key),
  ]);
  await assert.rejects(readTrust({ caFile, clientCertFile, clientKeyFile }, 5000), {
    failure: {
      code: 'vault_tls_files',
      facts: { kind: 'tls-files', paths: [caFile, clientCertFile, clientKeyFile] },
    },
  });
});
