// Pods that the admission policy injects the sidecar into, with containers of different users. The policy is installed by
// kustomize, then by helm.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { CHART, openHelm } from '../deploy/helm-charts.ts';
import { changeSettings } from '../deploy/kubernetes-policy.ts';
import { INJECT } from '../deploy/kubernetes-workloads.ts';
import { until } from '../support/settling.ts';
import { appOf, isRunning, PODS } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

const ISSUER = 'https://k8s-prod.oidc.pub';
const USERS = [1000, 2000];

export async function injected(t: TestContext, here: Here): Promise<void> {
  const { kubernetes } = here.node;
  await here.createCaMap('vault-ca');
  execFileSync('kubectl', ['apply', '-k', 'deploy/kubernetes/policy'], { env: kubernetes.environment });
  changeSettings(kubernetes, { ca_config_map: 'vault-ca', VTS_ISSUER: ISSUER });
  await t.test('by the manifests', () => injects(here, 'by-manifests', 'vault-ca'));
  for (const kind of ['mutatingadmissionpolicybinding', 'mutatingadmissionpolicy'])
    execFileSync('kubectl', ['delete', kind, '--all'], { env: kubernetes.environment });
  const helm = await openHelm(t, kubernetes.environment);
  const { address } = here.readConfig().vault;
  const values = { enabled: true, issuer: ISSUER, logLevel: 'debug', 'vault.address': address };
  const flags = Object.entries({ ...values, 'vault.caConfigMap': 'vault-ca' }).map(
    ([name, value]) => `--set=policy.${name}=${value}`,
  );
  helm.run('install', 'injector', CHART, '--namespace', 'default', ...flags);
  await t.test('by the chart', () => injects(here, 'by-chart', '"debug"'));
}

/** @param sign what the injected part of a pod contains when the policy takes effect, which is not at once */
async function injects(here: Here, name: string, sign: string): Promise<void> {
  const { cluster } = here;
  const pod = labelledPod(here, name);
  const dryRun = () => cluster.ask<{ spec: object }>('POST', `${PODS}?dryRun=All`, pod);
  await until('the policy injects', async () => JSON.stringify((await dryRun()).spec).includes(sign), 60_000);
  await cluster.ask('POST', PODS, pod);
  const running = await cluster.untilPod(name, 'the application runs', isRunning);
  assert.equal(appOf(running)?.restartCount, 0);
  for (const user of USERS) {
    const token = await cluster.exec(name, `user-${user}`, 'cat', '/vault/token');
    assert.deepEqual(await policiesOf(here, token), ['default', 'my-app']);
  }
  await cluster.remove(name);
}

function labelledPod({ node }: Here, name: string) {
  const { hostAliases, containers } = node.kubernetes.podOf('deployment/my-app').spec;
  const [app] = containers;
  const base = { ...app, command: ['sleep', '3600'], env: [], volumeMounts: [] };
  return {
    metadata: { name, labels: INJECT },
    spec: {
      serviceAccountName: 'my-app',
      automountServiceAccountToken: false,
      hostAliases,
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: USERS.map((runAsUser) => ({
        ...base,
        name: `user-${runAsUser}`,
        securityContext: { ...app?.securityContext, runAsUser },
      })),
    },
  };
}
