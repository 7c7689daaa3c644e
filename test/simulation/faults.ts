// The kinds of faults of a simulated month, by name. A kind draws its arguments when the plan is made. When it begins,
// it changes the simulated world, and returns which exchanges it affects, whether they may become unready, and how soon
// they must recover.

import type { Chance } from '../support/random.ts';
import { FILE_FAULTS } from './faults-files.ts';
import { PROCESS_FAULTS } from './faults-process.ts';
import { TOKEN_FAULTS } from './faults-tokens.ts';
import { VAULT_FAULTS } from './faults-vault.ts';
import type { Life } from './life.ts';
import type { Fault, FaultArgs, Setup } from './plan.ts';

export interface Kind {
  /** minimum and maximum duration, in milliseconds */
  readonly lasts: readonly [number, number];
  draw(chance: Chance, setup: Setup): FaultArgs;
  begin(life: Life, fault: Fault): Ongoing;
}

export interface Ongoing {
  touches(exchange: string): boolean;
  /** whether affected exchanges may be unready while it lasts */
  readonly upsets: boolean;
  /** time from its end until all exchanges must be ready */
  readonly recoveryMs: number;
  readonly end?: () => void;
}

export const KINDS: Readonly<Record<string, Kind>> = {
  ...VAULT_FAULTS,
  ...FILE_FAULTS,
  ...PROCESS_FAULTS,
  ...TOKEN_FAULTS,
};
