// The token API as an application uses it, and as an attacker would: over real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeStatus } from '../../src/core/status.ts';
import type { ExchangeView, ServedToken } from '../../src/http/exchange-view.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { until } from '../support/settling.ts';

const STATUS: ExchangeStatus = {
  exchange: 'app',
  phase: 'active',
  authenticated: true,
  ready: true,
  reasons: [],
  started: true,
  jwt: undefined,
  token: undefined,
  failure: undefined,
  sinks: [],
  nextAction: undefined,
};

/** A view whose token the test sets; those who wait are woken by that. */
function fakeView(name = 'app') {
  let token: ServedToken | undefined;
  const waiting = new Set<() => void>();
  const view = {
    name,
    refreshes: 0,
    waiting,
    set(text: string | undefined, generation = 1) {
      const expiry = { expiresAt: Date.UTC(2026, 0, 1), expiresInMs: 3_600_500 };
      token =
        text === undefined
          ? undefined
          : { secret: new Secret(text), accessor: 'acc', generation, renewable: true, ...expiry };
      for (const wake of [...waiting]) wake();
    },
    status: () => ({ ...STATUS, exchange: name }),
    token: () => token,
    changed: (generation: number | undefined, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          resolve();
        };
        if (signal.aborted || token?.generation !== generation) return resolve();
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      }),
    refresh() {
      view.refreshes += 1;
    },
  } satisfies ExchangeView & Record<string, unknown>;
  return view;
}

async function setUp(
  t: TestContext,
  {
    views = [fakeView()],
    callerToken,
  }: { views?: ReturnType<typeof fakeView>[]; callerToken?: () => Promise<string | undefined> } = {},
) {
  let now = 0;
  const app = buildTokenApi({
    exchanges: () => views,
    listen: { host: '127.0.0.1', port: 0 },
    now: () => now,
    callerToken,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => closeApp(app));
  const port = Number(new URL(url).port);
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(url + path, { method, headers: { 'x-vault-request': 'true', ...headers } });
  const [view] = views;
  assert.ok(view);
  return { app, view, get, port, url, later: (ms: number) => (now += ms) };
}

/** Sends bytes and gives back all that comes until the peer closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.end(bytes);
  await once(socket, 'close');
  return answer;
}

const request = (port: number, lines: readonly string[], first = 'GET /v1/token HTTP/1.1'): string =>
  [
    first,
    ...(lines.some((line) => /^host:/i.test(line)) ? [] : [`Host: 127.0.0.1:${port}`]),
    'X-Vault-Request: true',
    'Connection: close',
    ...lines,
    '',
    '',
  ].join('\r\n');

test('the token as JSON, as text, and without itself', async (t) => {
  const { view, get } = await setUp(t);
  view.set('hvs.CAESIexample', 7);
  const json = await get('/v1/token');
  assert.deepEqual(await json.json(), {
    access_token: 'hvs.CAESIexample',
    token_type: 'Bearer',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    expires_in: 3600,
    expires_at: '2026-01-01T00:00:00.000Z',
    accessor: 'acc',
    renewable: true,
    exchange: 'app',
  });
  assert.deepEqual([json.headers.get('etag'), json.headers.get('cache-control')], ['"7"', 'no-store']);
  const text = await get('/v1/token/app', { accept: 'text/plain' });
  assert.equal(await text.text(), 'hvs.CAESIexample');
  const metadata = await (await get('/v1/token/app/metadata')).text();
  assert.ok(metadata.includes('"accessor":"acc"') && !metadata.includes('CAESI'));
});

test('G12: before the first token and after the last: 503 with a reason and Retry-After', async (t) => {
  const { get } = await setUp(t);
  const answer = await get('/v1/token');
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '5']);
  assert.deepEqual(await answer.json(), {
    error: 'temporarily_unavailable',
    error_description: 'there is no Vault token yet',
  });
});

test('several exchanges: by name, 409 without one, 404 for another', async (t) => {
  const views = [fakeView('a'), fakeView('b')];
  views[1]?.set('hvs.CAESI-of-b');
  const { get } = await setUp(t, { views });
  assert.equal((await get('/v1/token')).status, 409);
  assert.equal((await get('/v1/token/c')).status, 404);
  assert.equal(await (await get('/v1/token/b', { accept: 'text/plain' })).text(), 'hvs.CAESI-of-b');
});

test('the long poll answers at the change, with the current token at the timeout, and at once when it missed one', async (t) => {
  const { view, get } = await setUp(t);
  view.set('hvs.first-token', 1);
  const polls = Array.from({ length: 20 }, () => get('/v1/token?wait_for_change=true&last_etag=1&timeout_sec=60'));
  await until('all wait', () => view.waiting.size === 20);
  view.set('hvs.second-token', 2);
  for (const poll of polls) assert.equal((await poll).headers.get('etag'), '"2"');
  assert.equal((await get('/v1/token?wait_for_change=true&last_etag="1"')).status, 200);
  const atTimeout = await get('/v1/token?wait_for_change=true&last_etag=2&timeout_sec=1');
  assert.equal(((await atTimeout.json()) as { access_token: string }).access_token, 'hvs.second-token');
  for (const bad of ['last_etag=x', 'timeout_sec=0', 'timeout_sec=301', 'wait_for_change=yes']) {
    assert.equal((await get(`/v1/token?${bad}`)).status, 400, bad);
  }
});

test('G11: a waiting client that goes away leaves nothing behind; a close ends the waiting', async (t) => {
  const { app, view, get, url } = await setUp(t);
  view.set('hvs.first-token', 1);
  const gone = new AbortController();
  const poll = fetch(`${url}/v1/token?wait_for_change=true`, {
    headers: { 'x-vault-request': 'true' },
    signal: gone.signal,
  });
  await until('it waits', () => view.waiting.size === 1);
  gone.abort();
  await assert.rejects(poll);
  await until('it is forgotten', () => view.waiting.size === 0);
  const second = get('/v1/token?wait_for_change=true');
  await until('the second waits', () => view.waiting.size === 1);
  const startedAt = performance.now();
  await closeApp(app);
  assert.equal((await second).status, 200);
  assert.ok(performance.now() - startedAt < 2500);
});

test('G13: a refresh once in ten seconds, however many ask', async (t) => {
  const { view, get, later } = await setUp(t);
  const answers = await Promise.all(Array.from({ length: 20 }, () => get('/v1/token/app/refresh', {}, 'POST')));
  assert.equal(answers.filter(({ status }) => status === 202).length, 1);
  assert.equal(answers.find(({ status }) => status === 429)?.headers.get('retry-after'), '10');
  later(10_000);
  assert.equal((await get('/v1/token/app/refresh', {}, 'POST')).status, 202);
  assert.equal(view.refreshes, 2);
});

const ATTACKS: readonly (readonly [string, RegExp, (port: number) => string])[] = [
  ['G1: a foreign Host', /^HTTP\/1.1 403/, (port) => request(port, ['Host: evil.example'])],
  ['G1: the right name and a wrong port', /^HTTP\/1.1 403/, (port) => request(port, ['Host: localhost:1'])],
  ['G1: no Host', /^HTTP\/1.1 400/, () => 'GET /v1/token HTTP/1.1\r\nX-Vault-Request: true\r\n\r\n'],
  ['G1: two Hosts', /^HTTP\/1.1 40[03]/, (port) => request(port, [`Host: 127.0.0.1:${port}`, 'Host: evil.example'])],
  [
    'G1: an absolute target',
    /^HTTP\/1.1 40\d/,
    (port) => request(port, [], `GET http://127.0.0.1:${port}/v1/token HTTP/1.1`),
  ],
  ['G3: an Origin', /^HTTP\/1.1 403/, (port) => request(port, ['Origin: null'])],
  ['G3: a cross-site fetch', /^HTTP\/1.1 403/, (port) => request(port, ['Sec-Fetch-Site: cross-site'])],
  [
    'G3: a preflight',
    /^HTTP\/1.1 403/,
    (port) => request(port, ['Access-Control-Request-Method: GET'], 'OPTIONS /v1/token HTTP/1.1'),
  ],
  ['G4: X-Forwarded-For', /^HTTP\/1.1 403/, (port) => request(port, ['X-Forwarded-For: 10.0.0.1'])],
  ['G4: Forwarded', /^HTTP\/1.1 403/, (port) => request(port, ['Forwarded: for=10.0.0.1'])],
  ['G4: Via', /^HTTP\/1.1 403/, (port) => request(port, ['Via: 1.1 proxy'])],
  [
    'G5: a POST with a form',
    /^HTTP\/1.1 40[045]/,
    (port) => `${request(port, ['Content-Type: text/plain', 'Content-Length: 3'], 'POST /v1/token HTTP/1.1')}a=b`,
  ],
  ['G5: a GET with a body', /^HTTP\/1.1 400/, (port) => `${request(port, ['Content-Length: 3'])}abc`],
  ['G8: both lengths', /^HTTP\/1.1 400/, (port) => request(port, ['Content-Length: 3', 'Transfer-Encoding: chunked'])],
  ['G8: a folded header', /^HTTP\/1.1 400/, (port) => request(port, ['X-A: b', ' folded'])],
  ['G8: HTTP/1.0', /^HTTP\/1.1 400/, (port) => request(port, [], 'GET /v1/token HTTP/1.0')],
  ['G8: an HTTP/2 preface', /^HTTP\/1.1 400/, () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['G9: a header of 20 kB', /^HTTP\/1.1 431/, (port) => request(port, [`X-A: ${'a'.repeat(20_000)}`])],
  ['HEAD', /^HTTP\/1.1 404/, (port) => request(port, [], 'HEAD /v1/token HTTP/1.1')],
  ['a route that is none', /^HTTP\/1.1 404/, (port) => request(port, [], 'GET /v1/secret-path HTTP/1.1')],
];

for (const [name, expected, bytes] of ATTACKS) {
  test(name, async (t) => {
    const { port, view } = await setUp(t);
    view.set('hvs.CAESIexample');
    const answer = await raw(port, bytes(port));
    assert.match(answer, expected);
    assert.ok(!answer.includes('CAESI') && !answer.includes('secret-path') && !/access-control/i.test(answer), answer);
    assert.ok(answer.length < 1000);
  });
}

test('G2: without the header that only a program sends: 412, no token', async (t) => {
  const { view, url } = await setUp(t);
  view.set('hvs.CAESIexample');
  const answer = await fetch(`${url}/v1/token`);
  assert.equal(answer.status, 412);
  assert.ok(!(await answer.text()).includes('CAESI'));
});

test('G10: with a caller token only those who know it get in, and nobody while it cannot be read', async (t) => {
  let secret: string | undefined = 'correct horse';
  const { view, get } = await setUp(t, { callerToken: async () => secret });
  view.set('hvs.CAESIexample');
  for (const shown of [undefined, 'Bearer wrong', 'Bearer ', 'Basic correct horse', `Bearer ${'x'.repeat(5000)}`]) {
    assert.equal((await get('/v1/token', shown === undefined ? {} : { authorization: shown })).status, 401);
  }
  assert.equal((await get('/v1/token', { authorization: 'Bearer correct horse' })).status, 200);
  secret = undefined;
  assert.equal((await get('/v1/token', { authorization: 'Bearer correct horse' })).status, 401);
});

test('G7: more than the rate allows is told to slow down', async (t) => {
  const { view, get } = await setUp(t);
  view.set('hvs.CAESIexample');
  const answers = [];
  for (let batch = 0; batch < 6; batch++)
    answers.push(...(await Promise.all(Array.from({ length: 25 }, () => get('/v1/token')))));
  assert.equal(answers.filter(({ status }) => status === 429).length, 50);
  assert.equal(answers.at(-1)?.headers.get('retry-after'), '1');
});

test('G6: clients that drip are cut off, and others are served meanwhile', async (t) => {
  const { view, get, port } = await setUp(t);
  view.set('hvs.CAESIexample');
  const startedAt = performance.now();
  const slow = Array.from({ length: 40 }, () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.write('GET /v1/token HTTP/1.1\r\nX-A: ');
    socket.resume();
    return once(socket, 'close');
  });
  assert.equal((await get('/v1/token')).status, 200);
  await Promise.all(slow);
  assert.ok(performance.now() - startedAt < 5000);
});
