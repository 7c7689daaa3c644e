// A pod with a user namespace of its own.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { isRunning, sidecarOf } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';
import { firstProcess } from './processes.ts';

export async function hasOwnUsers(_t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  await cluster.create('users', ({ spec, ...pod }) => ({ ...pod, spec: { ...spec, hostUsers: false } }));
  const pod = await cluster.untilPod('users', 'the application runs', isRunning);
  const map = readFileSync(`/proc/${firstProcess(pod, sidecarOf(pod))}/uid_map`, 'utf8');
  assert.doesNotMatch(map, /^ *0 +0 /, 'its users are others on the node');
  const token = await cluster.exec('users', 'app', 'cat', '/vault/token');
  assert.deepEqual(await policiesOf(here, token), ['default', 'my-app']);
  await cluster.remove('users');
}
