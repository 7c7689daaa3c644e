// The token API for applications, over real sockets, with fake exchanges.

import assert from 'node:assert/strict';
import nodeCrypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { CallerToken } from '../../src/http/caller-token.ts';
import { fakeView } from './fake-view.ts';
import { openTokenApi } from './open-token-api.ts';

test('serves the token as JSON and as text, and the metadata without the token', async (t) => {
  const { view, get } = await openTokenApi(t);
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

test('answers 503 with a reason and Retry-After before the first token (G12)', async (t) => {
  const { get } = await openTokenApi(t);
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
  const { get } = await openTokenApi(t, { views });
  assert.equal((await get('/v1/token')).status, 409);
  assert.equal((await get('/v1/token/c')).status, 404);
  assert.equal(await (await get('/v1/token/b', { accept: 'text/plain' })).text(), 'hvs.CAESI-of-b');
});

test('accepts one refresh in ten seconds (G13)', async (t) => {
  const { view, get, later } = await openTokenApi(t);
  const answers = await Promise.all(Array.from({ length: 20 }, () => get('/v1/token/app/refresh', {}, 'POST')));
  assert.equal(answers.filter(({ status }) => status === 202).length, 1);
  assert.equal(answers.find(({ status }) => status === 429)?.headers.get('retry-after'), '10');
  later(10_000);
  assert.equal((await get('/v1/token/app/refresh', {}, 'POST')).status, 202);
  assert.equal(view.refreshes, 2);
});

test('refreshes the only exchange without its name, and answers with the name', async (t) => {
  const { view, get } = await openTokenApi(t);
  const answer = await get('/v1/token/refresh', {}, 'POST');
  assert.deepEqual([answer.status, await answer.json(), view.refreshes], [202, { exchange: 'app' }, 1]);
  const several = await openTokenApi(t, { views: [fakeView(), fakeView('other')] });
  assert.equal((await several.get('/v1/token/refresh', {}, 'POST')).status, 409);
  assert.equal((await several.get('/v1/token/other/refresh', {}, 'POST')).status, 202);
});

test("requires the caller token, and refuses all clients while it can't be read (G10)", async (t) => {
  let secret: Awaited<ReturnType<CallerToken>> = new Secret('correct horse');
  const { view, get } = await openTokenApi(t, { callerToken: async () => secret });
  view.set('hvs.CAESIexample');
  for (const shown of [undefined, 'Bearer wrong', 'Bearer ', 'Basic correct horse', `Bearer ${'x'.repeat(5000)}`]) {
    assert.equal((await get('/v1/token', shown === undefined ? {} : { authorization: shown })).status, 401);
  }
  assert.equal((await get('/v1/token', { authorization: 'Bearer correct horse' })).status, 200);
  secret = { code: 'caller_token_unusable' };
  assert.equal((await get('/v1/token', { authorization: 'Bearer correct horse' })).status, 401);
});

test('compares digests of the caller token, once and in constant time (G10)', async (t) => {
  const { view, get } = await openTokenApi(t, { callerToken: async () => new Secret('correct horse') });
  view.set('hvs.CAESIexample');
  const { timingSafeEqual } = nodeCrypto;
  const lengths: number[] = [];
  let verdict = true;
  nodeCrypto.timingSafeEqual = (a, b) => {
    lengths.push(a.byteLength, b.byteLength);
    return verdict;
  };
  syncBuiltinESMExports();
  t.after(() => {
    nodeCrypto.timingSafeEqual = timingSafeEqual;
    syncBuiltinESMExports();
  });
  const shown = ['c', 'x'.repeat(13), 'correct hors', 'correct horse', `correct horse${'x'.repeat(5000)}`];
  for (verdict of [true, false]) {
    for (const secret of shown) {
      const { status } = await get('/v1/token', { authorization: `Bearer ${secret}` });
      assert.equal(status, verdict ? 200 : 401, 'nothing else is looked at, before or after');
    }
  }
  assert.deepEqual(
    lengths,
    Array.from({ length: 4 * shown.length }, () => 32),
  );
});

test('answers 429 above the rate limit (G7)', async (t) => {
  const { view, get, later } = await openTokenApi(t);
  later(100_000);
  view.set('hvs.CAESIexample');
  const answers = [];
  for (let batch = 0; batch < 6; batch++)
    answers.push(...(await Promise.all(Array.from({ length: 25 }, () => get('/v1/token')))));
  assert.equal(answers.filter(({ status }) => status === 429).length, 50);
  assert.equal(answers.at(-1)?.headers.get('retry-after'), '1');
});

test('JSON is sent unless plain text alone is asked for', async (t) => {
  const { view, get } = await openTokenApi(t);
  view.set('hvs.CAESIexample');
  const typeFor = async (accept: string) => (await get('/v1/token', { accept })).headers.get('content-type');
  assert.match((await typeFor('text/plain, application/json')) ?? '', /json/);
  assert.match((await typeFor('*/*')) ?? '', /json/);
  assert.match((await typeFor('text/plain;q=0.9, */*')) ?? '', /^text\/plain/);
});

test('every route needs an exchange of that name, and metadata a token', async (t) => {
  const { view, get } = await openTokenApi(t);
  assert.equal((await get('/v1/token/app/metadata')).status, 503);
  assert.equal((await get('/v1/token/other/metadata')).status, 404);
  assert.equal((await get('/v1/token/other/refresh', {}, 'POST')).status, 404);
  assert.equal(view.refreshes, 0);
  view.set('hvs.CAESIexample');
  assert.equal((await get('/v1/token/app/metadata')).status, 200);
});

test('a 503 says why there is no token: the failure in force, or that it has expired', async (t) => {
  const view = fakeView();
  const token = { accessor: 'a', expiresAt: 0, renewAt: 0, policies: [], type: 'service', renewable: true, ttlMs: 1 };
  const failure = { code: 'vault_sealed', title: 'Vault is sealed', hint: '', since: 0, attempts: 1 } as const;
  const { status } = view;
  const { get } = await openTokenApi(t, { views: [view] });
  const reason = async () =>
    ((await (await get('/v1/token')).json()) as { error_description: string }).error_description;
  Object.assign(view, { status: () => ({ ...status(), token }) });
  assert.equal(await reason(), 'the Vault token has expired');
  Object.assign(view, { status: () => ({ ...status(), token, failure }) });
  assert.equal(await reason(), 'Vault is sealed');
});

test('answers an early refresh with the seconds to wait', async (t) => {
  const { view, get, later } = await openTokenApi(t);
  const refresh = async () => {
    const { status, headers } = await get('/v1/token/app/refresh', {}, 'POST');
    return [status, headers.get('retry-after')];
  };
  assert.deepEqual(await refresh(), [202, null]);
  later(8999);
  assert.deepEqual(await refresh(), [429, '2']);
  later(1000);
  assert.deepEqual(await refresh(), [429, '1']);
  later(1);
  assert.deepEqual([await refresh(), view.refreshes], [[202, null], 2]);
});

test('a bug is an internal error that says nothing of itself', async (t) => {
  const view = fakeView();
  const { get } = await openTokenApi(t, { views: [view] });
  for (const thrown of [new Error('secret words'), Object.assign(new Error('secret words'), { statusCode: 500 })]) {
    view.token = () => {
      throw thrown;
    };
    const answer = await get('/v1/token');
    assert.deepEqual(
      [answer.status, await answer.json()],
      [500, { error: 'server_error', error_description: 'Internal error.' }],
    );
  }
  view.token = () => {
    throw Object.assign(new Error('secret words'), { statusCode: 413 });
  };
  assert.equal((await get('/v1/token')).status, 400);
});

test('HEAD is no way to ask for a token', async (t) => {
  const { view, get } = await openTokenApi(t);
  view.set('hvs.CAESIexample');
  const answer = await get('/v1/token', {}, 'HEAD');
  assert.deepEqual([answer.status, answer.headers.get('etag')], [404, null]);
});
