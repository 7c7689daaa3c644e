// Faults of the sidecar in a running pod: it hangs, or needs more memory than its limit.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { appOf, isRunning, SIDECAR, sidecarOf } from './cluster.ts';
import type { Here } from './example-pod.ts';
import { withSidecar } from './pod-changes.ts';
import { cgroupOf, signalSidecar } from './processes.ts';

export async function hangs(t: TestContext, { cluster }: Here): Promise<void> {
  await cluster.create('hangs', (pod) => pod);
  const before = await cluster.untilPod('hangs', 'the application runs', isRunning);
  const at = performance.now();
  signalSidecar(before, 'SIGSTOP');
  const after = await cluster.untilPod(
    'hangs',
    'another sidecar runs',
    (pod) => sidecarOf(pod)?.restartCount === 1 && sidecarOf(pod)?.started === true,
  );
  const tookMs = performance.now() - at;
  t.diagnostic(`a sidecar that hangs is replaced after ${(tookMs / 1000).toFixed(1)} s`);
  assert.equal(appOf(after)?.containerID, appOf(before)?.containerID);
  assert.ok(tookMs < 40_000, 'three probes of 5 s, and 5 s of grace; more on a busy machine');
  await cluster.remove('hangs');
}

export async function isMeasured(t: TestContext, { cluster }: Here): Promise<void> {
  await cluster.create('measured', (pod) => pod);
  const pod = await cluster.untilPod('measured', 'the application runs', isRunning);
  const mebibytes = (file: string) =>
    Number(readFileSync(`${cgroupOf(pod, sidecarOf(pod))}/${file}`, 'utf8')) / 2 ** 20;
  const atStart = mebibytes('memory.max_usage_in_bytes');
  assert.match(await cluster.exec('measured', SIDECAR, 'vault-token-sidecar', 'status'), /app/);
  assert.match(await cluster.command('measured', 'doctor'), /All is well|ok/i);
  const peak = mebibytes('memory.max_usage_in_bytes');
  t.diagnostic(`memory of the sidecar: ${atStart.toFixed()} MiB at most, ${peak.toFixed()} with status and doctor`);
  const limit = Number.parseInt(pod.spec.initContainers?.[0]?.resources?.limits?.['memory'] ?? '', 10);
  assert.ok(peak < limit * 0.9, `the limit of ${limit} MiB leaves no room above ${peak} MiB`);
  await cluster.remove('measured');
}

export async function runsOutOfMemory(_t: TestContext, { cluster }: Here): Promise<void> {
  await cluster.create('small', withSidecar({ resources: { limits: { memory: '20Mi' } } }));
  const pod = await cluster.untilPod(
    'small',
    'the sidecar is killed',
    (one) => (sidecarOf(one)?.restartCount ?? 0) > 0,
  );
  assert.equal(sidecarOf(pod)?.lastState.terminated?.reason, 'OOMKilled');
  assert.equal(appOf(pod)?.state.running, undefined, 'the application waits');
  await cluster.remove('small');
}
