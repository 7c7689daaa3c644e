// What the benchmarks measure, and how they tell it: a median with its spread, memory, processor time, wake-ups.

import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly sidecar: string;
  /** empty where there is nothing to compare */
  readonly agent: string;
  readonly target: string;
}

const LIMIT_MS = 15_000;

/** Looks every millisecond until the file holds something else than `before`; answers what. */
export async function untilChanged(path: string, before: string | undefined, limitMs = LIMIT_MS): Promise<string> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    if (performance.now() > deadline) throw new Error(`${path} didn't change within ${limitMs} ms`);
    const now = await readFile(path, 'utf8').catch(() => undefined);
    if (now !== undefined && now !== '' && now !== before) return now;
    await pause(1);
  }
}

export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** The median, and between which the rest lies. */
export function spread(samples: readonly number[], unit = 'ms'): string {
  const at = (share: number) => quantile(samples, share).toFixed(0);
  return `p50 ${at(0.5)} ${unit} (${at(0)}-${at(1)}, n ${samples.length})`;
}

export const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)} x`;

export interface Memory {
  readonly residentMiB: number;
  readonly anonymousMiB: number;
}

export function memoryOf(pid: number | undefined): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { residentMiB: mebibytes('VmRSS'), anonymousMiB: mebibytes('RssAnon') };
}

export const told = ({ residentMiB, anonymousMiB }: Memory): string =>
  `${residentMiB.toFixed(0)} MiB, ${anonymousMiB.toFixed(0)} of it anonymous`;

export interface Effort {
  readonly cpuMs: number;
  /** how often one of its threads had waited and went on */
  readonly wakeUps: number;
}

export function effortOf(pid: number | undefined): Effort {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'),
  );
  const wakeUps = threads.map((status) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]));
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    wakeUps: wakeUps.reduce((sum, count) => sum + count, 0),
  };
}
