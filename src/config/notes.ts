// Collects the applied defaults and the problems while a config becomes settings.

import type { InvalidValue } from './address.ts';
import { parseDuration } from './duration.ts';
import type { Origin } from './origins.ts';
import { type ConfigProblem, keyOf } from './problem.ts';
import { defaultAt } from './schema.ts';

export interface Notes {
  /** the applied defaults */
  readonly defaults: Origin[];
  readonly problems: ConfigProblem[];
}

/** Returns the value, or else the schema's default, which it notes once per key. */
export function take<T extends string | number | boolean>(pointer: string, value: T | undefined, notes: Notes): T {
  return takeOr(pointer, value, defaultAt(pointer) as T, notes);
}

/** Like `take`, for a default that depends on other members. */
export function takeOr<T extends string | number | boolean>(
  pointer: string,
  value: T | undefined,
  fallback: T,
  { defaults }: Notes,
): T {
  const key = keyOf(pointer);
  if (value === undefined && !defaults.some((one) => one.key === key))
    defaults.push({ key, value: String(fallback), origin: 'default' });
  return value ?? fallback;
}

/** Returns a duration, or else the schema's default, in milliseconds. */
export const duration = (pointer: string, value: string | number | undefined, notes: Notes): number =>
  orProblem(pointer, parseDuration(take<string | number>(pointer, value, notes)), notes) ?? 1000;

/** Returns a duration that may be zero, or else the schema's default, in milliseconds; zero if it is invalid. */
export function durationOrZero(pointer: string, value: string | number | undefined, notes: Notes): number {
  const given = take<string | number>(pointer, value, notes);
  return /^0+(?:ms|s|m|h)?$/.test(String(given)) ? 0 : (orProblem(pointer, parseDuration(given), notes) ?? 0);
}

/** Returns the value, or notes the problem of an invalid one and returns undefined. */
export function orProblem<T>(pointer: string, outcome: T | InvalidValue, { problems }: Notes): T | undefined {
  if (typeof outcome !== 'object' || outcome === null || !('invalid' in outcome)) return outcome as T;
  problems.push({ pointer, message: outcome.invalid });
  return undefined;
}
