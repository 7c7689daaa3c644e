// A chart with the library, installed by helm: its init container and its application read the token.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { consumerChart, openHelm } from '../deploy/helm-charts.ts';
import { until } from '../support/settling.ts';
import { APP_IMAGE } from './app-image.ts';
import { isRunning } from './cluster.ts';
import { VAULT_NAME, VAULT_PORT } from './example.ts';
import { type Here, policiesOf } from './example-pod.ts';
import { ADDRESS } from './world.ts';

const RELEASE = 'helm-app';

export async function installsByHelm(t: TestContext, here: Here): Promise<void> {
  const { cluster, node } = here;
  await here.writeRole(RELEASE, {
    bound_subject: `system:serviceaccount:my-app:${RELEASE}`,
    token_policies: ['my-app'],
  });
  await here.createCaMap('helm-ca');
  const helm = await openHelm(t, node.kubernetes.environment);
  const values = {
    image: APP_IMAGE,
    'vaultTokenSidecar.role': RELEASE,
    'vaultTokenSidecar.vault.address': `https://${ADDRESS}:${VAULT_PORT}`,
    'vaultTokenSidecar.vault.tlsServerName': VAULT_NAME,
    'vaultTokenSidecar.vault.caConfigMap': 'helm-ca',
  };
  const flags = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  helm.run('install', RELEASE, await consumerChart(t, helm), '--namespace', 'my-app', ...flags);
  const pods = () => cluster.pods(`app.kubernetes.io/name=${RELEASE}`);
  const pod = await until('the application runs', async () => (await pods()).find(isRunning), 90_000);
  const token = await cluster.token(pod.metadata.name);
  assert.equal(await cluster.logs(pod.metadata.name, 'migrate'), token);
  assert.deepEqual(await policiesOf(here, token), ['default', 'my-app']);
  helm.run('uninstall', RELEASE, '--namespace', 'my-app');
}
