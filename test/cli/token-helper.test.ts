// token-helper: the protocol of the Vault CLI.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { cli, sidecarCommand } from '../support/program.ts';
import { untilChanged } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { startProgram } from '../support/started.ts';

test('get prints the token of the daemon and nothing else; without one, it fails with a line on stderr', async (t) => {
  const peers = await openPeers(t);
  const { daemon } = await runDaemon(t, peers.config());
  const get = () => cli(['token-helper', 'get', '--api', daemon.api]);
  const missing = await get();
  assert.deepEqual([missing.code, missing.out], [3, '']);
  assert.match(missing.err, /^there is no workload JWT\.?\n$/);
  await peers.writeJwt();
  await untilChanged(join(peers.directory, 'token'), undefined);
  assert.deepEqual(await get(), { code: 0, out: await readFile(join(peers.directory, 'token'), 'utf8'), err: '' });
  const { code, err } = await cli(['token-helper', 'show']);
  assert.deepEqual([code, err], [2, 'vault-token-sidecar: "token-helper" takes one of get, store, erase\n']);
});

test('store reads its input to the end, and like erase changes nothing', async (t) => {
  const store = startProgram(t, [...sidecarCommand(), 'token-helper', 'store']);
  // more than a pipe holds
  assert.ok(store.child.stdin);
  await pipeline(Readable.from('x'.repeat(1024 * 1024)), store.child.stdin);
  assert.deepEqual([await store.ended(), store.out()], [0, '']);
  const erase = await cli(['token-helper', 'erase']);
  assert.deepEqual([erase.code, erase.out, erase.err], [0, '', store.err()]);
  assert.match(erase.err, /^vault-token-sidecar: nothing changes: the running sidecar keeps its token\n$/);
});
