// The life of the example's pod: admitted before Vault trusts the cluster, started, rotated, restarted, deleted.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { appOf, type Cluster, isRunning, openCluster, type StoredPod, sidecarOf } from './cluster.ts';
import { type Example, openExample } from './example.ts';
import { type KubernetesNode, openNode } from './node.ts';
import { signalSidecar } from './processes.ts';

export interface Here extends Example {
  readonly node: KubernetesNode;
  readonly cluster: Cluster;
}

/** Starts a node and Vault. */
export async function openHere(t: TestContext): Promise<Here> {
  const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);
  const startedAt = performance.now();
  const node = await openNode(t);
  t.diagnostic(`the node is ready after ${seconds(startedAt)} s`);
  const vaultAt = performance.now();
  const here = { node, cluster: openCluster(node.kubernetes), ...(await openExample(t, node)) };
  t.diagnostic(`Vault is ready after ${seconds(vaultAt)} s`);
  return here;
}

/** Selects the pods of the example's Deployment. */
export const LABEL = 'app.kubernetes.io/name=my-app';

export async function example(t: TestContext, here: Here): Promise<void> {
  const { cluster, node } = here;
  await here.apply();
  let name = '';
  const pod = () => cluster.pod(name);
  const token = () => cluster.token(name);

  await t.test('waits in a pod that was admitted before Vault trusts the cluster', async () => {
    const [first] = await until(
      'the Deployment has a pod',
      async () => (await cluster.pods(LABEL)).length > 0 && cluster.pods(LABEL),
      60_000,
    );
    name = first?.metadata.name ?? '';
    await cluster.untilPod(name, 'the sidecar runs', (one) => sidecarOf(one)?.state.running !== undefined);
    await until(
      'a login fails',
      async () => (await cluster.logs(name, 'vault-token-sidecar')).includes('login_failed'),
      60_000,
    );
    assert.equal(appOf(await pod())?.state.running, undefined, 'the application waits for its token');
    await here.setup();
    await cluster.untilPod(name, 'the application runs', isRunning);
    assert.equal(sidecarOf(await pod())?.restartCount, 0);
  });

  await t.test('gives the application a token of its role, in the file and on the socket', async () => {
    assert.equal(await cluster.exec(name, 'app', 'stat', '--format', '%a %u %g', '/vault/token'), '640 65532 65532\n');
    assert.deepEqual(await policiesOf(here, await token()), ['default', 'my-app']);
    const headers = ['X-Vault-Request: true', 'Accept: text/plain'].flatMap((header) => ['-H', header]);
    const ask = ['curl', '-sS', '--unix-socket', '/vault/api.sock', ...headers, 'http://localhost/v1/token'];
    assert.equal(await cluster.exec(name, 'app', ...ask), await token());
    await assert.rejects(cluster.exec(name, 'app', 'touch', '/vault/another'), /Read-only file system/);
  });

  await t.test('replaces the token when kubelet replaces the JWT, without touching a container', async (t) => {
    const [before, old] = [await pod(), await token()];
    const at = performance.now();
    await node.restartKubelet();
    const fresh = await until('another token', async () => (await token().catch(() => old)) !== old && token(), 60_000);
    t.diagnostic(`another token ${Math.round(performance.now() - at)} ms after the end of kubelet`);
    assert.deepEqual(await policiesOf(here, fresh), ['default', 'my-app']);
    assert.deepEqual(idsOf(await pod()), idsOf(before));
  });

  await t.test('a killed sidecar restarts, and the application goes on', async (t) => {
    const before = await pod();
    const at = performance.now();
    signalSidecar(before, 'SIGKILL');
    const after = await cluster.untilPod(
      name,
      'the sidecar is back',
      (one) => sidecarOf(one)?.restartCount === 1 && sidecarOf(one)?.started === true,
    );
    t.diagnostic(`restarted within ${Math.round(performance.now() - at)} ms`);
    assert.equal(sidecarOf(after)?.lastState.terminated?.exitCode, 137);
    assert.deepEqual(appOf(after)?.containerID, appOf(before)?.containerID);
    assert.deepEqual(await policiesOf(here, await token()), ['default', 'my-app']);
  });

  await t.test('deletion ends the application first, then the sidecar, both with exit code 0', async (t) => {
    await cluster.patch(name, { metadata: { finalizers: ['test/look'] } });
    const at = performance.now();
    await cluster.remove(name);
    const { status } = await cluster.untilPod(name, 'all containers have ended', hasEnded);
    t.diagnostic(`deleted within ${Math.round(performance.now() - at)} ms`);
    const [app, sidecar] = [status.containerStatuses?.[0], status.initContainerStatuses?.[0]].map(
      (one) => one?.state.terminated,
    );
    assert.deepEqual([app?.exitCode, sidecar?.exitCode], [0, 0]);
    assert.ok((app?.finishedAt ?? '') <= (sidecar?.finishedAt ?? ''));
    await cluster.patch(name, { metadata: { finalizers: null } });
  });
}

/** The policies of a token. @throws Error if Vault doesn't know it */
export async function policiesOf({ vault }: Pick<Here, 'vault'>, token: string): Promise<readonly string[]> {
  const { status, body } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
  assert.equal(status, 200, JSON.stringify(body));
  return (body['data'] as { policies: readonly string[] }).policies;
}

const idsOf = ({ status }: StoredPod) =>
  [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(({ containerID }) => containerID);

export const hasEnded = ({ status }: StoredPod): boolean =>
  [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].every(({ state }) => state.terminated);
