// The processes of a pod's containers, which this world sees, by the cgroup that kubelet gave them.

import { globSync, readFileSync } from 'node:fs';
import { type ContainerStatus, SIDECAR, type StoredPod, sidecarOf } from './cluster.ts';

const MEMORY = '/sys/fs/cgroup/memory/vault-token-sidecar-node';

/** The directory of a container's memory cgroup. */
export function cgroupOf({ metadata: { uid } }: StoredPod, container: ContainerStatus | undefined): string {
  const id = container?.containerID?.replace('containerd://', '') ?? 'none';
  const [found] = globSync(`${MEMORY}/kubepods/**/pod${uid}/${id}`);
  if (found === undefined) throw new Error(`${container?.name} has no cgroup`);
  return found;
}

/** Sends a signal to the first process of the pod's sidecar. */
export function signalSidecar(pod: StoredPod, signal: NodeJS.Signals): void {
  const [first] = readFileSync(`${cgroupOf(pod, sidecarOf(pod))}/cgroup.procs`, 'utf8')
    .trim()
    .split('\n')
    .map(Number);
  if (first === undefined || first === 0) throw new Error(`${SIDECAR} has no process`);
  process.kill(first, signal);
}
