// Pods with the sidecar on a Kubernetes node with kubelet and containerd, against a real Vault: the example of deploy/kubernetes
// from its start to its end, then faults, Jobs and other ways to deploy it.

import { test } from 'node:test';
import { openCluster } from './cluster.ts';
import { reloads, rollsOut } from './config-change.ts';
import { followsEmptyVault } from './empty-vault.ts';
import { cronJobSucceeds, graceIsUsedUp, jobFails, jobSucceeds } from './endings.ts';
import { openExample } from './example.ts';
import { example } from './example-pod.ts';
import { hangs, isMeasured, runsOutOfMemory } from './faults.ts';
import { injected } from './injected.ts';
import { openNode } from './node.ts';
import { twoExchanges } from './two-exchanges.ts';

const SCENARIOS = {
  'a sidecar that hangs is replaced, and the application goes on': hangs,
  'the memory limit leaves room for status and doctor': isMeasured,
  'a sidecar that runs out of memory says so in the status of its pod': runsOutOfMemory,
  'a Job that succeeds': jobSucceeds,
  'a Job that fails': jobFails,
  'a CronJob': cronJobSucceeds,
  'a pod that the policy injected, with different users': injected,
  'a changed ConfigMap applies at SIGHUP': reloads,
  'a pod with two exchanges': twoExchanges,
};

test('pods on a Kubernetes node', { concurrency: Object.keys(SCENARIOS).length }, async (t) => {
  const startedAt = performance.now();
  const node = await openNode(t);
  t.diagnostic(`the node is ready after ${seconds(startedAt)} s`);
  const vaultAt = performance.now();
  const here = { node, cluster: openCluster(node.kubernetes), ...(await openExample(t, node)) };
  t.diagnostic(`Vault is ready after ${seconds(vaultAt)} s`);
  await t.test('the example', (t) => example(t, here));
  await here.applyJobs();
  // together, since these wait most of the time
  await Promise.all(Object.entries(SCENARIOS).map(([name, scenario]) => t.test(name, (t) => scenario(t, here))));
  // alone, since kubelet allows the sidecar two seconds
  await t.test('the sidecar ends in time after an application that used up the grace period, while Vault hangs', (t) =>
    graceIsUsedUp(t, here),
  );
  await t.test('an empty Vault in place of the old one gets a login by refresh', (t) => followsEmptyVault(t, here));
  await t.test('a changed config replaces the pods', (t) => rollsOut(t, here));
});

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1);
