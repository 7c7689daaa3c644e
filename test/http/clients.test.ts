// Misbehaving clients of a real daemon: too many connections or requests, wrong caller tokens, early disconnects.
// test/faults/endpoint.fault.ts runs the large floods.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError } from '../../src/core/errors.ts';
import { until } from '../support/settling.ts';
import { openPeers, type Peers, runDaemon } from '../support/sidecar.ts';
import { ask, askInTurn, closed, openSocket, portOf, request, statusesIn, without } from './raw-socket.ts';

const tokenIn = ({ directory }: Peers) => readFile(join(directory, 'token'), 'utf8').catch(() => undefined);
const troubles = (log: readonly string[]) => log.filter((line) => /"level":"(warn|error|fatal)"/.test(line));

async function setUp(t: TestContext, over: Record<string, unknown> = {}) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const running = await runDaemon(t, { ...peers.config(), ...over });
  const token = await until('a token', () => tokenIn(peers));
  return { ...peers, ...running, token, port: portOf(running.daemon.api), ops: portOf(running.daemon.ops) };
}

test("three hundred clients that send nothing or half a request don't lock others out (G6)", async (t) => {
  const { port, ops, token } = await setUp(t);
  for (const [listener, good, answer] of [
    [port, request(port), token],
    [ops, request(ops, [], 'GET /readyz HTTP/1.1'), '{"ready":true'],
  ] as const) {
    const slow = Array.from({ length: 300 }, () => openSocket(listener));
    for (const { socket } of slow.slice(150)) socket.write('GET /v1/token HTTP/1.1\r\nX-A: ');
    for (let client = 0; client < 5; client += 1) assert.ok((await ask(listener, good)).includes(answer));
    for (const { socket } of slow) socket.destroy();
  }
});

test("refused requests don't use up the rate limit of good ones (G7)", async (t) => {
  const { port, token } = await setUp(t);
  const fromAPage = without(request(port, ['Origin: null']), 'x-vault-request');
  for (let batch = 0; batch < 8; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(port, fromAPage)));
    assert.deepEqual([...new Set(answers.flatMap(statusesIn))], [403]);
  }
  assert.ok((await ask(port, request(port))).includes(token));
});

test('a flood of requests beyond the rate limit gets 429 (G7)', async (t) => {
  const { port } = await setUp(t);
  const again = request(port, ['Connection: keep-alive']);
  const answers = await Promise.all(Array.from({ length: 20 }, () => askInTurn(port, again, 99)));
  const statuses = answers.flatMap(statusesIn);
  const served = statuses.filter((status) => status === 200).length;
  assert.deepEqual(
    [statuses.length - served, [...new Set(statuses)].sort()],
    [20, [200, 429]],
    'which ends a connection',
  );
  assert.ok(served >= 100 && served < 400, `${served} were served`);
});

test('a daemon with a caller token answers 401 to a missing, wrong, short or long one (G10)', async (t) => {
  const { port, token, ...world } = await setUp(t);
  const file = join(world.directory, 'caller');
  await writeFile(file, 'correct-horse\n');
  const guarded = await runDaemon(t, {
    ...world.config({ sinks: [] }),
    api: { listen: '127.0.0.1:0', caller_token_file: file },
  });
  const guardedPort = portOf(guarded.daemon.api);
  const show = async (...shown: string[]) =>
    ask(
      guardedPort,
      request(
        guardedPort,
        shown.map((one) => `Authorization: ${one}`),
      ),
    );
  await until('a token', async () => (await show('Bearer correct-horse')).includes('"access_token":"hvs.'));
  // the scheme's case doesn't matter (RFC 9110, section 11.1)
  assert.match(await show('bearer correct-horse'), /"access_token":"hvs\./);
  for (const shown of [
    '',
    'correct-horse',
    'Bearer',
    'Bearer correct-hors',
    'Bearer correct-horsf',
    'Basic correct-horse',
  ])
    assert.match(await show(shown), /^HTTP\/1\.1 401 .*\bwww-authenticate: Bearer\r\n.*invalid_token/s);
  for (const shown of [`Bearer correct-horse${'x'.repeat(5000)}`, `Bearer ${token}`, 'Bearer correct-horse, Bearer x'])
    assert.match(await show(shown), /^HTTP\/1\.1 401 /);
  assert.match(await show('Bearer x', 'Bearer correct-horse'), /^HTTP\/1\.1 401 /);
  await writeFile(file, '');
  assert.match(await show('Bearer '), /^HTTP\/1\.1 401 /, 'an empty file lets nobody in');
});

test('clients that reset during a request, a reply or a long poll cause no warning and leave nothing open (G11)', async (t) => {
  const { port, ops, log, token } = await setUp(t);
  const poll = request(port, [], 'GET /v1/token?wait_for_change=true HTTP/1.1');
  const metrics = request(ops, ['Connection: keep-alive'], 'GET /metrics HTTP/1.1');
  for (const [listener, bytes] of [
    [port, request(port)],
    [port, request(port).slice(0, 30)],
    [port, poll],
    [ops, metrics],
  ] as const) {
    const gone = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { socket, answer } = openSocket(listener);
        await new Promise((sent) => socket.write(bytes, sent));
        if (listener === ops) await until('a reply begins', () => answer().length > 0 || socket.destroyed);
        return socket.resetAndDestroy();
      }),
    );
    await Promise.all(gone.map(closed));
  }
  assert.ok((await ask(port, request(port))).includes(token));
  assert.deepEqual(troubles(log), []);
});

test('a long poll after another request on one connection keeps waiting when other clients connect', async (t) => {
  const { port, token } = await setUp(t);
  const alive = ['Connection: keep-alive'];
  const { socket, answer } = openSocket(port);
  const poll = request(port, alive, 'GET /v1/token?wait_for_change=true&timeout_sec=2 HTTP/1.1');
  socket.write(request(port, alive));
  await until('the first answer', () => answer().includes(token) && answer().endsWith('}'));
  socket.write(poll);
  const silent = Array.from({ length: 70 }, () => openSocket(port).socket);
  t.after(() => silent.map((one) => one.destroy()));
  await until('both answers', () => statusesIn(answer()).length === 2);
  assert.deepEqual(statusesIn(answer()), [200, 200]);
  socket.destroy();
});

test('accepts a refresh with a Content-Type and no body', async (t) => {
  const { port } = await setUp(t);
  const bytes = request(port, ['Content-Type: application/json'], 'POST /v1/token/app/refresh HTTP/1.1');
  assert.deepEqual(statusesIn(await ask(port, bytes)), [202]);
});

test('after the token expires, answers 503 with a reason and Retry-After instead of the token (G12)', async (t) => {
  const peers = await openPeers(t);
  peers.vault.trust({ issuer: peers.issuer.issuer, role: 'app', settings: { token_ttl: 1 } });
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, peers.config());
  const port = portOf(daemon.api);
  const token = await until('a token', () => tokenIn(peers));
  peers.vault.setSealed(true);
  await until('it has expired', () => daemon.exchanges.views()[0]?.token() === undefined);
  const answer = await ask(port, request(port));
  assert.match(answer, /^HTTP\/1\.1 503 .*\bretry-after: 5\r\n/s);
  assert.match(answer, /"error_description":"(the Vault token has expired|Vault is sealed)"/);
  const metadata = await ask(port, request(port, [], 'GET /v1/token/app/metadata HTTP/1.1'));
  for (const text of [answer, metadata]) assert.ok(!text.includes(token) && statusesIn(text)[0] === 503);
});

test('accepts one of a hundred simultaneous refreshes, on a hundred connections (G13)', async (t) => {
  const { port, log } = await setUp(t);
  const clients = Array.from({ length: 100 }, () => openSocket(port));
  await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
  for (const { socket } of clients) socket.write(request(port, [], 'POST /v1/token/app/refresh HTTP/1.1'));
  await Promise.all(clients.map(({ socket }) => closed(socket)));
  const statuses = clients.flatMap(({ answer }) => statusesIn(answer()));
  assert.equal(statuses.filter((status) => status === 202).length, 1);
  assert.equal(statuses.filter((status) => status === 429).length, 99);
  assert.deepEqual(troubles(log), []);
});

test('a second instance on the same ports fails, and the first one keeps serving (G15)', async (t) => {
  const { port, ops, token, daemon, stop, ...peers } = await setUp(t);
  const addresses = { api: { listen: `127.0.0.1:${port}` }, ops: { listen: `127.0.0.1:${ops}` } };
  const second = { ...peers.config({ sinks: [] }), ...addresses };
  const refused = (error: unknown) => error instanceof ExchangeError && error.failure.code === 'listen_failed';
  await assert.rejects(runDaemon(t, second), refused);
  assert.ok((await ask(port, request(port))).includes(token));
  // connections in TIME_WAIT don't block the next start
  await stop();
  const next = await runDaemon(t, second);
  assert.equal(next.daemon.api, daemon.api);
});
