// The scenarios of `init`, by name.

import { github } from './actions.ts';
import { gitlab } from './gitlab.ts';
import { kubernetes } from './kubernetes.ts';
import { azure, gce } from './machines.ts';
import type { Scenario } from './scenario.ts';
import { vault } from './vault.ts';

export const SCENARIOS: Readonly<Record<string, Scenario>> = { kubernetes, gitlab, vault, github, gce, azure };
