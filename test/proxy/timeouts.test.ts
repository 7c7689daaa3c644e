// How long a client, Vault and a stop may take.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fastTimers from 'undici/lib/util/timers.js';
import { closed, openSocket, request } from '../http/raw-socket.ts';
import { until } from '../support/settling.ts';
import { clientSockets, errorsIn, openProxy } from './open-proxy.ts';

const MINUTE = 60_000;
const CHUNK = Buffer.alloc(256 * 1024, 'x');

const turn = () => new Promise(setImmediate);

/** Keeps a client from taking anything; the returned function ends that. */
function stall(client: Socket): () => void {
  const { _write, _writev } = client;
  const pending: (() => void)[] = [];
  client._write = (_chunk, _encoding, done) => void pending.push(done);
  client._writev = (_chunks, done) => void pending.push(done);
  return () => {
    Object.assign(client, { _write, _writev });
    for (const done of pending) done();
  };
}

/** Lets time pass for undici's timers. */
function pass(ms: number): void {
  // a new timer begins at a tick
  fastTimers.tick();
  fastTimers.tick(ms);
}

test('Vault has five minutes to begin an answer, and to continue it', async (t) => {
  const responses: ServerResponse[] = [];
  const { url } = await openProxy(t, { answer: (_request, response) => void responses.push(response) });
  let isAnswered = false;
  const asked = fetch(`${url}/v1/x`).finally(() => {
    isAnswered = true;
  });
  await until('Vault has the request', () => responses.length === 1);
  pass(5 * MINUTE - 4000);
  await turn();
  assert.equal(isAnswered, false);
  pass(6000);
  const late = await asked;
  assert.equal(late.status, 504);
  assert.match(await errorsIn(late), /Vault didn't answer in time/);
  const begun = fetch(`${url}/v1/x`);
  await until('Vault has the request', () => responses.length === 2);
  responses[1]?.write('{');
  const reply = await begun;
  pass(5 * MINUTE + 2000);
  await assert.rejects(reply.text());
});

test('disconnects a client that takes nothing of an answer for 30 seconds, also if Vault has ended it', async (t) => {
  const sockets = clientSockets(t);
  for (const isWhole of [false, true]) {
    const { promise: arrived, resolve } = Promise.withResolvers<ServerResponse>();
    const { port } = await openProxy(t, { answer: (_request, response) => resolve(response) });
    const { socket } = openSocket(port);
    socket.write(request(port, ['Connection: keep-alive'], 'GET /v1/x HTTP/1.1'));
    const response = await arrived;
    const client = sockets.at(-1) ?? assert.fail();
    const goOn = stall(client);
    response.write(CHUNK);
    await until('the answer stalls', () => client.timeout === 30_000);
    goOn();
    await until('it goes on', () => client.timeout === 0);
    stall(client);
    if (isWhole) response.end('the end');
    else response.write(CHUNK);
    await until('it stalls again', () => client.timeout === 30_000);
    client.emit('timeout');
    await closed(socket);
  }
});

test('disconnects a client that sends nothing of its body for 30 seconds, but lets it wait for Vault', async (t) => {
  const sockets = clientSockets(t);
  const { port, received } = await openProxy(t, { answer: (asked) => void asked.resume() });
  for (const length of [10, 100_000]) {
    const { socket } = openSocket(port);
    socket.write(`${request(port, [`Content-Length: ${length}`], 'PUT /v1/x HTTP/1.1')}x`);
    await until('it is waited for', () => sockets.at(-1)?.timeout === 30_000);
    const before = received.length;
    socket.write('x'.repeat(length - 1));
    await until('all of it has arrived', () => sockets.at(-1)?.timeout === 0);
    await until('Vault has the request', () => received.length > before || length > 10);
    socket.destroy();
    await closed(socket);
  }
});

test('a stop ends with its last request, and cuts one that takes longer than 1.2 seconds', async (t) => {
  const responses: ServerResponse[] = [];
  for (const isInTime of [true, false]) {
    const { port, close } = await openProxy(t, { answer: (_request, response) => void responses.push(response) });
    const { socket } = openSocket(port);
    socket.write(request(port, ['Connection: keep-alive'], 'GET /v1/x HTTP/1.1'));
    const response = await until('Vault has the request', () => responses.pop());
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const closing = close();
    await turn();
    if (isInTime) {
      response.end('{}');
    } else {
      t.mock.timers.tick(1199);
      await turn();
      assert.equal(socket.closed, false);
      t.mock.timers.tick(1);
    }
    await closing;
    await closed(socket);
    t.mock.timers.reset();
  }
});
