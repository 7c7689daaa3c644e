// Simulates a month for each of many seeds, on two cores, and the fleet; npm run test:simulation runs it after the tests
// beside it. SIMULATION_SEEDS sets the number of seeds (1000), SIMULATION_FIRST the first one (1). SIMULATION_SEED=17
// SIMULATION_FAULTS=3,9 replays one seed with only these faults. SIMULATION_PLOT=write redraws the fleet's plot.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type FleetReport, reportFleet } from './fleet-report.ts';
import { type Trial, trySeed } from './try-seed.ts';

const WORKERS = 2;
/** Time limit, unless SIMULATION_SEEDS is set: a slow machine runs fewer seeds. */
const MOST_MS = 180_000;
const MOST_REPORTS = 3;
/** With fewer months, the run fails. */
const FEWEST_MONTHS = 100;

if (isMainThread) await main(process.env);
else if (workerData === 'fleet') parentPort?.postMessage(reportFleet(process.env['SIMULATION_PLOT'] === 'write'));
else parentPort?.on('message', async (seed: number) => parentPort?.postMessage(await trySeed(seed)));

async function main(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const { SIMULATION_SEED: one, SIMULATION_FAULTS: faults } = env;
  if (one !== undefined) {
    const only = faults?.split(',').map(Number);
    const { report } = await trySeed(Number(one), only);
    console.log(report ?? `seed ${one} keeps every promise`);
    process.exitCode = report === undefined ? 0 : 1;
    return;
  }
  const first = Number(env['SIMULATION_FIRST'] ?? 1);
  const seeds = Number(env['SIMULATION_SEEDS'] ?? 1000);
  const isAsked = env['SIMULATION_SEEDS'] !== undefined;
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds) || seeds < 1)
    throw new Error('SIMULATION_FIRST and SIMULATION_SEEDS must be whole numbers, SIMULATION_SEEDS at least 1');
  const until = isAsked ? Number.POSITIVE_INFINITY : performance.now() + MOST_MS;
  const startedAt = performance.now();
  const [fleet, trials] = await Promise.all([runFleet(), tryAll({ first, last: first + seeds - 1, until })]);
  const failed = trials.filter(({ report }) => report !== undefined);
  for (const { report } of failed) console.log(`${report}\n`);
  const sum = (of: (trial: Trial) => number) => trials.reduce((total, trial) => total + of(trial), 0);
  const kinds = new Map<string, number>();
  for (const kind of trials.flatMap((trial) => trial.kinds)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  for (const [kind, count] of [...kinds].sort(([a], [b]) => a.localeCompare(b))) console.log(`  ${count} x ${kind}`);
  console.log(
    `${trials.length} virtual months in ${((performance.now() - startedAt) / 1000).toFixed(0)} s: ` +
      `${sum(({ steps }) => steps)} steps, ${sum(({ calls }) => calls)} calls to Vault, ` +
      `${sum((trial) => trial.kinds.length)} faults of ${kinds.size} kinds`,
  );
  console.log(`\n${fleet.text}\n`);
  for (const bound of fleet.broken) console.log(`doesn't hold: ${bound}`);
  const broken = failed.length + fleet.broken.length;
  console.log(`${trials.length - failed.length} passed, ${broken} failed`);
  const fewest = isAsked ? seeds : FEWEST_MONTHS;
  if (trials.length < fewest) {
    console.log(`${trials.length} virtual months are too few: at least ${fewest} are wanted`);
    process.exitCode = 1;
    return;
  }
  process.exitCode = broken === 0 ? 0 : 1;
}

function runFleet(): Promise<FleetReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: 'fleet' });
    worker.on('error', reject);
    worker.on('message', resolve);
  });
}

/** Each worker runs one seed after the other, until none is left or enough have failed. */
async function tryAll({ first, last, until }: { first: number; last: number; until: number }): Promise<Trial[]> {
  const trials: Trial[] = [];
  let next = first;
  const isOver = () =>
    next > last ||
    performance.now() > until ||
    trials.filter(({ report }) => report !== undefined).length >= MOST_REPORTS;
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url));
      // an unhandled rejection ends a worker, and would have ended the sidecar
      worker.on('error', reject);
      worker.on('message', (trial: Trial) => {
        trials.push(trial);
        giveNext();
      });
      const giveNext = () => {
        if (isOver()) void worker.terminate().then(() => resolve());
        else worker.postMessage(next++);
      };
      giveNext();
    });
  await Promise.all(Array.from({ length: WORKERS }, work));
  return trials;
}
