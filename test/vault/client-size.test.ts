// Huge replies: the client stops reading at the limit, and frees the memory.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ExchangeError } from '../../src/core/errors.ts';
import { openVaultClient, type VaultClient } from '../../src/vault/client.ts';
import { listen } from '../support/listening.ts';

const REQUEST = { method: 'GET', path: '/v1/sys/health' } as const;

function openClient(t: TestContext, address: string): VaultClient {
  const client = openVaultClient({ address, tls: {}, timeoutMs: 10_000, redirectHosts: [], useProxyEnv: false });
  t.after(() => client.close());
  return client;
}

const httpPeer = async (t: TestContext, answer: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(t, createServer(answer))}`;

/** What the client's sockets have taken in from now on. */
function countBytesRead(t: TestContext): () => number {
  const sockets: Socket[] = [];
  const onConnected = (message: unknown) => sockets.push((message as { socket: Socket }).socket);
  subscribe('undici:client:connected', onConnected);
  t.after(() => unsubscribe('undici:client:connected', onConnected));
  return () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
}

for (const [kind, headers] of [
  ['without end', {}],
  ['of a gibibyte, with a Content-Length', { 'content-length': 2 ** 30 }],
  ['of a gibibyte, compressed', { 'content-encoding': 'gzip' }],
] as const) {
  test(`aborts a reply ${kind} after 256 KiB, without reading or buffering more (C26)`, async (t) => {
    const peer = await httpPeer(t, (_request, response) => {
      const chunk = 'x'.repeat(65_536);
      const pour = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.writeHead(200, headers).on('drain', pour);
      pour();
    });
    const bytesRead = countBytesRead(t);
    const before = process.memoryUsage().arrayBuffers;
    await assert.rejects(openClient(t, peer).send(REQUEST), (error) => {
      assert.ok(error instanceof ExchangeError);
      assert.deepEqual(error.failure, {
        code: 'bad_response',
        facts: { kind: 'reply-unusable', problem: 'too-large' },
      });
      return true;
    });
    // one more chunk of a socket may have come before the limit was noticed
    assert.ok(bytesRead() <= 256 * 1024 + 65_536 + 1024, `${bytesRead()} bytes`);
    const held = process.memoryUsage().arrayBuffers - before;
    assert.ok(held < 2 * 2 ** 20, `${held} bytes`);
  });
}

test("doesn't request compression, and never decompresses a reply (C26)", async (t) => {
  const bomb = gzipSync(Buffer.alloc(100_000_000));
  const gzipped = await httpPeer(t, (request, response) => {
    assert.equal(request.headers['accept-encoding'], 'identity');
    response.setHeader('content-encoding', 'gzip').end(bomb);
  });
  const { body } = await openClient(t, gzipped).send(REQUEST);
  assert.ok(body.reveal().length <= bomb.length, `${body.reveal().length} characters`);
});
