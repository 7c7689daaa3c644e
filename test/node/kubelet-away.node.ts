// Kubelet is away for longer than the JWT lives, as on a node that can't reach the API server. This takes eleven minutes, since
// Kubernetes issues no JWT that lives for less than ten: npm run test:node -- kubelet-away

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../support/settling.ts';
import { isRunning, SIDECAR, type StoredPod, sidecarOf } from './cluster.ts';
import { openHere, policiesOf } from './example-pod.ts';
import { createConfigured, withJwts } from './pod-changes.ts';
import { tokenFile } from './processes.ts';

const LIFE_SECONDS = 600;

test('a pod keeps its token while kubelet is away for the whole life of the JWT', async (t) => {
  const here = await openHere(t);
  const { cluster, node } = here;
  await here.apply();
  await here.setup();
  await here.writeRole('short', { token_ttl: '60s' });
  const short = withJwts({ path: 'token', audience: 'vault', expirationSeconds: LIFE_SECONDS });
  await createConfigured(
    here,
    'alone',
    ({ exchanges }) => Object.assign(exchanges.app, { login: { role: 'short' } }),
    short,
  );
  const pod = await cluster.untilPod('alone', 'the application runs', isRunning);
  const token = () => readFileSync(tokenFile(pod), 'utf8');
  const old = token();
  await node.stopKubelet();
  const expiresAt = Date.parse(/"jwt_expires_at":"([^"]+)"/.exec(logOf(pod))?.[1] ?? '');
  const endOfJwt = () => Date.now() > expiresAt + 30_000;
  await until('the JWT has expired', endOfJwt, LIFE_SECONDS * 1000 + 60_000);
  assert.match(logOf(pod), /"event":"jwt_not_rotated"/);
  assert.equal(token(), old);
  assert.deepEqual(await policiesOf(here, old), ['default'], 'Vault renews the token without a JWT');
  const at = performance.now();
  node.startKubelet();
  await until('another token', () => token() !== old, 60_000);
  t.diagnostic(`another token ${((performance.now() - at) / 1000).toFixed(1)} s after kubelet is back`);
  assert.deepEqual(await policiesOf(here, token()), ['default']);
  await until('kubelet knows the pod again', async () => isRunning(await cluster.pod('alone')), 60_000);
  assert.equal(sidecarOf(await cluster.pod('alone'))?.containerID, sidecarOf(pod)?.containerID);
});

/** The sidecar's log, without kubelet. */
function logOf({ metadata: { name } }: StoredPod): string {
  const files = globSync(`/var/log/pods/my-app_${name}_*/${SIDECAR}/*.log`);
  return files.map((file) => readFileSync(file, 'utf8')).join('');
}
