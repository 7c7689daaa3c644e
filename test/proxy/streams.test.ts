// Bodies of any size flow through the proxy, at the pace of the slower side; a side that stops or goes away frees its connections.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { test } from 'node:test';
import { ask, closed, openSocket, request, statusesIn } from '../http/raw-socket.ts';
import { until } from '../support/settling.ts';
import { clientSockets, openProxy } from './open-proxy.ts';

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A body of so many MiB, as a web stream that counts what was taken of it. */
function source(mib: number) {
  let taken = 0;
  const stream = new ReadableStream({
    pull(controller) {
      if (taken >= mib * MIB) return controller.close();
      taken += CHUNK.length;
      controller.enqueue(CHUNK);
    },
  });
  return { stream, taken: () => taken };
}

/** Resolves when the count has stopped growing. */
async function untilStill(count: () => number): Promise<void> {
  let [before, times] = [0, 0];
  await until('the flow stands still', () => {
    times = count() === before && before > 0 ? times + 1 : 0;
    before = count();
    return times > 20;
  });
}

async function sizeOf(reply: Response): Promise<number> {
  let size = 0;
  for await (const chunk of reply.body ?? []) size += chunk.length;
  return size;
}

test('streams a large body in both directions', async (t) => {
  const { url } = await openProxy(t, { answer: (asked, response) => void asked.pipe(response) });
  const { stream } = source(40);
  const init = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
  assert.equal(await sizeOf(await fetch(`${url}/v1/sys/storage/raft/snapshot`, init)), 40 * MIB);
});

test('a large body goes to Vault with the length that the client states', async (t) => {
  const { url, received } = await openProxy(t);
  const init = { method: 'PUT', body: Buffer.alloc(MIB) };
  assert.equal((await fetch(`${url}/v1/x`, init)).status, 200);
  const [{ headers } = assert.fail()] = received;
  assert.deepEqual([headers['content-length'], headers['transfer-encoding']], [String(MIB), undefined]);
});

test('takes no more of an answer than the client reads', async (t) => {
  let written = 0;
  const { url } = await openProxy(t, {
    answer: (_request, response) => {
      const write = () => {
        while (written < 100 * MIB) {
          written += CHUNK.length;
          if (!response.write(CHUNK)) return;
        }
        response.end();
      };
      response.on('drain', write);
      write();
    },
  });
  const asked = requestHttp(`${url}/v1/x`).end();
  const [reply] = await once(asked, 'response');
  await untilStill(() => written);
  assert.ok(written < 20 * MIB, `${written} bytes`);
  reply.resume();
  await once(reply, 'end');
  assert.equal(written, 100 * MIB);
});

test('takes no more of a request than Vault reads', async (t) => {
  const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
  const { url } = await openProxy(t, {
    answer: (asked, response) => resolve(() => asked.resume().on('end', () => response.end('{}'))),
  });
  const { stream, taken } = source(100);
  const replying = fetch(`${url}/v1/x`, { method: 'PUT', body: stream, duplex: 'half' } as RequestInit);
  const read = await arrived;
  await untilStill(taken);
  assert.ok(taken() < 20 * MIB, `${taken()} bytes`);
  read();
  assert.equal((await replying).status, 200);
  assert.equal(taken(), 100 * MIB);
});

test('disconnects a client that stops sending, but not one whose body Vault does not read', async (t) => {
  const sockets = clientSockets(t);
  const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
  const { url, port } = await openProxy(t, {
    answer: (asked, response) => resolve(() => asked.resume().on('end', () => response.end('{}'))),
  });
  const { stream, taken } = source(100);
  const replying = fetch(`${url}/v1/x`, { method: 'PUT', body: stream, duplex: 'half' } as RequestInit);
  const read = await arrived;
  await untilStill(taken);
  // as after STALLED_MS
  sockets.at(-1)?.emit('timeout');
  read();
  assert.equal((await replying).status, 200);
  for (const length of [10, 100_000]) {
    const { socket } = openSocket(port);
    socket.write(`${request(port, [`Content-Length: ${length}`], 'PUT /v1/x HTTP/1.1')}x`);
    const before = sockets.length;
    await until('the request has begun', () => sockets.length > before);
    sockets.at(-1)?.emit('timeout');
    await closed(socket);
  }
});

test('passes on the first bytes of an answer at once', async (t) => {
  const { url } = await openProxy(t, {
    answer: (_request, response) => {
      response.write('one');
    },
  });
  const reply = await fetch(`${url}/v1/sys/monitor`);
  const { value } = (await reply.body?.getReader().read()) ?? {};
  assert.equal(Buffer.from(value ?? []).toString(), 'one');
});

test('cuts the answer that Vault breaks off, so that the client notices', async (t) => {
  const { url, counted } = await openProxy(t, {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      setImmediate(() => response.destroy());
    },
  });
  const reply = await fetch(`${url}/v1/x`);
  await assert.rejects(reply.text());
  await until('it is counted as broken off', () => counted.includes('app GET 499'));
});

test('ends the request to Vault when the client goes away, before and within the answer', async (t) => {
  for (const begins of [false, true]) {
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const { port, received } = await openProxy(t, {
      answer: (asked, response) => {
        asked.socket.once('close', () => resolve());
        if (begins) response.write('{');
      },
    });
    const { socket, answer } = openSocket(port);
    socket.write(request(port, [], 'GET /v1/x HTTP/1.1'));
    await until('Vault has the request', () => received.length === 1 && (!begins || answer().includes('{')));
    socket.destroy();
    await gone;
  }
});

test('disconnects a client that pipelines, and answers nothing twice (L10)', async (t) => {
  const { port, received } = await openProxy(t, { answer: () => {} });
  const { socket } = openSocket(port);
  const one = request(port, ['Connection: keep-alive'], 'GET /v1/x HTTP/1.1');
  socket.write(one.repeat(50));
  await closed(socket);
  assert.ok(received.length <= 1);
});

test('clients that do not read cannot lock out others', async (t) => {
  let written = 0;
  const { port, received } = await openProxy(t, {
    most: 10,
    answer: ({ url: path }, response) => {
      if (path === '/v1/ok') return response.end('{}');
      const write = () => {
        written += 1;
        if (response.write(CHUNK)) write();
      };
      return response.on('drain', write) && write();
    },
  });
  const stalled = Array.from({ length: 20 }, () => {
    const { socket } = openSocket(port);
    socket.pause();
    socket.write(request(port, [], 'GET /v1/x HTTP/1.1'));
    return socket;
  });
  t.after(() => {
    for (const socket of stalled) socket.destroy();
  });
  await until('the proxy is full', () => received.length >= 10);
  await untilStill(() => written);
  for (let turn = 0; turn < 20; turn += 1)
    assert.match(await ask(port, request(port, [], 'GET /v1/ok HTTP/1.1')), /^HTTP\/1.1 200 /);
});

test('passes on the answer to a body that Vault does not read to its end', async (t) => {
  const { url, port } = await openProxy(t, {
    answer: (_request, response) => response.writeHead(413).end('{"errors":["request body too large"]}'),
  });
  const { stream } = source(50);
  const reply = await fetch(`${url}/v1/x`, { method: 'PUT', body: stream, duplex: 'half' } as RequestInit);
  assert.equal(reply.status, 413);
  // some clients send all of it before they read the answer, and keep the connection
  const { socket, answer } = openSocket(port);
  const lines = ['Connection: keep-alive', `Content-Length: ${20 * MIB}`];
  socket.write(`${request(port, lines, 'PUT /v1/x HTTP/1.1')}x`);
  await until('the answer', () => answer().includes('too large'));
  socket.write(Buffer.alloc(20 * MIB - 1));
  socket.write(request(port, [], 'GET /v1/x HTTP/1.1'));
  await closed(socket);
  assert.deepEqual(statusesIn(answer()), [413, 413]);
});

test('a full proxy evicts idle clients for a new one', async (t) => {
  const { port, url } = await openProxy(t);
  const idle = Array.from({ length: 1000 }, () => openSocket(port).socket);
  t.after(() => {
    for (const socket of idle) socket.destroy();
  });
  await until('most are evicted', () => idle.filter(({ closed: ended }) => ended).length > 700);
  for (let turn = 0; turn < 20; turn += 1) assert.equal((await fetch(`${url}/v1/x`)).status, 200);
});

test('a stop lets a request in flight end, and refuses new ones', async (t) => {
  const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
  const { url, close } = await openProxy(t, { answer: (_asked, response) => resolve(() => response.end('late')) });
  const replying = fetch(`${url}/v1/x`);
  const answer = await arrived;
  const closing = close();
  await assert.rejects(fetch(`${url}/v1/x`));
  answer();
  assert.equal(await (await replying).text(), 'late');
  await closing;
});
