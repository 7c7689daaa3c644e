// Faults of Vault that all pods see: it is sealed while their JWTs are replaced, then it is replaced by an empty one.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { isRunning, sidecarOf } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

export async function outlivesSealedVault(t: TestContext, here: Here): Promise<void> {
  const { cluster, node, vault } = here;
  await cluster.create('sealed', (pod) => pod);
  const before = await cluster.untilPod('sealed', 'the application runs', isRunning);
  const token = () => cluster.token('sealed');
  // fails while kubelet restarts
  const status = () => cluster.command('sealed', 'status').catch(() => '');
  const old = await token();
  await vault.seal();
  await node.restartKubelet();
  await until('status says that Vault is sealed', async () => /sealed/.test(await status()), 60_000);
  assert.equal(await token(), old, 'the application keeps its token');
  await vault.unseal();
  const at = performance.now();
  const fresh = await until('another token', async () => (await token()) !== old && token(), 120_000);
  t.diagnostic(`another token ${((performance.now() - at) / 1000).toFixed(1)} s after Vault was unsealed`);
  assert.deepEqual(await policiesOf(here, fresh), ['default', 'my-app']);
  const after = await cluster.pod('sealed');
  assert.equal(sidecarOf(after)?.containerID, sidecarOf(before)?.containerID);
  assert.ok(isRunning(after));
  await cluster.remove('sealed');
}

export async function followsEmptyVault(t: TestContext, here: Here): Promise<void> {
  const { cluster, vault } = here;
  const createdAt = performance.now();
  await cluster.create('follows', (pod) => pod);
  await cluster.untilPod('follows', 'the application runs', isRunning);
  t.diagnostic(`the application runs ${Math.round(performance.now() - createdAt)} ms after the creation of its pod`);
  const token = () => cluster.token('follows');
  const old = await token();
  await vault.kill();
  await vault.startEmpty();
  await here.setup();
  assert.equal((await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': old })).status, 403);
  const at = performance.now();
  await cluster.command('follows', 'refresh');
  const fresh = await until('another token', async () => (await token()) !== old && token(), 60_000);
  t.diagnostic(`another token ${Math.round(performance.now() - at)} ms after the refresh`);
  assert.deepEqual(await policiesOf(here, fresh), ['default', 'my-app']);
  await cluster.remove('follows');
}
