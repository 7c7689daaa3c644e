// Mutants that nobody could notice, each with the reason.

import type { Mutant } from './mutants.ts';

interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly why: string;
}

const EQUIVALENT: readonly Equivalent[] = [];

const matches = (one: Equivalent, { file, before, after }: Mutant): boolean =>
  one.file === file && one.before === before && one.after === after;

export const isEquivalent = (mutant: Mutant): boolean => EQUIVALENT.some((one) => matches(one, mutant));

/** Returns the entries that no mutant matches any more. */
export const staleEquivalents = (mutants: readonly Mutant[]): string[] =>
  EQUIVALENT.filter((one) => !mutants.some((mutant) => matches(one, mutant))).map(
    ({ file, before }) => `${file}: ${before}`,
  );
