// What this world sees of a pod without asking kubelet: the processes of its containers, by their cgroups, and its token.

import { globSync, readFileSync } from 'node:fs';
import { procText } from '../support/proc.ts';
import { type ContainerStatus, type StoredPod, sidecarOf } from './cluster.ts';

export const MEMORY = '/sys/fs/cgroup/memory/vault-token-sidecar-node';

/** The directory of a container's memory cgroup. */
export function cgroupOf({ metadata: { uid } }: StoredPod, container: ContainerStatus | undefined): string {
  const id = container?.containerID?.replace('containerd://', '') ?? 'none';
  const [found] = globSync(`${MEMORY}/kubepods/**/pod${uid}/${id}`);
  if (found === undefined) throw new Error(`${container?.name} has no cgroup`);
  return found;
}

export function firstProcess(pod: StoredPod, container: ContainerStatus | undefined): number {
  const [first] = readFileSync(`${cgroupOf(pod, container)}/cgroup.procs`, 'utf8')
    .trim()
    .split('\n')
    .map(Number);
  if (first === undefined || first === 0) throw new Error(`${container?.name} has no process`);
  return first;
}

/** The token's file, in kubelet's directory. */
export const tokenFile = ({ metadata: { uid } }: StoredPod): string =>
  `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~empty-dir/vault-token/token`;

/** Sends a signal to the first process of the pod's sidecar. */
export const signalSidecar = (pod: StoredPod, signal: NodeJS.Signals): void =>
  void process.kill(firstProcess(pod, sidecarOf(pod)), signal);

/** The memory of a process in MiB: its own pages, and its share of those that it has in common with others. */
export const pssOf = (pid: number): number => Number(/^Pss:\s+(\d+)/m.exec(procText(pid, 'smaps_rollup'))?.[1]) / 1024;
