// How the benchmarks report what they measure: a median with its spread, memory, a line of the table, a target.

import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Memory } from '../support/proc.ts';

/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly sidecar: string;
  /** empty where there is nothing to compare */
  readonly agent: string;
  readonly targets: readonly Target[];
}

export interface Target {
  /** what is wanted, the tolerance, and what is */
  readonly text: string;
  readonly isMissed: boolean;
}

/** Where there is nothing to compare. */
export const ownRow = (what: string, sidecar: string, ...targets: readonly Target[]): Row => ({
  what,
  sidecar,
  agent: '',
  targets,
});

interface Limit {
  readonly most: number;
  readonly unit: string;
  /** the share above `most` that is taken for noise */
  readonly tolerance?: number;
  readonly digits?: number;
}

/** A value that may not exceed `most` by more than the tolerance; a value that isn't a number misses it. */
export function atMost(value: number, { most, unit, tolerance = 0.15, digits = 0 }: Limit): Target {
  const percent = `${Math.round(tolerance * 100)} %`;
  const text = `${most} ${unit} (+${percent}), is ${value.toFixed(digits)}`;
  return { text, isMissed: !(value <= most * (1 + tolerance)) };
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

export const told = ({ residentMiB, anonymousMiB }: Memory): string =>
  `${residentMiB.toFixed(0)} MiB resident, ${anonymousMiB.toFixed(0)} MiB anonymous`;
