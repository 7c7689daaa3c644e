// What is noted while a config becomes settings: each default that is in force, and every problem.

import type { Problem } from './address.ts';
import { parseDuration } from './duration.ts';
import type { Origin } from './origins.ts';

export interface Notes {
  /** what nobody gave */
  readonly defaults: Origin[];
  readonly problems: string[];
}

/** The value in force; a default is noted, once for several exchanges that share it. */
export function take<T extends string | number | boolean>(
  path: string,
  value: T | undefined,
  fallback: T,
  { defaults }: Notes,
): T {
  if (value === undefined && !defaults.some((one) => one.path === path))
    defaults.push({ path, value: String(fallback), origin: 'default' });
  return value ?? fallback;
}

/** In milliseconds. */
export function duration(path: string, value: string | number | undefined, fallback: string, notes: Notes): number {
  return orProblem(path, parseDuration(take<string | number>(path, value, fallback, notes)), notes) ?? 1000;
}

export function orProblem<T>(path: string, outcome: T | Problem, { problems }: Notes): T | undefined {
  if (typeof outcome !== 'object' || outcome === null || !('problem' in outcome)) return outcome as T;
  problems.push(`${path}: ${outcome.problem}`);
  return undefined;
}
