// An upgrade of the sidecar alone: a patch of the pod's image restarts that container only, and with `on_start: reuse` the token
// lives on.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { appOf, isRunning, SIDECAR, sidecarOf } from './cluster.ts';
import type { Change } from './example.ts';
import { type Here, policiesOf } from './example-pod.ts';
import { createConfigured } from './pod-changes.ts';

export async function upgradesAlone(t: TestContext, here: Here): Promise<void> {
  const { cluster, node } = here;
  const reuse: Change = ({ exchanges: { app } }) => {
    app['on_start'] = 'reuse';
    (app['sinks'] as unknown[]).push({ file: { path: '/vault/token.json', format: 'json' } });
  };
  await createConfigured(here, 'upgrades', reuse);
  const before = await cluster.untilPod('upgrades', 'the application runs', isRunning);
  const token = await cluster.token('upgrades');
  const image = before.spec.initContainers?.[0]?.image ?? '';
  const upgraded = image.replace(/:[^:]*$/, ':99.0.0');
  await node.tagImage(image, upgraded);
  const at = performance.now();
  await cluster.kubectl('set', 'image', 'pod/upgrades', `${SIDECAR}=${upgraded}`);
  const after = await cluster.untilPod(
    'upgrades',
    'another sidecar runs',
    (pod) => sidecarOf(pod)?.restartCount === 1 && sidecarOf(pod)?.started === true,
  );
  t.diagnostic(`upgraded within ${((performance.now() - at) / 1000).toFixed(1)} s`);
  assert.equal(sidecarOf(after)?.lastState.terminated?.exitCode, 0);
  assert.equal(appOf(after)?.containerID, appOf(before)?.containerID);
  assert.equal(await cluster.token('upgrades'), token);
  // kubelet shows a new log with a delay
  await until(
    'the log',
    async () => (await cluster.logs('upgrades', SIDECAR)).includes('"event":"token_reused"'),
    30_000,
  );
  assert.deepEqual(await policiesOf(here, token), ['default', 'my-app']);
  await cluster.remove('upgrades');
}
