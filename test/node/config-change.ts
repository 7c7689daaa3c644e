// A change of the config: a new ConfigMap name rolls the Deployment; the same name needs a reload.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import { isRunning, SIDECAR, sidecarOf } from './cluster.ts';
import type { Here } from './example-pod.ts';
import { CONFIG_MAPS, createConfigured } from './pod-changes.ts';

/** Kubelet writes the new file into the volume; the sidecar rereads it at SIGHUP, without a restart. */
export async function reloads(_t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  await createConfigured(here, 'reloads', () => {});
  const before = await cluster.untilPod('reloads', 'the application runs', isRunning);
  const changed = here.config((config) => {
    config['log'] = { level: 'debug' };
  });
  await cluster.ask('PATCH', `${CONFIG_MAPS}/reloads`, { data: changed });
  // kubelet looks within about a minute; a change of the pod makes it look at once
  await cluster.patch('reloads', { metadata: { annotations: { look: 'now' } } });
  const config = () => cluster.exec('reloads', SIDECAR, '/nodejs/bin/node', '-p', READ);
  await until('the file in the pod changes', async () => (await config()).includes('debug'), 120_000);
  const log = () => cluster.logs('reloads', SIDECAR);
  assert.ok(!(await log()).includes('config_reloaded'), 'the sidecar waits for a signal');
  await cluster.exec('reloads', SIDECAR, '/nodejs/bin/node', '-e', 'process.kill(1, "SIGHUP")');
  await until('the config is reloaded', async () => (await log()).includes('"event":"config_reloaded"'), 30_000);
  assert.equal(sidecarOf(await cluster.pod('reloads'))?.containerID, sidecarOf(before)?.containerID);
  await cluster.remove('reloads');
}

const READ = 'require("fs").readFileSync("/etc/vault-token-sidecar/config.json", "utf8")';

/** kustomize names a changed ConfigMap differently, so that the Deployment replaces its pods. */
export async function rollsOut(_t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  await here.apply((config) => {
    config['log'] = { level: 'debug' };
  });
  await cluster.kubectl('rollout', 'status', 'deployment/my-app', '--timeout=120s');
}
