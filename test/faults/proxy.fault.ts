// The built program behind a proxy, since the bundle loads undici's proxy support differently than the source does.

import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { openFaultWorld, startSidecar } from './sidecar-process.ts';

const BUNDLE = join(import.meta.dirname, '../../dist/vault-token-sidecar.mjs');

/** Joins two sockets until either ends. */
function join2(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const [socket, peer] of [
    [one, other],
    [other, one],
  ] as const)
    socket.on('error', () => peer.destroy());
}

/** A proxy for CONNECT tunnels; `heads` are the requests that it received. */
async function openProxy(t: TestContext): Promise<{ url: string; heads: string[] }> {
  const heads: string[] = [];
  const port = await listen(
    t,
    createServer((client) => {
      client.once('data', (bytes: Buffer) => {
        heads.push(bytes.toString());
        const [, port] = /^CONNECT 127\.0\.0\.1:(\d+)/.exec(bytes.toString()) ?? [];
        if (port === undefined) return void client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
        const vault = connect(Number(port), '127.0.0.1', () => {
          client.write('HTTP/1.1 200 OK\r\n\r\n');
          join2(client, vault);
        });
      });
    }),
  );
  return { url: `http://127.0.0.1:${port}`, heads };
}

for (const scheme of ['http', 'https'] as const) {
  test(`behind a proxy the bundle logs in and renews, over ${scheme} (K6, D12)`, async (t) => {
    const world = await openFaultWorld(t, { leaseSeconds: 6 });
    const ca = makeCa(world.directory);
    const vaultPort = Number(new URL(world.vault.url).port);
    const front = createTlsServer(ca.issue(), (socket) => join2(socket, connect(vaultPort, '127.0.0.1')));
    const port = scheme === 'http' ? vaultPort : await listen(t, front);
    const proxy = await openProxy(t);
    const tls = scheme === 'http' ? {} : { tls: { ca_file: join(world.directory, 'ca.pem') } };
    const vault = { address: `${scheme}://127.0.0.1:${port}`, use_proxy_env: true, ...tls };
    await world.configure({}, { vault });
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
    const { event, log, stop } = await startSidecar(t, world.configFile, { entry: BUNDLE, env });
    await until('a token', () => {
      const failed = log().find((line) => line['code'] !== undefined);
      assert.equal(failed, undefined, JSON.stringify(failed));
      return world.token();
    });
    await event('renewed');
    if (scheme === 'http') assert.deepEqual(proxy.heads, [], 'a proxy would read the JWT');
    else assert.ok(proxy.heads.length >= 2, `${proxy.heads.length} requests`);
    const start = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n`;
    for (const head of proxy.heads) assert.equal(head.slice(0, start.length), start);
    assert.equal((await stop()).code, 0);
  });
}
