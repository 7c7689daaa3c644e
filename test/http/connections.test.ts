// The connection limit of a listener under attack: clients that pipeline, don't read, wait or reconnect quickly. Other
// clients and probes are still served. test/faults/endpoint.fault.ts runs the long attack on the program.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createLimitedServer } from '../../src/http/connections.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildOpsApi, type OpsApiOptions } from '../../src/http/ops-api.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { BARE_OPS } from './bare-ops.ts';
import { fakeView } from './fake-view.ts';
import { openSwarm, pipelined } from './pipelining.ts';
import { ask, closed, openSocket, portOf, request, statusesIn } from './raw-socket.ts';

const TOKEN = 'hvs.CAESIexample';
const LISTEN = { host: '127.0.0.1', port: 0 };
/** A client that is locked out waits for longer; attackers share this process, so exact bounds are for the slow suite. */
const MOST_MS = 5000;
/** Time stands still, so a rate that an attack uses up stays used up. */
const now = () => 0;

async function openApi(t: TestContext, view = fakeView()) {
  view.set(TOKEN);
  const app = buildTokenApi({ exchanges: () => [view], listen: LISTEN, now });
  t.after(() => closeApp(app));
  return { app, view, port: portOf(await app.listen(LISTEN)) };
}

async function openOps(t: TestContext, over: Partial<OpsApiOptions> = {}) {
  const app = buildOpsApi({ ...BARE_OPS, now, ...over });
  t.after(() => closeApp(app));
  return { app, port: portOf(await app.listen(LISTEN)) };
}

const probe = (port: number) => request(port, [], 'GET /livez HTTP/1.1');
const poll = (port: number) => request(port, [], 'GET /v1/token?wait_for_change=true&timeout_sec=60 HTTP/1.1');

/** Asks, and says how long the answer took. */
async function timed(port: number, bytes: string) {
  const startedAt = performance.now();
  const answer = await ask(port, bytes);
  return { answer, tookMs: performance.now() - startedAt };
}

for (const [name, open, good, path] of [
  ['the token API', openApi, request, '/v1/token'],
  ['the ops API', openOps, probe, '/metrics'],
] as const) {
  test(`${name}: 64 clients that pipeline and never read don't delay other clients (K4)`, async (t) => {
    const { port } = await open(t);
    const swarm = openSwarm(64, { port, bytes: pipelined(port, 99, path) });
    t.after(swarm.end);
    await until('the attack runs', () => swarm.connections() > 128);
    const results = [];
    for (let client = 0; client < 10; client += 1) results.push(await timed(port, good(port)));
    assert.deepEqual(
      results.map(({ answer }) => statusesIn(answer)[0]),
      results.map(() => 200),
    );
    assert.ok(results.every(({ tookMs }) => tookMs < MOST_MS));
    assert.equal(swarm.answered(), 0, 'a client that pipelines gets no answer');
  });
}

test('closes clients that pipeline requests which Node itself refuses (K4)', async (t) => {
  const { port } = await openApi(t);
  const { socket, answer } = openSocket(port);
  socket.write(request(port, ['Connection: keep-alive', 'Expect: nothing']).repeat(20));
  await closed(socket);
  assert.ok(statusesIn(answer()).length <= 1);
  assert.deepEqual(statusesIn(await ask(port, request(port, ['Connection: keep-alive', 'Expect: nothing']))), [417]);
});

test('of requests that are pipelined, only the first one is handled (K4)', async (t) => {
  let handled = 0;
  const { server } = createLimitedServer({ most: 4 }, () => {
    handled += 1;
  });
  const port = await listen(t, server);
  const { socket } = openSocket(port);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  await closed(socket);
  assert.equal(handled, 1);
});

test('parses next to nothing of requests that are pipelined in one chunk (K4)', async (t) => {
  const { app, port } = await openApi(t);
  let parsed = 0;
  app.server.on('request', () => {
    parsed += 1;
  });
  const { socket } = openSocket(port);
  socket.write('GET / HTTP/1.1\r\nHost:a\r\n\r\n'.repeat(2000));
  await closed(socket);
  assert.ok(parsed >= 2 && parsed < 50, `${parsed} requests`);
});

test("sequential requests on one connection don't count as pipelining", async (t) => {
  const { port } = await openApi(t);
  const { socket, answer } = openSocket(port);
  for (let count = 1; count <= 50; count += 1) {
    socket.write(request(port, ['Connection: keep-alive']));
    await until('an answer', () => statusesIn(answer()).length === count && answer().endsWith('}'));
  }
  socket.destroy();
});

/** Asks for /metrics and reads nothing of it. */
function openDeaf(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1').pause();
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.write(request(port, ['Connection: keep-alive'], 'GET /metrics HTTP/1.1'));
  return socket;
}

const large = async () => ({ contentType: 'text/plain', body: 'x'.repeat(8_000_000) });

test("closes clients that don't read a large response after two seconds, and serves probes meanwhile (K4)", async (t) => {
  const { app, port } = await openOps(t, { metrics: large });
  const unreadForMs: number[] = [];
  let asked = 0;
  app.server.on('request', ({ socket, url }) => {
    if (url !== '/metrics') return;
    asked += 1;
    const from = performance.now();
    socket.once('close', () => unreadForMs.push(performance.now() - from));
  });
  for (let client = 0; client < 20; client += 1) openDeaf(t, port);
  await until('all have asked', () => asked === 20);
  const { answer, tookMs } = await timed(port, probe(port));
  assert.ok(statusesIn(answer)[0] === 200 && tookMs < MOST_MS, `${tookMs} ms`);
  await until('they are cut', () => unreadForMs.length === 20);
  assert.ok(Math.min(...unreadForMs) > 1500 && Math.max(...unreadForMs) < 5000, `${unreadForMs}`);
});

test('a client that reads a large response slowly gets all of it (K4)', async (t) => {
  const { port } = await openOps(t, { metrics: large });
  const socket = openDeaf(t, port);
  let read = 0;
  const reading = setInterval(() => {
    const chunk: Buffer | null = socket.read(400_000) ?? socket.read();
    read += chunk?.length ?? 0;
  }, 100);
  t.after(() => clearInterval(reading));
  await until('all of it', () => read > 8_000_000, 20_000);
});

test('long polls beyond the limit get 503 with Retry-After, never a reset, and others go on (K5)', async (t) => {
  const { view, port } = await openApi(t);
  const polls = Array.from({ length: 64 }, () => openSocket(port));
  t.after(() => polls.forEach(({ socket }) => void socket.destroy()));
  for (const { socket } of polls) socket.write(poll(port));
  const refused = () => polls.filter(({ answer }) => answer() !== '');
  await until('half of them wait', () => view.waiting.size === 32 && refused().length === 32);
  for (const { answer } of refused()) assert.match(answer(), /^HTTP\/1\.1 503 .*\r\nretry-after: 5\r\n.*\}$/s);
  assert.ok((await ask(port, request(port))).includes(TOKEN));
  assert.deepEqual(statusesIn(await ask(port, poll(port))), [503]);
  assert.equal(view.waiting.size, 32, 'those that wait go on');
  polls.find(({ answer }) => answer() === '')?.socket.destroy();
  await until('a place is free', () => view.waiting.size === 31);
  const late = openSocket(port);
  late.socket.write(poll(port));
  await until('it is taken', () => view.waiting.size === 32);
  view.set('hvs.CAESIsecond', 2);
  await until('the answer', () => late.answer().includes('hvs.CAESIsecond'));
});

test('slow scrapes leave connections for probes (K5)', async (t) => {
  const { port } = await openOps(t, { metrics: () => new Promise(() => {}) });
  const scrapes = Array.from({ length: 64 }, () => openSocket(port));
  t.after(() => scrapes.forEach(({ socket }) => void socket.destroy()));
  for (const { socket } of scrapes) socket.write(request(port, [], 'GET /metrics HTTP/1.1'));
  const refused = () => scrapes.filter(({ answer }) => answer().startsWith('HTTP/1.1 503 '));
  await until('half of them are refused', () => refused().length === 32);
  for (let count = 0; count < 100; count += 1) {
    const { answer, tookMs } = await timed(port, probe(port));
    assert.ok(statusesIn(answer)[0] === 200 && tookMs < MOST_MS);
  }
});

test("clients that reconnect quickly don't abort requests in flight (K4, K5)", async (t) => {
  const { view, port } = await openApi(t);
  const { socket, answer } = openSocket(port);
  socket.write(poll(port));
  await until('it waits', () => view.waiting.size === 1);
  const swarm = openSwarm(300, { port, bytes: 'GET /v1/token HTTP/1.1\r\nX-A: ' });
  t.after(swarm.end);
  await until('the attack runs', () => swarm.connections() > 1280);
  for (let client = 0; client < 20; client += 1) assert.ok((await ask(port, request(port))).includes(TOKEN));
  view.set('hvs.CAESIsecond', 2);
  await until('the poll is answered', () => answer().includes('hvs.CAESIsecond'));
});

test('a refusal closes the connection, a good reply keeps it open (G7)', async (t) => {
  const { port } = await openApi(t);
  const alive = ['Connection: keep-alive'];
  for (const [lines, first] of [
    [['Origin: null'], undefined],
    [['X-Vault-Request: no'], undefined],
    [[], 'GET /v1/nothing HTTP/1.1'],
    [[], 'GET /v1/token?timeout_sec=0 HTTP/1.1'],
  ] as const) {
    const { socket, answer } = openSocket(port);
    socket.write(request(port, [...alive, ...lines], first));
    await closed(socket);
    assert.match(answer(), /^HTTP\/1\.1 4.*\r\nconnection: close\r\n/s);
  }
  const { socket, answer } = openSocket(port);
  socket.write(request(port, alive));
  await until('an answer', () => answer().includes(TOKEN));
  assert.match(answer(), /\r\nConnection: keep-alive\r\n/);
  socket.write(request(port, alive));
  await until('another one', () => statusesIn(answer()).length === 2);
  socket.destroy();
});

test('evicts the connection that has been idle for longest, not the new one', async (t) => {
  const { app, port } = await openApi(t);
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => void socket.destroy()));
  const add = async () => {
    const { socket } = openSocket(port);
    sockets.push(socket);
    await once(app.server, 'connection');
  };
  for (let count = 0; count < 64; count += 1) await add();
  sockets[0]?.write(request(port, ['Connection: keep-alive']));
  await until('the oldest one is answered', () => (sockets[0]?.bytesRead ?? 0) > 0);
  assert.ok(sockets.every((socket) => !socket.closed));
  await add();
  await until('one is cut', () => sockets.some((socket) => socket.closed));
  assert.deepEqual(
    sockets.map((socket) => socket.closed),
    sockets.map((_socket, index) => index === 1),
  );
});

test('evicts a client that leaves the end of its response unread', async (t) => {
  const { server } = createLimitedServer({ most: 2 }, (asked, response) => {
    response.end(asked.url === '/large' ? Buffer.alloc(20 * 1024 * 1024) : '{}');
  });
  const port = await listen(t, server);
  const stuck = [openSocket(port).socket, openSocket(port).socket];
  t.after(() => stuck.forEach((socket) => void socket.destroy()));
  for (const socket of stuck) {
    socket.pause().write(request(port, [], 'GET /large HTTP/1.1'));
    await once(server, 'request');
  }
  for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(statusesIn(await ask(port, request(port))), [200]);
});

test('closing the listener aborts requests in flight after two seconds, and idle connections at once', async (t) => {
  const { app, port } = await openApi(t, { ...fakeView(), changed: () => new Promise(() => {}) });
  const silent = openSocket(port);
  const alive = openSocket(port);
  await once(silent.socket, 'connect');
  silent.socket.write('GET /v1/token HTTP/1.1\r\nX-A: ');
  alive.socket.write(request(port, ['Connection: keep-alive']));
  await until('an answer', () => alive.answer() !== '');
  let startedAt = performance.now();
  await closeApp(app);
  assert.ok(performance.now() - startedAt < 500, 'nobody waits for an answer');
  const stuck = await openApi(t, { ...fakeView(), changed: () => new Promise(() => {}) });
  openSocket(stuck.port).socket.write(poll(stuck.port));
  await once(stuck.app.server, 'request');
  startedAt = performance.now();
  await closeApp(stuck.app);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs > 1800 && tookMs < 3000, `${tookMs} ms`);
});
