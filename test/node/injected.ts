// A pod that the admission policy injects the sidecar into, with containers of different users.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { changeSettings } from '../deploy/kubernetes-policy.ts';
import { INJECT } from '../deploy/kubernetes-workloads.ts';
import { until } from '../support/settling.ts';
import { appOf, isRunning } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

export async function injected(_t: TestContext, here: Here): Promise<void> {
  const { cluster, node } = here;
  execFileSync('kubectl', ['apply', '-k', 'deploy/kubernetes/policy'], { env: node.kubernetes.environment });
  await cluster.ask('POST', '/api/v1/namespaces/my-app/configmaps', {
    metadata: { name: 'vault-ca' },
    data: { 'ca.crt': node.publisher.ca.cert },
  });
  changeSettings(node.kubernetes, { ca_config_map: 'vault-ca', VTS_ISSUER: 'https://k8s-prod.oidc.pub' });
  const plain = node.kubernetes.podOf('deployment/my-app').spec;
  const [app] = plain.containers;
  const base = { ...app, command: ['sleep', '3600'], env: [], volumeMounts: [] };
  const users = [1000, 2000];
  const containers = users.map((runAsUser) => ({
    ...base,
    name: `user-${runAsUser}`,
    securityContext: { ...app?.securityContext, runAsUser },
  }));
  const pod = {
    metadata: { name: 'injected', labels: INJECT },
    spec: {
      serviceAccountName: 'my-app',
      automountServiceAccountToken: false,
      hostAliases: plain.hostAliases,
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers,
    },
  };
  const path = '/api/v1/namespaces/my-app/pods';
  // a new policy takes effect with a delay
  await until(
    'the policy injects',
    async () => {
      const dry = await cluster.ask<{ spec: typeof plain }>('POST', `${path}?dryRun=All`, pod);
      return JSON.stringify(dry.spec).includes('vault-ca');
    },
    60_000,
  );
  await cluster.ask('POST', path, pod);
  const running = await cluster.untilPod('injected', 'the application runs', isRunning);
  assert.equal(appOf(running)?.restartCount, 0);
  for (const user of users) {
    const token = await cluster.exec('injected', `user-${user}`, 'cat', '/vault/token');
    assert.deepEqual(await policiesOf(here, token), ['default', 'my-app']);
  }
  await cluster.remove('injected');
}
