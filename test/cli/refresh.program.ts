// The command refresh of the built program, against a running daemon.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cli } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function setUp(t: TestContext, change: (config: Record<string, unknown>) => Record<string, unknown>) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, change(peers.config()));
  await until('it is ready', () => daemon.exchanges.views().every((view) => view.status().ready));
  const refresh = (...args: string[]) => cli(['refresh', '--api', daemon.api, ...args]);
  return { ...peers, daemon, refresh };
}

test('asks the daemon for a new login, and is refused within ten seconds (G13)', async (t) => {
  const { refresh, directory, vault } = await setUp(t, (config) => config);
  const tokenFile = () => readFile(join(directory, 'token'), 'utf8');
  const before = await tokenFile();
  assert.deepEqual(await refresh(), { code: 0, out: 'asked for a new login of exchange app\n', err: '' });
  await until('a new token', async () => (await tokenFile()) !== before);
  assert.equal(vault.alive().length, 2);
  const { code, out, err } = await refresh('--exchange', 'app');
  assert.deepEqual([code, out], [3, '']);
  assert.match(err, /^A refresh was requested less than 10 s ago\. Try again in ([1-9]|10) s\.\n$/);
  assert.equal(vault.alive().length, 2);
});

test('refreshes the exchange that --exchange names, which is required if there are several', async (t) => {
  const { refresh, daemon } = await setUp(t, ({ exchanges, ...rest }) => {
    const { app } = exchanges as { app: object };
    return { ...rest, exchanges: { app, other: { ...app, sinks: [] } } };
  });
  const held = () => daemon.exchanges.views().map((view) => view.generation());
  const [app, other = 0] = held();
  assert.deepEqual(await refresh(), {
    code: 2,
    out: '',
    err: 'There are several exchanges: request /v1/token/{exchange}.\n',
  });
  assert.deepEqual(await refresh('--exchange', 'none'), {
    code: 2,
    out: '',
    err: 'There is no exchange of that name.\n',
  });
  assert.equal((await refresh('--exchange', 'other')).out, 'asked for a new login of exchange other\n');
  await until('a new token', () => (held()[1] ?? 0) > other);
  assert.equal(held()[0], app);
});

test('sends the caller token of the config', async (t) => {
  const directory = await temporaryDirectory(t);
  const [secret, configFile] = [join(directory, 'caller'), join(directory, 'config.json')];
  await writeFile(secret, 'correct horse\n');
  const api = { listen: '127.0.0.1:0', caller_token_file: secret };
  const { refresh, config } = await setUp(t, (given) => ({ ...given, api }));
  assert.equal((await refresh()).code, 2);
  await writeFile(configFile, JSON.stringify({ ...config(), api }));
  assert.equal((await refresh('--config', configFile)).code, 0);
});
