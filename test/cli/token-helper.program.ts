// token-helper: the protocol of the Vault CLI.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cli } from '../support/program.ts';
import { untilChanged } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';

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

test('store and erase refuse, so that "vault login" doesn\'t claim to have stored a token', async () => {
  for (const action of ['store', 'erase']) {
    const line = `vault-token-sidecar: can't ${action} the token: the Vault CLI uses the one of the running sidecar; VAULT_TOKEN sets another one\n`;
    assert.deepEqual(await cli(['token-helper', action]), { code: 1, out: '', err: line });
  }
});
