// Simulates the month of one seed. If a promise is broken, shrinks the faults to those that are needed, and reports the
// events with the command to replay them.

import { T0 } from '../support/simulated-time.ts';
import { drawPlan } from './draw.ts';
import { Life, type Outcome } from './life.ts';
import { describeFault, type Plan } from './plan.ts';
import { shrink } from './shrink.ts';

export interface Trial {
  readonly seed: number;
  readonly steps: number;
  readonly calls: number;
  readonly kinds: readonly string[];
  /** the description of the broken promise, if any */
  readonly report: string | undefined;
}

const STORY_TAIL = 25;

/** @param only the ids of the faults to keep; all if absent */
export async function trySeed(seed: number, only?: readonly number[]): Promise<Trial> {
  const drawn = drawPlan(seed);
  const plan = only === undefined ? drawn : { ...drawn, faults: drawn.faults.filter(({ id }) => only.includes(id)) };
  const outcome = await new Life(plan).live();
  const report = outcome.violation && tell(await shrunk(plan, outcome));
  return { seed, steps: outcome.steps, calls: outcome.calls, kinds: plan.faults.map(({ kind }) => kind), report };
}

async function shrunk(plan: Plan, outcome: Outcome): Promise<{ plan: Plan; outcome: Outcome }> {
  const { rule, at } = outcome.violation ?? { rule: '', at: 0 };
  // later faults can't have caused it
  const before = plan.faults.filter(({ atMs }) => T0 + atMs <= at);
  let smallest: { plan: Plan; outcome: Outcome } = { plan: { ...plan, faults: before }, outcome };
  await shrink(before, async (faults) => {
    const part = { ...plan, faults };
    const again = await new Life(part).live();
    if (again.violation?.rule !== rule) return false;
    smallest = { plan: part, outcome: again };
    return true;
  });
  return smallest;
}

function tell({ plan, outcome: { violation, story } }: { plan: Plan; outcome: Outcome }): string {
  const { seed, setup, faults } = plan;
  const ids = faults.map(({ id }) => id).join(',') || 'none';
  return [
    `seed ${seed} breaks ${violation?.rule}: ${violation?.text}`,
    ...setup.exchanges.map(
      ({ name, vault, source, onNewJwt, onStop }) =>
        `  exchange ${name} at ${vault.address}, JWT from ${source.kind}, on_new_jwt ${onNewJwt}, on_stop ${onStop}`,
    ),
    ...setup.vaults.map(
      ({ address, ttlMs, maxTtlMs, tokenType }) =>
        `  ${address}: ${tokenType} tokens of ${ttlMs / 1000} s, at most ${maxTtlMs / 1000} s`,
    ),
    `  ${faults.length} fault${faults.length === 1 ? '' : 's'} suffice${faults.length === 1 ? 's' : ''}:`,
    ...faults.map((fault) => `    ${describeFault(fault)}`),
    '  the last events:',
    ...story.slice(-STORY_TAIL).map((line) => `    ${line}`),
    `  again: SIMULATION_SEED=${seed} SIMULATION_FAULTS=${ids} node test/simulation/run.ts`,
  ].join('\n');
}
