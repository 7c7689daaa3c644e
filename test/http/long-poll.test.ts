// The long poll of the token API: its parameters, its ends, and the documented loop that follows the token.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { closeApp } from '../../src/http/limits.ts';
import { readmeBlock } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { fakeView } from './fake-view.ts';
import { openTokenApi } from './open-token-api.ts';

test('a long poll answers at a change, at the timeout, and at once if it missed a change', async (t) => {
  const { view, get } = await openTokenApi(t);
  view.set('hvs.first-token', 1);
  const polls = Array.from({ length: 20 }, () => get('/v1/token?wait_for_change=true&last_etag=1&timeout_sec=60'));
  await until('all wait', () => view.waiting.size === 20);
  view.set('hvs.second-token', 2);
  for (const poll of polls) assert.equal((await poll).headers.get('etag'), '"2"');
  assert.equal((await get('/v1/token?wait_for_change=true&last_etag="1"')).status, 200);
  const atTimeout = await get('/v1/token?wait_for_change=true&last_etag=2&timeout_sec=1');
  assert.equal(((await atTimeout.json()) as { access_token: string }).access_token, 'hvs.second-token');
});

test('a poll with an empty ETag answers at once, with or without a token', async (t) => {
  const { view, get } = await openTokenApi(t);
  const ask = () => get('/v1/token?wait_for_change=true&last_etag=&timeout_sec=60');
  assert.equal((await ask()).status, 503);
  view.set('hvs.first-token', 0);
  assert.equal((await ask()).headers.get('etag'), '"0"');
});

test('a client that disconnects during a long poll leaves nothing behind, and a close ends all long polls (G11)', async (t) => {
  const { app, view, get, url } = await openTokenApi(t);
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

test('a wrong parameter gets 400 with its name and what it must be, and nothing of the request', async (t) => {
  const { view, get } = await openTokenApi(t);
  view.set('hvs.CAESIexample', 1);
  for (const good of ['timeout_sec=1', 'timeout_sec=300', 'wait_for_change=false', 'last_etag=1', 'last_etag=', ''])
    assert.equal((await get(`/v1/token?${good}`)).status, 200, good);
  const wrong = {
    'timeout_sec must be a whole number from 1 to 300.': [
      ...['timeout_sec=0', 'timeout_sec=301', 'timeout_sec=1e2', 'timeout_sec=-1', 'timeout_sec=', 'timeout_sec=5s'],
      'timeout_sec=1&timeout_sec=2',
    ],
    'last_etag must be the ETag of an earlier response, or empty.': ['last_etag=x', 'last_etag=1&last_etag=2'],
    'wait_for_change must be true or false.': ['wait_for_change=yes', 'wait_for_change=TRUE', 'wait_for_change'],
  };
  for (const [error_description, queries] of Object.entries(wrong)) {
    for (const query of queries) {
      const answer = await get(`/v1/token?${query}`);
      const body = { error: 'invalid_request', error_description };
      assert.deepEqual([answer.status, await answer.json()], [400, body], query);
    }
  }
});

test('a poll without an ETag waits for the change of the present token', async (t) => {
  const { view, get } = await openTokenApi(t);
  view.set('hvs.first-token', 1);
  const poll = get('/v1/token?wait_for_change=true');
  await until('it waits', () => view.waiting.size === 1);
  view.set('hvs.second-token', 2);
  assert.equal((await poll).headers.get('etag'), '"2"');
});

test('an exchange that a reload takes away during a poll is not found', async (t) => {
  const views = [fakeView('a'), fakeView('b')];
  const { view, get } = await openTokenApi(t, { views });
  view.set('hvs.first-token', 1);
  const poll = get('/v1/token/a?wait_for_change=true');
  await until('it waits', () => view.waiting.size === 1);
  views.shift();
  view.set('hvs.second-token', 2);
  assert.equal((await poll).status, 404);
});

test('the documented shell loop runs vault with the first token, with each new one, and not twice with one', async (t) => {
  const { view, url } = await openTokenApi(t);
  const directory = await temporaryDirectory(t);
  const log = join(directory, 'log');
  const programs = { vault: `echo "$VAULT_TOKEN $*" >> ${log}`, sleep: 'exec /bin/sleep 0.02' };
  for (const [name, command] of Object.entries(programs))
    await writeFile(join(directory, name), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  const script = readmeBlock('docs/token-api.md', 'In a shell', 'sh').replace('http://127.0.0.1:8275', url);
  const loop = spawn('sh', ['-c', script], {
    env: { PATH: `${directory}:${process.env['PATH']}` },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  t.after(() => process.kill(-(loop.pid ?? 0), 'SIGKILL'));
  const lines: string[] = [];
  for (const token of ['hvs.first-token', 'hvs.second-token', 'hvs.third-token']) {
    view.set(token, lines.push(`${token} kv get secret/my-app\n`));
    await until(
      `vault runs with ${token}`,
      async () => (await readFile(log, 'utf8').catch(() => '')) === lines.join(''),
    );
    await until('the loop waits', () => view.waiting.size === 1);
  }
});
