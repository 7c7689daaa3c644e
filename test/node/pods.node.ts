// Pods with the sidecar on a Kubernetes node with kubelet and containerd, against a real Vault: the example of deploy/kubernetes
// from its start to its end.

import { test } from 'node:test';
import { openCluster } from './cluster.ts';
import { openExample } from './example.ts';
import { example } from './example-pod.ts';
import { openNode } from './node.ts';

test('pods on a Kubernetes node', async (t) => {
  const startedAt = performance.now();
  const node = await openNode(t);
  t.diagnostic(`the node is ready after ${seconds(startedAt)} s`);
  const vaultAt = performance.now();
  const here = { node, cluster: openCluster(node.kubernetes), ...(await openExample(t, node)) };
  t.diagnostic(`Vault is ready after ${seconds(vaultAt)} s`);
  await t.test('the example', (t) => example(t, here));
});

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1);
