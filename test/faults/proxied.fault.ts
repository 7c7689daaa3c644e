// The API proxy of the built program: replies of a gigabyte, clients that stall, and a Vault that breaks off.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask, openSocket, portOf, request } from '../http/raw-socket.ts';
import { openFrontVault, sendLarge } from '../support/front-vault.ts';
import { memoryOf, procText } from '../support/proc.ts';
import { until } from '../support/settling.ts';
import { openPeers } from '../support/sidecar.ts';
import { startSidecar } from './sidecar-process.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** @param answer answers requests of clients as Vault; false passes them on to a Vault that knows the exchange */
async function setUp(t: TestContext, answer: (asked: IncomingMessage, response: ServerResponse) => boolean) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const address = await openFrontVault(t, peers.vault.url, answer);
  const config = peers.config({ proxy: { listen: '127.0.0.1:0' } });
  const file = join(peers.directory, 'config.json');
  await writeFile(file, JSON.stringify({ ...config, vault: { address } }));
  const sidecar = await startSidecar(t, file);
  const { proxies } = (await sidecar.event('listening')) as unknown as { proxies: string[] };
  await sidecar.event('ready');
  const url = proxies[0]?.replace('app ', '') ?? '';
  return { url, port: portOf(url), sidecar };
}

test('passes on a gigabyte in both directions in constant memory (L8)', async (t) => {
  const received = createHash('sha256');
  let size = 0;
  const { url, sidecar } = await setUp(t, (asked, response) => {
    if (asked.url !== '/v1/sys/storage/raft/snapshot') return false;
    if (asked.method === 'GET') sendLarge(response, GIB);
    else
      asked
        .on('data', (chunk: Buffer) => {
          size += chunk.length;
          received.update(chunk);
        })
        .on('end', () => response.end());
    return true;
  });
  const before = memoryOf(sidecar.pid).residentMiB;
  const snapshot = await fetch(`${url}/v1/sys/storage/raft/snapshot`);
  let read = 0;
  for await (const chunk of snapshot.body ?? []) read += chunk.length;
  assert.equal(read, GIB);
  const sent = createHash('sha256');
  let left = GIB / MIB;
  const body = new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      left -= 1;
      const chunk = Buffer.alloc(MIB, left % 251);
      sent.update(chunk);
      controller.enqueue(chunk);
    },
  });
  const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
  assert.equal((await fetch(`${url}/v1/sys/storage/raft/snapshot`, init)).status, 200);
  assert.deepEqual([size, received.digest('hex')], [GIB, sent.digest('hex')]);
  const peak = Number(/^VmHWM:\s+(\d+)/m.exec(procText(sidecar.pid, 'status'))?.[1]) / 1024;
  t.diagnostic(`${before.toFixed(0)} MiB before, at most ${peak.toFixed(0)} MiB`);
  assert.ok(peak < before + 80, `${peak} MiB, ${before} before`);
});

test('cuts an answer that Vault breaks off, and serves the next request (L1)', async (t) => {
  const { url } = await setUp(t, (asked, response) => {
    if (asked.url !== '/v1/broken') return false;
    response.writeHead(200, { 'content-length': 1000 }).write('half', () => response.destroy());
    return true;
  });
  for (let turn = 0; turn < 20; turn += 1) {
    const reply = await fetch(`${url}/v1/broken`);
    await assert.rejects(reply.text());
    assert.equal((await fetch(`${url}/v1/auth/token/lookup-self`)).status, 200);
  }
});

test('clients that do not read take no memory, and lock out nobody (L2)', async (t) => {
  let stalled = 0;
  const { port, sidecar } = await setUp(t, (asked, response) => {
    if (asked.url !== '/v1/large') return false;
    stalled += 1;
    sendLarge(response, GIB);
    return true;
  });
  const before = memoryOf(sidecar.pid).residentMiB;
  const sockets = Array.from({ length: 50 }, () => openSocket(port).socket);
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.pause().write(request(port, [], 'GET /v1/large HTTP/1.1'));
  await until('all are being answered', () => stalled === sockets.length);
  for (let turn = 0; turn < 50; turn += 1) {
    const answer = await ask(port, request(port, [], 'GET /v1/auth/token/lookup-self HTTP/1.1'));
    assert.match(answer, /^HTTP\/1.1 200 /);
  }
  const grown = memoryOf(sidecar.pid).residentMiB - before;
  t.diagnostic(`${grown.toFixed(0)} MiB for ${sockets.length} clients`);
  // mostly what flowed before the clients' buffers were full, and isn't collected yet
  assert.ok(grown < 120, `${grown} MiB`);
});

test('a thousand idle clients lock out nobody (L3)', async (t) => {
  const { port } = await setUp(t, () => false);
  const idle = Array.from({ length: 1000 }, () => openSocket(port).socket);
  t.after(() => {
    for (const socket of idle) socket.destroy();
  });
  await until('most are evicted', () => idle.filter(({ closed }) => closed).length > 700);
  for (let turn = 0; turn < 50; turn += 1) {
    const answer = await ask(port, request(port, [], 'GET /v1/auth/token/lookup-self HTTP/1.1'));
    assert.match(answer, /^HTTP\/1.1 200 /);
  }
});
