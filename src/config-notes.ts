// What is noted while a config becomes settings: each value in force with where it came from, and every problem.

import type { Problem } from './config-address.ts';
import { parseDuration } from './config-duration.ts';

export interface Origin {
  readonly path: string;
  readonly value: string;
  readonly origin: string;
}

export interface Notes {
  readonly origins: Origin[];
  readonly problems: string[];
}

/** The value in force, remembered with where it came from. */
export function take<T extends string | number | boolean>(
  path: string,
  value: T | undefined,
  fallback: T,
  notes: Notes,
): T {
  remember({ path, value: String(value ?? fallback), origin: value === undefined ? 'default' : 'file' }, notes);
  return value ?? fallback;
}

/** A value that several exchanges share is remembered once. */
export function remember(origin: Origin, { origins }: Notes): void {
  if (!origins.some(({ path }) => path === origin.path)) origins.push(origin);
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
