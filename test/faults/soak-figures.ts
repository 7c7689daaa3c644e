// What a soak measures of a process, and what of it may not grow.

import { memoryOf, openFiles } from '../support/proc.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMiB: number;
  readonly anonymousMiB: number;
  readonly descriptors: number;
  readonly handles: number;
}

/** One look at the process; undefined where it, or its metrics, can't be read. */
export function sampleOf(pid: number, metrics: string): Sample | undefined {
  const { residentMiB, anonymousMiB } = memoryOf(pid);
  const handles = Number(/^nodejs_active_resources_total (\d+)/m.exec(metrics)?.[1]);
  if (Number.isNaN(residentMiB) || Number.isNaN(handles)) return undefined;
  return {
    atMs: performance.now(),
    rssMiB: residentMiB,
    anonymousMiB,
    descriptors: openFiles(pid),
    handles,
  };
}

interface Kind {
  readonly kind: Exclude<keyof Sample, 'atMs'>;
  readonly name: string;
  readonly unit: string;
  /** by how much the last quarter may be above the second one */
  readonly growth: number;
  readonly most: number;
}

// of the resident memory some 45 MiB are Node's own file, which all processes share and which can be dropped
const KINDS: readonly Kind[] = [
  { kind: 'rssMiB', name: 'resident memory', unit: 'MiB', growth: 5, most: 100 },
  { kind: 'anonymousMiB', name: 'of it anonymous', unit: 'MiB', growth: 5, most: 64 },
  { kind: 'descriptors', name: 'descriptors', unit: '', growth: 3, most: 100 },
  { kind: 'handles', name: 'active handles', unit: '', growth: 3, most: 100 },
];

/** In less than this the warming up isn't over, of which V8's heap is the most. */
const WARM_MS = 120_000;
const WARMING_UP = 3;

/** What grew, or was too much; empty when all is well. */
export function judge(samples: readonly Sample[]): string[] {
  const lastedMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  const patience = lastedMs < WARM_MS ? WARMING_UP : 1;
  return KINDS.flatMap((one) => {
    const { from, to, most } = compare(samples, one);
    const problems: string[] = [];
    // written so that a NaN is a problem too
    if (!(to - from <= one.growth * patience)) problems.push(`${one.name}: grew from ${from} to ${to} ${one.unit}`);
    if (!(most < one.most)) problems.push(`${one.name}: ${most} ${one.unit}`);
    return problems;
  });
}

/** A line for each kind. */
export function figures(samples: readonly Sample[]): string[] {
  return KINDS.map((one) => {
    const { from, to, most, anHour } = compare(samples, one);
    const told = (value: number) => value.toFixed(one.unit === '' ? 0 : 1).padStart(6);
    const slope = `${anHour < 0 ? '' : '+'}${anHour.toFixed(1)}`;
    return `${one.name.padEnd(18)}${told(from)} then${told(to)} at the end${told(most)} at most, ${slope.padStart(6)} an hour  ${one.unit}`;
  });
}

/** The medians of the second and of the last quarter, so that neither warming up nor a moment counts. */
function compare(samples: readonly Sample[], { kind }: Kind) {
  const quarter = Math.floor(samples.length / 4);
  const median = (part: readonly Sample[]) =>
    part.map((sample) => sample[kind]).sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? Number.NaN;
  return {
    from: median(samples.slice(quarter, 2 * quarter)),
    to: median(samples.slice(-quarter)),
    most: Math.max(...samples.map((sample) => sample[kind])),
    anHour: slope(samples.slice(quarter), kind) * 3_600_000,
  };
}

/** The least-squares slope per millisecond. */
function slope(samples: readonly Sample[], kind: Kind['kind']): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [at, value] = [mean(samples.map(({ atMs }) => atMs)), mean(samples.map((sample) => sample[kind]))];
  const both = mean(samples.map((sample) => (sample.atMs - at) * (sample[kind] - value)));
  return both / mean(samples.map(({ atMs }) => (atMs - at) ** 2));
}
