// The image's health check, run as a container engine runs it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { healthcheckCommand, runToEnd } from './support/program.ts';
import { until } from './support/settling.ts';
import { openPeers, runDaemon } from './support/sidecar.ts';

const check = async (args: readonly string[], env: Record<string, string> = {}) => {
  const { code, err } = await runToEnd([...healthcheckCommand(), ...args], { env });
  return { code, err };
};

test('the health check fails with the reason until the sidecar is ready', async (t) => {
  const peers = await openPeers(t);
  const { daemon } = await runDaemon(t, peers.config());
  const { host, port } = new URL(daemon.ops);
  const waiting = await check([host]);
  assert.equal(waiting.code, 1);
  assert.match(waiting.err, /^not ready: .*no Vault token yet: there is no workload JWT.*\n$/);
  await peers.writeJwt();
  await until('it is ready', async () => (await check([host])).code === 0);
  assert.deepEqual(await check([], { VTS_OPS_LISTEN: `0.0.0.0:${port}` }), { code: 0, err: '' });
});

test('it asks a unix socket', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const listen = `unix:${join(peers.directory, 'ops.sock')}`;
  const absent = { code: 1, err: `not ready: can't connect to ${listen}\n` };
  assert.deepEqual(await check([listen]), absent);
  const { daemon } = await runDaemon(t, { ...peers.config(), ops: { listen } });
  assert.equal(daemon.ops, listen);
  await until('it is ready', async () => (await check([], { VTS_OPS_LISTEN: listen })).code === 0);
});

test('it fails in one line where nothing answers', async () => {
  assert.deepEqual(await check(['127.0.0.1:1']), { code: 1, err: "not ready: can't connect to 127.0.0.1:1\n" });
  assert.deepEqual(await check(['8276']), { code: 1, err: 'not ready: "8276" is not HOST:PORT or unix:/PATH\n' });
});
