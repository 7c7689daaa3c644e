// What a soak measures of a process, and what of it may not grow.

import { memoryOf, openFiles } from '../support/proc.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMiB: number;
  readonly anonymousMiB: number;
  readonly heapMiB: number;
  readonly descriptors: number;
  readonly handles: number;
}

/** One look at the process; undefined where it, or its metrics, can't be read. */
export function sampleOf(pid: number, metrics: string): Sample | undefined {
  const { residentMiB, anonymousMiB } = memoryOf(pid);
  const [handles, heap] = ['nodejs_active_resources_total', 'nodejs_heap_size_used_bytes'].map((name) =>
    Number(new RegExp(`^${name} (\\S+)`, 'm').exec(metrics)?.[1]),
  ) as [number, number];
  if (Number.isNaN(residentMiB) || Number.isNaN(handles) || Number.isNaN(heap)) return undefined;
  return {
    atMs: performance.now(),
    rssMiB: residentMiB,
    anonymousMiB,
    heapMiB: heap / 2 ** 20,
    descriptors: openFiles(pid),
    handles,
  };
}

interface Kind {
  readonly kind: Exclude<keyof Sample, 'atMs'>;
  readonly name: string;
  readonly unit: string;
  /** by how much the last quarter may be above the second one; three times that while the process warms up */
  readonly growth: number;
  /** the growth in an hour that would be too much for a process that runs for weeks */
  readonly anHour: number;
  readonly most: number;
}

// of the resident memory some 45 MiB are Node's own file, which all processes share and which can be dropped
const KINDS: readonly Kind[] = [
  { kind: 'rssMiB', name: 'resident memory', unit: 'MiB', growth: 5, anHour: 1, most: 100 },
  { kind: 'anonymousMiB', name: 'of it anonymous', unit: 'MiB', growth: 5, anHour: 1, most: 64 },
  { kind: 'heapMiB', name: 'used heap', unit: 'MiB', growth: 3.5, anHour: 0.5, most: 48 },
  { kind: 'descriptors', name: 'descriptors', unit: '', growth: 3, anHour: 1, most: 100 },
  { kind: 'handles', name: 'active handles', unit: '', growth: 3, anHour: 1, most: 100 },
];

/** In less than this the warming up isn't over, of which V8's heap is the most: no trend means anything yet. */
const WARM_MS = 120_000;
const WARMING_UP = 3;
const BLOCKS = 20;
/** standard errors by which a trend must be above its limit: with 20 blocks, one flat soak in a thousand is */
const CERTAIN = 3.6;

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
    if (lastedMs < 2 * WARM_MS) return problems;
    const { anHour, error } = trend(samples, one);
    if (!(anHour - CERTAIN * error <= one.anHour))
      problems.push(`${one.name}: grows by ${anHour.toFixed(1)} ${one.unit} an hour, give or take ${error.toFixed(1)}`);
    return problems;
  });
}

/** A line for each kind. */
export function figures(samples: readonly Sample[]): string[] {
  return KINDS.map((one) => {
    const { from, to, most } = compare(samples, one);
    const { anHour, error } = trend(samples, one);
    const told = (value: number) => value.toFixed(one.unit === '' ? 0 : 1).padStart(6);
    const slope = `${anHour < 0 ? '' : '+'}${anHour.toFixed(1)} ± ${error.toFixed(1)}`;
    return `${one.name.padEnd(18)}${told(from)} then${told(to)} at the end${told(most)} at most, ${slope.padStart(12)} an hour  ${one.unit}`;
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
  };
}

/**
 * The least-squares slope of the second half, and its standard error. Each of twenty blocks counts by its least value: what
 * the garbage collector leaves is the trend, and what it hasn't taken yet is noise.
 */
function trend(samples: readonly Sample[], { kind }: Kind): { readonly anHour: number; readonly error: number } {
  const half = samples.slice(Math.floor(samples.length / 2));
  const size = Math.floor(half.length / BLOCKS);
  const blocks = Array.from({ length: BLOCKS }, (_, index) => half.slice(index * size, (index + 1) * size));
  const points = blocks.map((block) => ({
    hours: mean(block.map(({ atMs }) => atMs)) / 3_600_000,
    value: Math.min(...block.map((sample) => sample[kind])),
  }));
  const [hours, value] = [mean(points.map((point) => point.hours)), mean(points.map((point) => point.value))];
  const spread = points.reduce((sum, point) => sum + (point.hours - hours) ** 2, 0);
  const anHour = points.reduce((sum, point) => sum + (point.hours - hours) * (point.value - value), 0) / spread;
  const residual = points.reduce((sum, point) => sum + (point.value - value - anHour * (point.hours - hours)) ** 2, 0);
  return { anHour, error: Math.sqrt(residual / (BLOCKS - 2) / spread) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
