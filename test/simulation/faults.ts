// All that can go wrong in a simulated month, by name. A kind draws its arguments once, into the plan; begun, it does its
// harm to a life and says whom it touches, whether a token may run out over it, and how soon all must be well after it.

import type { Chance } from '../support/random.ts';
import { FILE_FAULTS } from './faults-files.ts';
import { PROCESS_FAULTS } from './faults-process.ts';
import { VAULT_FAULTS } from './faults-vault.ts';
import type { Life } from './life.ts';
import type { Fault, FaultArgs, Setup } from './plan.ts';

export interface Kind {
  /** the shortest and the longest it lasts, in milliseconds */
  readonly lasts: readonly [number, number];
  draw(chance: Chance, setup: Setup): FaultArgs;
  begin(life: Life, fault: Fault): Ongoing;
}

export interface Ongoing {
  touches(exchange: string): boolean;
  /** true where an exchange that it touches may not be ready while it lasts */
  readonly upsets: boolean;
  /** after its end */
  readonly recoveryMs: number;
  readonly end?: () => void;
}

export const KINDS: Readonly<Record<string, Kind>> = { ...VAULT_FAULTS, ...FILE_FAULTS, ...PROCESS_FAULTS };
