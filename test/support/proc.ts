// Reads figures of a process from /proc.

import { readdirSync, readFileSync } from 'node:fs';

/** A file of /proc/PID as text; empty if the process has exited. */
export function procText(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

export const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** The processor time that the process has used, in milliseconds. */
export function cpuMs(pid: number): number {
  const fields = procText(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** The sum of all voluntary context switches of the process's threads. */
export function wakeUps(pid: number): number {
  const counts = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(procText(pid, `task/${thread}/status`))?.[1]),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

export interface Memory {
  readonly residentMiB: number;
  readonly anonymousMiB: number;
}

/** NaN if the process has exited. */
export function memoryOf(pid: number): Memory {
  const status = procText(pid, 'status');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { residentMiB: mebibytes('VmRSS'), anonymousMiB: mebibytes('RssAnon') };
}
