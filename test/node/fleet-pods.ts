// Many pods like the example's. This world sees their token files below kubelet's directory.

import { readFileSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/settling.ts';
import { isRunning, SIDECAR, sidecarOf } from './cluster.ts';
import { type Here, hasEnded } from './example-pod.ts';
import { kept, type PodChange, withApp } from './pod-changes.ts';
import { firstProcess, pssOf, tokenFile } from './processes.ts';

const LABEL = 'fleet';
const LIMIT_MS = 300_000;
const LOOK_MS = 500;

const waiting = withApp({ command: ['sh', '-c', "trap 'exit 0' TERM; sleep 3600 & wait $!"] });
/** Kubelet on two cores can't end all of them within the usual 30 s. */
const patient: PodChange = ({ spec, ...pod }) => ({ ...pod, spec: { ...spec, terminationGracePeriodSeconds: 180 } });
const labelled: PodChange = (pod) => ({
  ...pod,
  metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [LABEL]: 'yes' } },
});

export function podFleet({ cluster, node }: Here, count: number) {
  const pods = () => cluster.pods(LABEL);
  const names = Array.from({ length: count }, (_, index) => `fleet-${index + 1}`);
  return {
    pods,
    /** @returns when each application started, in milliseconds after the creation of all pods */
    async start(): Promise<readonly number[]> {
      const at = performance.now();
      await Promise.all(names.map((name) => cluster.create(name, (pod) => labelled(kept(waiting(patient(pod)))))));
      const running = new Map<string, number>();
      while (running.size < count && performance.now() < at + LIMIT_MS) {
        for (const pod of await pods()) {
          const { name } = pod.metadata;
          if (isRunning(pod) && !running.has(name)) running.set(name, performance.now() - at);
        }
        await pause(LOOK_MS);
      }
      return [...running.values()];
    },
    /** The memory of each sidecar, with its share of what processes have in common. */
    async pssMiB(): Promise<readonly number[]> {
      return (await pods()).map((pod) => pssOf(firstProcess(pod, sidecarOf(pod))));
    },
    /** For the message of a failure: the logs of sidecars that restarted, warned, or logged in more than `logins` times. */
    async story(logins: number): Promise<string> {
      const stories = (await pods()).map(async (pod) => {
        const restarts = sidecarOf(pod)?.restartCount ?? 0;
        const log = await cluster.logs(pod.metadata.name, SIDECAR);
        const isPlain = log.split('"logged_in"').length <= 1 + logins && !/"level":"(warn|error)"/.test(log);
        return restarts === 0 && isPlain ? '' : `${pod.metadata.name}, ${restarts} restarts:\n${log}`;
      });
      return (await Promise.all(stories)).join('');
    },
    /** Restarts kubelet. @returns when each pod had another token, in milliseconds after that */
    async rotate(): Promise<readonly number[]> {
      const files = (await pods()).map(tokenFile);
      const old = files.map((file) => readFileSync(file, 'utf8'));
      const at = Date.now();
      await node.restartKubelet();
      const isNew = (file: string, index: number) => readFileSync(file, 'utf8') !== old[index];
      await until('all tokens are new', () => files.every(isNew), LIMIT_MS);
      return files.map((file) => statSync(file).mtimeMs - at);
    },
    /** @returns the exit codes of the sidecars, and how long it took */
    async end(): Promise<{ tookMs: number; codes: readonly (number | undefined)[] }> {
      const at = performance.now();
      await Promise.all(names.map((name) => cluster.remove(name)));
      await until('all pods have ended', async () => (await pods()).every(hasEnded), LIMIT_MS);
      const tookMs = performance.now() - at;
      const codes = (await pods()).map((pod) => sidecarOf(pod)?.state.terminated?.exitCode);
      await Promise.all(names.map((name) => cluster.patch(name, { metadata: { finalizers: null } })));
      return { tookMs, codes };
    },
  };
}
