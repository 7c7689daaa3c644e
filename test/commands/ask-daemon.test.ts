// Commands that query a running daemon: replies of other servers, no reply, late replies.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command as refresh } from '../../src/commands/refresh.ts';
import { command as status } from '../../src/commands/status.ts';
import { command as token } from '../../src/commands/token.ts';
import { command as wait } from '../../src/commands/wait.ts';
import { listenOn, type PlainReply } from '../../src/dev/listen.ts';
import { invoke } from '../support/invoke.ts';
import { sidecarCommand } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { assertPastProxy } from './env-proxy.ts';

async function serve(t: TestContext, reply: PlainReply): Promise<string> {
  const { url, close } = await listenOn({}, () => reply);
  t.after(close);
  return url;
}

test('reports a reply of another server, and never prints it', async (t) => {
  for (const body of ['<html>Welcome</html>', 'null', { a: 1 }, { exchanges: 7 }, 'two words of text']) {
    const url = await serve(t, { status: 200, body });
    for (const [command, flags] of [
      [status, { ops: url }],
      [wait, { ops: url, timeout: '1ms' }],
      [token, { api: url }],
      [refresh, { api: url }],
    ] as const) {
      const { code, out, err } = await invoke(command, flags);
      assert.deepEqual([code, out], [3, ''], err);
      assert.match(err, /the server that answered is not the sidecar/);
    }
  }
});

test('wait exits at once for an unknown exchange, and at its timeout without a reply', async (t) => {
  const none = { error: 'not_found', error_description: 'There is no exchange of that name.' };
  const unknown = await invoke(wait, { ops: await serve(t, { status: 404, body: none }), exchange: 'x' });
  assert.deepEqual([unknown.code, unknown.err], [2, 'There is no exchange of that name.']);
  const silent = createServer().listen(0, '127.0.0.1');
  t.after(() => silent.close());
  silent.on('connection', (socket) => t.after(() => socket.destroy()));
  await once(silent, 'listening');
  const startedAt = performance.now();
  const { port } = silent.address() as { port: number };
  const late = await invoke(wait, { ops: `http://127.0.0.1:${port}`, timeout: '300ms' });
  assert.equal(late.code, 3);
  assert.ok(performance.now() - startedAt < 2000);
});

test('prints one line for a missing caller token or an invalid address', async (t) => {
  const directory = await temporaryDirectory(t);
  const [config, secret] = ['config.json', 'caller'].map((name) => join(directory, name));
  assert.ok(config !== undefined && secret !== undefined);
  const exchange = { source: { env: { name: 'JWT' } }, login: { role: 'app' } };
  const api = { listen: '127.0.0.1:1', caller_token_file: secret };
  await writeFile(config, JSON.stringify({ vault: { address: 'https://v' }, exchanges: { app: exchange }, api }));
  const { code, err } = await invoke(token, { config });
  assert.deepEqual([code, err], [2, `api.caller_token_file is unusable: ${secret}: ENOENT`]);
  const words = '--ops and --api must be unix:/path or URLs such as http://127.0.0.1:8276';
  for (const ops of ['localhost:8276', 'http://user:word@127.0.0.1:1', 'x', 'unix:x', 'unix:']) {
    const refused = await invoke(status, { ops });
    assert.deepEqual([refused.code, refused.err], [2, words]);
  }
  // an empty variable is treated as unset
  const { err: unset } = await invoke(wait, { timeout: '1ms' }, { env: { VTS_OPS_LISTEN: '' } });
  assert.doesNotMatch(unset, /host:port/);
});

test('token, refresh, status and wait never use a proxy, which would see the caller token', async (t) => {
  await assertPastProxy(t, sidecarCommand());
});

test('refresh says when to try again', async (t) => {
  const body = { error: 'slow_down', error_description: 'Wait.' };
  const refused = async (headers: Record<string, string>) =>
    invoke(refresh, { api: await serve(t, { status: 429, body, headers }) });
  assert.deepEqual(await refused({ 'retry-after': '7' }), {
    code: 3,
    out: '',
    err: 'Wait. Try again in 7 s.',
  });
  assert.equal((await refused({ 'retry-after': 'soon' })).err, 'Wait.');
});

test("doesn't follow a redirect, which would send the caller token elsewhere", async (t) => {
  let asked = 0;
  const elsewhere = await listenOn({}, () => {
    asked += 1;
    return { status: 200, body: { access_token: 'hvs.CAESIexample' } };
  });
  t.after(elsewhere.close);
  const url = await serve(t, { status: 302, body: '', headers: { location: `${elsewhere.url}/v1/token` } });
  const { code, err } = await invoke(token, { api: url });
  assert.equal(code, 3);
  assert.match(err, /the server that answered is not the sidecar/);
  assert.equal(asked, 0);
});
