// How pods with the sidecar end: Jobs that succeed and fail, a CronJob, and a pod whose application uses up the grace period
// while Vault hangs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { isRunning, type StoredPod, sidecarOf } from './cluster.ts';
import { type Here, hasEnded } from './example-pod.ts';
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
  const like = here.config((config) => {
    config.vault.address = `https://vault.example.com:${port}`;
    config.exchanges.app['on_stop'] = 'revoke';
  });
  await cluster.ask('POST', '/api/v1/namespaces/my-app/configmaps', { metadata: { name: 'revokes' }, data: like });
  await cluster.create('ignores', ({ metadata, spec: { volumes = [], containers, ...spec } }) => ({
    metadata: { ...metadata, finalizers: ['test/look'] },
    spec: {
      ...spec,
      terminationGracePeriodSeconds: 5,
      containers: containers.map((one) => ({
        ...one,
        command: ['sh', '-c', "trap '' TERM; while :; do sleep 1; done"],
      })),
      volumes: volumes.map((one) => (one.configMap === undefined ? one : { ...one, configMap: { name: 'revokes' } })),
    },
  }));
  await cluster.untilPod('ignores', 'the application runs', isRunning);
  hang();
  const at = performance.now();
  await cluster.remove('ignores');
  const { status } = await cluster.untilPod('ignores', 'all containers have ended', hasEnded);
  t.diagnostic(`ended after ${((performance.now() - at) / 1000).toFixed(1)} s, 5 of them the grace period`);
  const codes = [status.containerStatuses, status.initContainerStatuses].map(
    (list) => list?.[0]?.state.terminated?.exitCode,
  );
  assert.deepEqual(codes, [137, 0], 'the application is killed, the sidecar ends in time');
  await cluster.patch('ignores', { metadata: { finalizers: null } });
}

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
