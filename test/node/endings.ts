// How pods with the sidecar end: Jobs that succeed and fail, a CronJob, and a pod whose application uses up the grace period
// while Vault hangs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { isRunning, PODS, type StoredPod, sidecarOf } from './cluster.ts';
import type { Config } from './example.ts';
import { type Here, hasEnded } from './example-pod.ts';
import { createConfigured, kept, type PodChange, withApp } from './pod-changes.ts';
import { ADDRESS } from './world.ts';

/** The pod of a Job, after all its containers have ended. */
async function podOfJob({ cluster }: Here, job: string): Promise<StoredPod> {
  const pods = () => cluster.pods(`job-name=${job}`);
  return until(
    `the job ${job} ends`,
    async () => (await pods()).find((pod) => /Succeeded|Failed/.test(pod.status.phase) && hasEnded(pod)),
    120_000,
  );
}

export async function jobSucceeds(_t: TestContext, here: Here): Promise<void> {
  const pod = await podOfJob(here, 'migrate');
  assert.equal(pod.status.phase, 'Succeeded');
  assert.equal(sidecarOf(pod)?.state.terminated?.exitCode, 0);
  assert.match(await here.cluster.logs(pod.metadata.name, 'migrate'), /^read$/m);
}

export async function cronJobSucceeds(_t: TestContext, here: Here): Promise<void> {
  await here.cluster.kubectl('create', 'job', 'rotate-now', '--from=cronjob/rotate');
  const pod = await podOfJob(here, 'rotate-now');
  assert.equal(pod.status.phase, 'Succeeded');
  assert.equal(sidecarOf(pod)?.state.terminated?.exitCode, 0);
  assert.match(await here.cluster.logs(pod.metadata.name, 'rotate'), /^read$/m);
}

export async function jobFails(_t: TestContext, here: Here): Promise<void> {
  const { metadata, spec } = here.node.kubernetes.podOf('job/migrate');
  const [app] = spec.containers;
  const template = {
    metadata: { labels: {} },
    spec: { ...spec, containers: [{ ...app, command: ['sh', '-c', 'exit 3'] }] },
  };
  await here.cluster.ask('POST', '/apis/batch/v1/namespaces/my-app/jobs', {
    metadata: { name: `${metadata.name}-fails` },
    spec: { template, backoffLimit: 0 },
  });
  const pod = await podOfJob(here, 'migrate-fails');
  assert.equal(pod.status.phase, 'Failed');
  assert.equal(pod.status.containerStatuses?.[0]?.state.terminated?.exitCode, 3);
  assert.equal(sidecarOf(pod)?.state.terminated?.exitCode, 0);
}

/** The application ignores SIGTERM, and Vault hangs when the sidecar revokes its token in the two seconds that are left. */
export async function graceIsUsedUp(t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  const { port, hang } = await openHangingRoad(t, 8200);
  const revokes = (config: Config) => {
    config.vault.address = `https://vault.example.com:${port}`;
    config.exchanges.app['on_stop'] = 'revoke';
  };
  const ignoring = withApp({ command: ['sh', '-c', "trap '' TERM; while :; do sleep 1; done"] });
  const impatient: PodChange = ({ spec, ...pod }) => ({ ...pod, spec: { ...spec, terminationGracePeriodSeconds: 5 } });
  await createConfigured(here, 'ignores', revokes, ignoring, impatient, kept);
  await cluster.untilPod('ignores', 'the application runs', isRunning);
  hang();
  const at = performance.now();
  await cluster.remove('ignores');
  assert.deepEqual(await codesOf(here, 'ignores'), [137, 0], 'the application is killed, the sidecar ends in time');
  t.diagnostic(`ended after ${((performance.now() - at) / 1000).toFixed(1)} s, 5 of them the grace period`);
}

/** Eviction by the API, as `kubectl drain` does it. */
export async function isDrained(_t: TestContext, here: Here): Promise<void> {
  const { cluster, vault } = here;
  await createConfigured(here, 'drained', ({ exchanges }) => Object.assign(exchanges.app, { on_stop: 'revoke' }), kept);
  await cluster.untilPod('drained', 'the application runs', isRunning);
  const token = await cluster.token('drained');
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'drained' } };
  await cluster.ask('POST', `${PODS}/drained/eviction`, eviction);
  assert.deepEqual(await codesOf(here, 'drained'), [0, 0]);
  const look = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
  assert.equal(look.status, 403, 'the token is revoked');
}

/** Eviction by kubelet, which allows a second: the pod uses more of the node's disk than it may. */
export async function isEvicted(t: TestContext, { cluster }: Here): Promise<void> {
  const { name, volume } = { name: 'evicted', volume: 'scratch' };
  await cluster.create(name, ({ spec, ...pod }) => {
    const [app] = spec.containers;
    const volumeMounts = [...(app?.volumeMounts ?? []), { name: volume, mountPath: '/scratch' }];
    const volumes = [...(spec.volumes ?? []), { name: volume, emptyDir: { sizeLimit: '1Mi' } }];
    return withApp({ volumeMounts })({ ...pod, spec: { ...spec, volumes } });
  });
  await cluster.untilPod(name, 'the application runs', isRunning);
  const at = performance.now();
  await cluster.exec(name, 'app', 'sh', '-c', 'cat /usr/bin/curl /usr/bin/vault > /scratch/large');
  const { status } = await cluster.untilPod(
    name,
    'kubelet evicts it',
    (pod) => pod.status.phase === 'Failed' && hasEnded(pod),
  );
  t.diagnostic(`evicted after ${((performance.now() - at) / 1000).toFixed(1)} s, codes ${codes(status)}`);
  assert.equal(status.reason, 'Evicted');
  await cluster.remove(name);
}

/** Waits for the end of a deleted pod. @returns the exit codes of its application and its sidecar */
async function codesOf({ cluster }: Here, name: string): Promise<readonly (number | undefined)[]> {
  const { status } = await cluster.untilPod(name, 'all containers have ended', hasEnded);
  await cluster.patch(name, { metadata: { finalizers: null } });
  return codes(status);
}

const codes = ({ containerStatuses, initContainerStatuses }: StoredPod['status']) =>
  [containerStatuses, initContainerStatuses].map((list) => list?.[0]?.state.terminated?.exitCode);

/** A port that leads to another port of this world, until it hangs. */
async function openHangingRoad(t: TestContext, to: number): Promise<{ port: number; hang: () => void }> {
  const sockets = new Set<Socket>();
  let isHanging = false;
  const server = createServer((client) => {
    const target = connect(to, '127.0.0.1');
    for (const [from, onto] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => onto.destroy());
      from.on('data', (chunk) => isHanging || onto.write(chunk));
      from.on('end', () => isHanging || onto.end());
    }
  });
  server.listen(0, ADDRESS);
  await once(server, 'listening');
  scopeOf(t).after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hang: () => {
      isHanging = true;
    },
  };
}
