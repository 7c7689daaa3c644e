// Checks that commands that query a running daemon ignore the environment's proxy, also with NODE_USE_ENV_PROXY.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { listenOn } from '../../src/dev/listen.ts';
import type { StatusReply } from '../../src/http/status-reply.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { EXCHANGE } from './exchange-reply.ts';

const CALLER = 'correct-horse';
const STATUS: StatusReply = { version: '0', api: { failure: null }, exchanges: [EXCHANGE] };
const REPLIES: Readonly<Record<string, unknown>> = {
  '/v1/token': { access_token: 'hvs.CAESIexample' },
  '/v1/token/refresh': { exchange: 'app' },
  '/status': STATUS,
  '/readyz': { ready: true, reasons: [] },
};

/** @param program the command that starts the sidecar, without its arguments */
export async function assertPastProxy(t: TestContext, program: readonly string[]): Promise<void> {
  const seenByProxy: string[] = [];
  const proxyServer = createServer((client) => {
    client.once('data', (bytes: Buffer) => {
      seenByProxy.push(bytes.toString());
      client.destroy();
    });
  });
  const proxy = `http://127.0.0.1:${await listen(t, proxyServer)}`;
  const shown: (string | undefined)[] = [];
  const open = async () => {
    const server = await listenOn({}, ({ path, headers }) => {
      shown.push(headers.authorization);
      return { status: path.endsWith('/refresh') ? 202 : 200, body: REPLIES[path] };
    });
    t.after(server.close);
    return { listen: new URL(server.url).host };
  };
  const directory = await temporaryDirectory(t);
  const [config, secret] = [join(directory, 'config.json'), join(directory, 'caller')];
  const exchanges = { app: { source: { env: { name: 'JWT' } }, login: { role: 'app' } } };
  const listeners = { api: { ...(await open()), caller_token_file: secret }, ops: await open() };
  await writeFile(secret, `${CALLER}\n`);
  await writeFile(config, JSON.stringify({ vault: { address: 'https://v' }, exchanges, ...listeners }));
  const proxies = Object.fromEntries(
    ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'].map((name) => [name, proxy]),
  );
  const env = { PATH: process.env['PATH'] ?? '', NODE_USE_ENV_PROXY: '1', ...proxies };
  for (const command of ['token', 'refresh', 'status', 'wait']) {
    const [file = '', ...args] = [...program, command, '--config', config];
    const code = await new Promise((resolve) => {
      execFile(file, args, { env }, (error, out, err) => resolve(error === null ? 0 : out + err));
    });
    assert.equal(code, 0, command);
  }
  assert.deepEqual(seenByProxy, []);
  assert.deepEqual(shown, [`Bearer ${CALLER}`, `Bearer ${CALLER}`, undefined, undefined]);
}
