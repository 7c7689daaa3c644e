// Equivalent mutants, which change no behaviour, each with the reason.

import type { Mutant } from './mutants.ts';

const EQUIVALENT: readonly {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly why: string;
}[] = [];

export const isEquivalent = ({ file, before, after }: Mutant): boolean =>
  EQUIVALENT.some((one) => one.file === file && one.before === before && one.after === after);
