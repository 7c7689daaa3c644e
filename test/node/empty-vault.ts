// Vault is replaced by an empty one that is set up again: the tokens of all pods are dead, and no JWT is new.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { isRunning, SIDECAR } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

const FILE = '/etc/vault-token-sidecar/config.json';

export async function followsEmptyVault(t: TestContext, here: Here): Promise<void> {
  const { cluster, vault } = here;
  const createdAt = performance.now();
  await cluster.create('follows', (pod) => pod);
  await cluster.untilPod('follows', 'the application runs', isRunning);
  t.diagnostic(`the application runs ${Math.round(performance.now() - createdAt)} ms after the creation of its pod`);
  const token = () => cluster.exec('follows', 'app', 'cat', '/vault/token');
  const old = await token();
  await vault.kill();
  await vault.startEmpty();
  await here.setup();
  assert.equal((await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': old })).status, 403);
  const at = performance.now();
  await cluster.exec('follows', SIDECAR, 'vault-token-sidecar', 'refresh', '--config', FILE);
  const fresh = await until('another token', async () => (await token()) !== old && token(), 60_000);
  t.diagnostic(`another token ${Math.round(performance.now() - at)} ms after the refresh`);
  assert.deepEqual(await policiesOf(here, fresh), ['default', 'my-app']);
  await cluster.remove('follows');
}
