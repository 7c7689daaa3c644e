// The command status of the built program, against a daemon whose Vault was sealed for a while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cli } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';

test('status shows the last call to Vault and the failures that are over', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  peers.vault.setSealed(true);
  const { daemon, log } = await runDaemon(t, peers.config());
  await until('the login fails', () => log.some((line) => line.includes('login_failed')));
  const sealed = await cli(['status', 'app', '--ops', daemon.ops]);
  assert.equal(sealed.code, 3);
  assert.match(sealed.out, /the last call, login \d+s ago, failed: Vault is sealed\n/);
  peers.vault.setSealed(false);
  await until('it recovers', () => log.some((line) => line.includes('"ready"')));
  const { code, out } = await cli(['status', 'app', '--ops', daemon.ops]);
  assert.equal(code, 0);
  assert.match(
    out,
    new RegExp(`^ {2}Vault {5}${peers.vault.url}\n {12}the last call, login \\d+s ago, succeeded\n`, 'm'),
  );
  assert.match(out, /^ {2}last hour \dx Vault is sealed, last \d+s ago\n/m);
  assert.match((await cli(['status', '--ops', daemon.ops])).out, /^app: in the last hour, \dx Vault is sealed\n/m);
});
