// What the API proxy sends to Vault, and what it answers by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, request } from '../http/raw-socket.ts';
import { until } from '../support/settling.ts';
import { errorsIn, openProxy, TOKEN } from './open-proxy.ts';

/** Vault's answer to a renewal, without the id of the request. */
const RENEWED = {
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
  warnings: ['vault-token-sidecar renews this token itself: the lease is what is left of it'],
  auth: {
    client_token: TOKEN,
    accessor: 'acc',
    policies: ['app'],
    token_policies: ['app'],
    metadata: null,
    lease_duration: 3600,
    renewable: true,
    entity_id: '',
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  },
};

const json = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) });

test('passes a request on with the token, and the answer back as it is', async (t) => {
  const { url, received, counted, durationsMs } = await openProxy(t, {
    answer: (_request, response) =>
      response.writeHead(418, { 'x-vault-index': 'abc', 'retry-after': '7' }).end('{"errors":["teapot"]}'),
  });
  const before = performance.now();
  const reply = await fetch(`${url}/v1/secret/data/app?version=2`, { headers: { 'X-Vault-Wrap-TTL': '60s' } });
  assert.deepEqual([reply.status, await reply.text()], [418, '{"errors":["teapot"]}']);
  assert.deepEqual([reply.headers.get('x-vault-index'), reply.headers.get('retry-after')], ['abc', '7']);
  const [{ method, url: path, headers } = assert.fail()] = received;
  assert.deepEqual([method, path], ['GET', '/v1/secret/data/app?version=2']);
  assert.deepEqual([headers['x-vault-token'], headers['x-vault-wrap-ttl']], [TOKEN, '60s']);
  assert.match(String(headers['x-correlation-id']), /^00000000-\d+$/);
  await until('it is counted', () => counted.includes('app GET 418'));
  const [durationMs = -1] = durationsMs;
  assert.ok(durationMs >= 0 && durationMs <= performance.now() - before, `${durationMs} ms`);
});

test('passes on every method of Vault, LIST too', async (t) => {
  const { port, received } = await openProxy(t);
  const methods = ['LIST', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'LIST'];
  for (const method of methods) await ask(port, request(port, [], `${method} /v1/secret/metadata/ HTTP/1.1`));
  assert.deepEqual(
    received.map((one) => one.method),
    methods,
  );
  for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'COPY'])
    assert.match(await ask(port, request(port, [], `${method} /v1/x HTTP/1.1`)), /^HTTP\/1\.1 40[35] /);
  assert.equal(received.length, methods.length);
});

test("drops what belongs to the client's connection, its cookies and its credentials", async (t) => {
  const { port, received } = await openProxy(t);
  const lines = [
    'Connection: close, X-Private',
    'X-Private: 1',
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'Proxy-Authorization: Basic eA==',
    'Cookie: a=b',
    'Authorization: Bearer mine',
    'X-Vault-Token: hvs.mine',
    'X-Vault-Token: hvs.mine-too',
    'X-Vault-Namespace: team',
    'X-Correlation-Id: mine',
    'X-Kept: 1',
  ];
  await ask(port, request(port, lines, 'GET /v1/x HTTP/1.1'));
  const { host, ...headers } = received[0]?.headers ?? {};
  assert.deepEqual(
    { ...headers },
    {
      connection: 'keep-alive',
      'x-vault-request': 'true',
      'x-correlation-id': 'mine',
      'x-vault-namespace': 'team',
      'x-kept': '1',
      'x-vault-token': TOKEN,
    },
  );
  assert.match(String(host), /^127\.0\.0\.1:\d+$/);
});

test("sends the exchange's namespace if the client names none", async (t) => {
  const { url, received } = await openProxy(t, { vault: { namespace: 'team-a' } });
  await fetch(`${url}/v1/x`);
  await fetch(`${url}/v1/x`, { headers: { 'X-Vault-Namespace': 'team-b' } });
  assert.deepEqual(
    received.map(({ headers }) => headers['x-vault-namespace']),
    ['team-a', 'team-b'],
  );
});

test('with if-absent, a client may send its own token, in either header', async (t) => {
  const { url, received, view } = await openProxy(t, { proxy: { token: 'if-absent' } });
  const sent: Record<string, string>[] = [{ 'X-Vault-Token': 'hvs.own' }, { Authorization: 'Bearer hvs.own' }, {}];
  for (const headers of sent) await fetch(`${url}/v1/x`, { headers });
  assert.deepEqual(
    received.map(({ headers }) => [headers['x-vault-token'], headers.authorization]),
    [
      ['hvs.own', undefined],
      ['hvs.own', undefined],
      [TOKEN, undefined],
    ],
  );
  view.set(undefined);
  assert.equal((await fetch(`${url}/v1/x`, { headers: { 'X-Vault-Token': 'hvs.own' } })).status, 200);
  view.set(TOKEN);
  for (const authorization of [`Bearer ${TOKEN}`, `bearer \t ${TOKEN}`]) {
    const reply = await fetch(`${url}/v1/auth/token/revoke-self`, { method: 'POST', headers: { authorization } });
    assert.equal(reply.status, 403, authorization);
  }
  view.set(undefined);
  const [own, held] = await Promise.all([
    fetch(`${url}/v1/auth/token/revoke-self`, { method: 'POST', headers: { 'X-Vault-Token': 'hvs.own' } }),
    fetch(`${url}/v1/auth/token/revoke-self`, { method: 'POST' }),
  ]);
  assert.deepEqual([own.status, held.status], [200, 503]);
});

test('without a live token, answers 503 and why', async (t) => {
  const { url, view, received } = await openProxy(t);
  view.set(undefined);
  const reply = await fetch(`${url}/v1/x`);
  const { status, headers } = reply;
  assert.deepEqual([status, headers.get('retry-after'), headers.get('connection')], [503, '5', 'close']);
  assert.equal(await errorsIn(reply), 'vault-token-sidecar: there is no Vault token yet');
  assert.equal(received.length, 0);
});

test('answers 503 once a reload has removed the exchange', async (t) => {
  const { url, view, received } = await openProxy(t);
  view.name = 'another';
  const reply = await fetch(`${url}/v1/x`);
  assert.equal(reply.status, 503);
  assert.equal(await errorsIn(reply), 'vault-token-sidecar: the config has no such exchange any more');
  assert.equal(received.length, 0);
});

test("never sends another Vault's token, while a reload leads to a new Vault", async (t) => {
  const { url, view, received } = await openProxy(t);
  view.setVault({ ...view.vault(), address: 'http://127.0.0.1:1' });
  assert.equal((await fetch(`${url}/v1/x`)).status, 503);
  assert.equal(received.length, 0);
});

test('refuses to revoke the token or to let it be renewed: by itself, by name and by accessor, however it is spelled', async (t) => {
  const { url, received } = await openProxy(t);
  const bodies: readonly [path: string, body: unknown, method?: string][] = [
    ['auth/token/revoke-self', undefined],
    ['auth/token/revoke-self', {}, 'PUT'],
    ['team/auth/token/revoke-self', {}],
    ['auth/token/revoke%2Dself', {}],
    ['auth//token/revoke-self/', {}],
    ['auth/token/revoke', { token: TOKEN }],
    ['auth/token/revoke-orphan', { token: TOKEN }],
    ['auth/token/revoke-accessor', { accessor: 'acc' }],
  ];
  for (const [path, body, method = 'POST'] of bodies) {
    const reply = await fetch(`${url}/v1/${path}?x=1`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.equal(reply.status, 403, path);
    assert.match(await errorsIn(reply), /must not be revoked/);
  }
  assert.equal(received.length, 0);
  for (const [path, body] of [
    ['auth/token/revoke', { token: 'hvs.another' }],
    ['auth/token/revoke-accessor', { accessor: 'another' }],
    ['auth/token/revoke-accessor', null],
    ['auth/token/create', { ttl: '1m' }],
  ] as const)
    assert.equal((await fetch(`${url}/v1/${path}`, json(body))).status, 200);
  for (const method of ['GET', 'DELETE'])
    assert.equal((await fetch(`${url}/v1/auth/token/revoke-self`, { method })).status, 200, method);
  assert.equal(received.length, 6);
  for (const [bytes, status] of [
    [64 * 1024, 200],
    [64 * 1024 + 1, 413],
  ] as const) {
    const body = `token=${'x'.repeat(bytes - 'token='.length)}`;
    assert.equal((await fetch(`${url}/v1/auth/token/revoke`, { method: 'POST', body })).status, status, `${bytes}`);
  }
  assert.equal(received.length, 7);
});

test('a path is checked as Vault reads it, and goes to Vault as it is', async (t) => {
  const { port, received } = await openProxy(t);
  const post = (path: string) => ask(port, request(port, ['Content-Length: 0'], `POST /v1/${path} HTTP/1.1`));
  for (const path of [
    'auth/token/x/../revoke-self',
    'auth/./token/revoke-self/.',
    'auth/%2E/token/revoke-self',
    'auth/token/x%2f..%2frevoke-self',
    '%ff/../auth/token/revoke%2dself',
    'auth/token/revoke-self#x?y',
  ])
    assert.match(await post(path), /^HTTP\/1\.1 403 [\s\S]*must not be revoked/, path);
  assert.equal(received.length, 0);
  const others = ['secret/../a%2Fb', 'auth\\token\\revoke-self', 'a"b?c#d'];
  for (const path of others) assert.match(await post(path), /^HTTP\/1\.1 200 /, path);
  assert.deepEqual(
    received.map(({ url }) => url),
    others.map((path) => `/v1/${path}`),
  );
});

test('finds the token and its accessor in forms, and refuses bodies that Vaults read differently', async (t) => {
  const { url, received } = await openProxy(t);
  const post = async (path: string, body: string) => {
    const reply = await fetch(`${url}/v1/auth/token/${path}`, { method: 'POST', body });
    return `${reply.status} ${await reply.text()}`;
  };
  for (const [path, body] of [
    ['revoke', `token=${TOKEN}`],
    ['revoke', `a=1&token=x&token=${TOKEN.replaceAll('-', '%2d')}`],
    ['revoke-accessor', 'accessor=acc'],
  ] as const)
    assert.match(await post(path, body), /^403 .*must not be revoked/, body);
  assert.match(await post('renew', `token=${TOKEN}`), /^200 .*"lease_duration":3600/);
  for (const path of ['revoke', 'renew'])
    assert.match(await post(path, ` {"token":"${TOKEN}"} x`), /^400 .*one JSON object/);
  assert.equal(received.length, 0);
  assert.match(await post('revoke', 'token=hvs.another'), /^200 /);
  assert.match(await post('revoke', ''), /^200 /);
  assert.equal(received.length, 2);
});

test('answers renewals of the token from memory, with the lease that is left', async (t) => {
  const { url, received } = await openProxy(t);
  for (const [path, body] of [
    ['auth/token/renew-self', { increment: '1h' }],
    ['auth/token/renew', { token: TOKEN }],
    ['auth/token/renew-accessor', { accessor: 'acc', increment: '1s' }],
  ] as const) {
    const reply = await fetch(`${url}/v1/${path}`, json(body));
    const { request_id, ...answer } = (await reply.json()) as Record<string, unknown>;
    assert.match(String(request_id), /^00000000-\d+$/);
    assert.deepEqual(answer, RENEWED);
    assert.equal(reply.headers.get('cache-control'), 'no-store');
  }
  assert.equal(received.length, 0);
});

test('a 403 from Vault raises a suspicion against the token that was sent', async (t) => {
  const { url, view } = await openProxy(t, {
    proxy: { token: 'if-absent' },
    answer: (_request, response) => response.writeHead(403).end('{"errors":["permission denied"]}'),
  });
  assert.equal((await fetch(`${url}/v1/x`, { headers: { 'X-Vault-Token': 'hvs.own' } })).status, 403);
  assert.equal((await fetch(`${url}/v1/x`)).status, 403);
  assert.deepEqual(view.suspected, [1]);
});

test('answers 502 if Vault is away, and 404 to what is not for Vault', async (t) => {
  const { url, view } = await openProxy(t);
  for (const path of ['', 'ui/', 'v1', 'v2/x', 'agent/v1/quit'])
    assert.equal((await fetch(`${url}/${path}`)).status, 404, path);
  const gone = { ...view.vault(), address: 'http://127.0.0.1:1' };
  view.setVault(gone);
  view.set(TOKEN);
  const reply = await fetch(`${url}/v1/x`, json({}));
  assert.equal(reply.status, 502);
  assert.match(await errorsIn(reply), /^vault-token-sidecar: Vault can't be reached: .*ECONNREFUSED/);
});
