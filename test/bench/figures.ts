// How the benchmarks report their measurements: medians with their spread, memory, rows of the table, targets.

import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Memory } from '../support/proc.ts';

/** A row of the table. */
export interface Row {
  readonly what: string;
  readonly sidecar: string;
  /** empty if Vault Agent isn't measured */
  readonly agent: string;
  readonly targets: readonly Target[];
}

export interface Target {
  /** the target, the tolerance and the measured value */
  readonly text: string;
  readonly isMissed: boolean;
}

/** A row without a measurement of Vault Agent. */
export const ownRow = (what: string, sidecar: string, ...targets: readonly Target[]): Row => ({
  what,
  sidecar,
  agent: '',
  targets,
});

interface Limit {
  readonly most: number;
  readonly unit: string;
  /** the share above `most` that counts as noise */
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

/** Polls the file every millisecond until its content differs from `before`; returns the content. */
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

/** The median, the minimum and the maximum. */
export function spread(samples: readonly number[], unit = 'ms'): string {
  const at = (share: number) => quantile(samples, share).toFixed(0);
  return `p50 ${at(0.5)} ${unit} (${at(0)}-${at(1)}, n ${samples.length})`;
}

export const told = ({ residentMiB, anonymousMiB }: Memory): string =>
  `${residentMiB.toFixed(0)} MiB resident, ${anonymousMiB.toFixed(0)} MiB anonymous`;
