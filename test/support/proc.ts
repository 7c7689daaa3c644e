// What Linux tells of a process under /proc.

import { readdirSync, readFileSync } from 'node:fs';

/** A file of /proc/PID as text; empty when the process is gone. */
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

/** How often a thread of the process had waited and went on. */
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

/** NaN when the process is gone. */
export function memoryOf(pid: number): Memory {
  const status = procText(pid, 'status');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { residentMiB: mebibytes('VmRSS'), anonymousMiB: mebibytes('RssAnon') };
}
