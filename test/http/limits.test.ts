// The limits of a connection: the duration, size and number of its requests.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { mostConnections } from '../../src/http/connections.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildOpsApi } from '../../src/http/ops-api.ts';
import { BARE_OPS } from './bare-ops.ts';
import { ask, askInTurn, closed, openSocket, portOf, request, statusesIn } from './raw-socket.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const ALIVE = ['Connection: keep-alive'];
const PROBE = 'GET /livez HTTP/1.1';

async function setUp(t: TestContext): Promise<number> {
  const app = buildOpsApi(BARE_OPS);
  t.after(() => closeApp(app));
  return portOf(await app.listen(LISTEN));
}

/** How long the server keeps a connection on which it gets these bytes. */
async function heldMs(port: number, bytes: string): Promise<number> {
  const { socket } = openSocket(port);
  const startedAt = performance.now();
  socket.write(bytes);
  await closed(socket);
  return performance.now() - startedAt;
}

test('times out headers after three seconds, a request after five, an idle connection after six (G6)', async (t) => {
  const port = await setUp(t);
  const [headers, body, idle] = await Promise.all([
    heldMs(port, 'GET /livez HTTP/1.1\r\nX-A: '),
    heldMs(port, request(port, [...ALIVE, 'Content-Length: 10'], PROBE)),
    heldMs(port, request(port, ALIVE, PROBE)),
  ]);
  assert.ok(headers > 2500 && headers < 4500, `headers: ${headers} ms`);
  assert.ok(body > 3500 && body < 5500, `body: ${body} ms`);
  assert.ok(idle > 4500 && idle < 8000, `idle: ${idle} ms`);
});

test('allows a hundred requests on a connection, and headers of 8 KiB (G7, G9)', async (t) => {
  const port = await setUp(t);
  const answers = await askInTurn(port, request(port, ALIVE, PROBE), 100);
  assert.deepEqual(
    statusesIn(answers),
    Array.from({ length: 100 }, () => 200),
  );
  assert.equal([...answers.matchAll(/\r\nconnection: close\r\n/gi)].length, 1, 'the last answer says so');
  assert.deepEqual(statusesIn(await ask(port, request(port, [`X-A: ${'x'.repeat(7500)}`], PROBE))), [200]);
  assert.deepEqual(statusesIn(await ask(port, request(port, [`X-A: ${'x'.repeat(8500)}`], PROBE))), [431]);
});

test('replies forbid caching and content sniffing', async (t) => {
  const port = await setUp(t);
  for (const path of ['/livez', '/status', '/metrics', '/none'])
    assert.match(
      await ask(port, request(port, [], `GET ${path} HTTP/1.1`)),
      /\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n/,
    );
});

test('each listener has half of the files that the sidecar leaves over, from 4 to 64 connections', () => {
  const script = `
    import { mostConnections } from './src/http/connections.ts';
    console.log(mostConnections());`;
  const withFiles = (files: number) =>
    Number(
      execFileSync('sh', [
        '-c',
        `ulimit -n ${files} && exec "$0" --input-type=module -e "$1"`,
        process.execPath,
        script,
      ]),
    );
  assert.deepEqual([withFiles(52), withFiles(101), withFiles(1000)], [4, 26, 64]);
});

test('a listener has 64 connections where the number of files has no limit', (t) => {
  const unlimited = 'Max open files            unlimited            unlimited            files     \n';
  const mock = t.mock.method(fs, 'readFileSync', () => unlimited);
  syncBuiltinESMExports();
  const most = mostConnections();
  mock.mock.restore();
  syncBuiltinESMExports();
  assert.equal(most, 64);
});
