// The figures that a soak measures of a process, and the limits of their growth.

import { memoryOf, openFiles } from '../support/proc.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMiB: number;
  readonly anonymousMiB: number;
  readonly heapMiB: number;
  readonly descriptors: number;
  readonly handles: number;
}

/** Measures the process once; undefined if the process or its metrics can't be read. */
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
  /** maximum growth from the second quarter to the last one; three times as much in soaks shorter than WARM_MS */
  readonly growth: number;
  /** maximum trend an hour, for a process that runs for weeks */
  readonly anHour: number;
  readonly most: number;
}

// some 45 MiB of the resident memory are Node's executable, which all processes share and the kernel can evict
const KINDS: readonly Kind[] = [
  { kind: 'rssMiB', name: 'resident memory', unit: 'MiB', growth: 5, anHour: 1, most: 100 },
  { kind: 'anonymousMiB', name: 'of it anonymous', unit: 'MiB', growth: 5, anHour: 1, most: 64 },
  { kind: 'heapMiB', name: 'used heap', unit: 'MiB', growth: 3.5, anHour: 0.5, most: 48 },
  { kind: 'descriptors', name: 'descriptors', unit: '', growth: 3, anHour: 1, most: 100 },
  { kind: 'handles', name: 'active handles', unit: '', growth: 3, anHour: 1, most: 100 },
];

/** Until then the process, above all V8's heap, is still warming up, and a trend means nothing. */
const WARM_MS = 120_000;
const WARMING_UP = 3;
const BLOCKS = 20;
/** Standard errors by which a trend must exceed its limit; with 20 blocks, one flat soak in a thousand does. */
const CERTAIN = 3.6;

/** Returns a line for each figure that grew or exceeded its limit. */
export function judge(samples: readonly Sample[]): string[] {
  const lastedMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  const patience = lastedMs < WARM_MS ? WARMING_UP : 1;
  return KINDS.flatMap((one) => {
    const { from, to, most } = compare(samples, one);
    const problems: string[] = [];
    // negated so that NaN is a problem too
    if (!(to - from <= one.growth * patience)) problems.push(`${one.name}: grew from ${from} to ${to} ${one.unit}`);
    if (!(most < one.most)) problems.push(`${one.name}: ${most} ${one.unit}`);
    if (lastedMs < 2 * WARM_MS) return problems;
    const { anHour, error } = trend(samples, one);
    if (!(anHour - CERTAIN * error <= one.anHour))
      problems.push(`${one.name}: grows by ${anHour.toFixed(1)} ${one.unit} an hour, give or take ${error.toFixed(1)}`);
    return problems;
  });
}

/** Returns a line for each kind. */
export function figures(samples: readonly Sample[]): string[] {
  return KINDS.map((one) => {
    const { from, to, most } = compare(samples, one);
    const { anHour, error } = trend(samples, one);
    const told = (value: number) => value.toFixed(one.unit === '' ? 0 : 1).padStart(6);
    const slope = `${anHour < 0 ? '' : '+'}${anHour.toFixed(1)} ± ${error.toFixed(1)}`;
    return `${one.name.padEnd(18)}${told(from)} then${told(to)} at the end${told(most)} at most, ${slope.padStart(12)} an hour  ${one.unit}`;
  });
}

/** The medians of the second and of the last quarter, which leaves out warming up and outliers. */
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
 * The least-squares slope of the second half, and its standard error. Each of twenty blocks counts with its minimum:
 * memory that survives garbage collection is the trend, garbage that wasn't collected yet is noise.
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
