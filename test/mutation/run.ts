// npm run test:mutation: changes the source in one place at a time and runs the tests of that part. A mutant that no
// test detects survives. The run fails if less than 90 % of the mutants are killed, without the equivalent ones, which
// equivalents.ts lists.
//
// usage: run.ts [--sample MINUTES] [--seed N] [--only PATTERN] [--workers N]
// Without --sample every mutant is tried, which takes an hour. A sample fails only when the share is lower than chance explains.

import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../support/random.ts';
import { isEquivalent, staleEquivalents } from './equivalents.ts';
import { type Mutant, mutantsOf } from './mutants.ts';
import { ROOMS, type Room } from './rooms.ts';
import { judge, measure, type TestFile } from './tests.ts';

const KILLED_SHARE = 0.9;
const ROOT = join(import.meta.dirname, '../..');

interface Candidate {
  readonly mutant: Mutant;
  readonly room: Room;
}

interface Trial extends Candidate {
  readonly outcome: 'killed' | 'hung' | 'survived' | 'equivalent';
}

const { values } = parseArgs({
  options: {
    sample: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    workers: { type: 'string' },
  },
});
const trees: string[] = [];
process.once('exit', () => {
  for (const tree of trees) rmSync(tree, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();

async function main(): Promise<number> {
  const every = ROOMS.flatMap((room) =>
    globSync(room.sources, { cwd: ROOT })
      .sort()
      .flatMap((file) => mutantsOf(file, readFileSync(join(ROOT, file), 'utf8')).map((mutant) => ({ mutant, room }))),
  );
  const stale = staleEquivalents(every.map(({ mutant }) => mutant));
  if (stale.length > 0) throw new Error(`equivalents.ts lists what is no mutant: ${stale.join(', ')}`);
  const only = new RegExp(values.only ?? '');
  const all = every.filter(({ mutant }) => only.test(`${mutant.file}:${mutant.line}`));
  const chosen = values.sample === undefined ? all : shuffled(all, Number(values.seed ?? 1));
  console.log(`${all.length} mutants in ${new Set(all.map(({ mutant }) => mutant.file)).size} files`);
  const workers = Number(values.workers ?? Math.min(2, availableParallelism()));
  for (let worker = 0; worker < workers; worker++) trees.push(openTree());
  const tests = await measureAll(new Set(chosen.map(({ room }) => room)));
  console.log(`the tests pass without a mutant after ${seconds()} s`);
  return report(await tryAll(chosen, tests));
}

/** Runs every test file of the rooms once, in as many trees as there are. */
async function measureAll(rooms: ReadonlySet<Room>): Promise<Map<string, TestFile>> {
  const paths = [...new Set([...rooms].flatMap(filesOf))];
  const measured = new Map<string, TestFile>();
  const work = async (tree: string) => {
    for (let path = paths.shift(); path !== undefined; path = paths.shift())
      measured.set(path, await measure(tree, path));
  };
  await Promise.all(trees.map(work));
  return measured;
}

async function tryAll(candidates: readonly Candidate[], measured: ReadonlyMap<string, TestFile>): Promise<Trial[]> {
  const until =
    values.sample === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.sample) * 60_000;
  const left = [...candidates];
  const trials: Trial[] = [];
  const work = async (tree: string) => {
    while (performance.now() < until) {
      const one = left.shift();
      if (one === undefined) return;
      const tests = filesOf(one.room).flatMap((path) => measured.get(path) ?? []);
      trials.push({ ...one, outcome: await attempt(tree, one.mutant, tests) });
    }
  };
  await Promise.all(trees.map(work));
  return trials;
}

async function attempt(tree: string, mutant: Mutant, tests: readonly TestFile[]): Promise<Trial['outcome']> {
  if (isEquivalent(mutant)) return 'equivalent';
  const path = join(tree, mutant.file);
  const original = readFileSync(path, 'utf8');
  writeFileSync(path, mutant.text);
  const verdict = await judge(tree, tests, mutant.file, mutant.at);
  writeFileSync(path, original);
  if (verdict === 'hung') return 'hung';
  if (verdict === 'failed') return 'killed';
  console.log(`survived: ${mutant.file}:${mutant.line}: ${mutant.before}  ->  ${mutant.after || '(left out)'}`);
  return 'survived';
}

function filesOf({ tests }: Room): string[] {
  return globSync([...tests], { cwd: ROOT }).sort();
}

/** Returns a copy of the sources to mutate: the checkout itself stays as it is. */
function openTree(): string {
  const directory = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-mutation-'));
  for (const name of [
    'src',
    'test',
    'deploy',
    'build.ts',
    'docs',
    'Dockerfile',
    ...globSync('*.{json,md}', { cwd: ROOT }),
  ])
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return directory;
}

/** Prints the counts; returns the exit code. */
function report(trials: readonly Trial[]): number {
  for (const room of ROOMS) {
    const own = trials.filter((trial) => trial.room === room);
    if (own.length > 0) console.log(`${room.sources}: ${summary(own)}`);
  }
  console.log(`${trials.length} tried in ${seconds()} s: ${summary(trials)}`);
  const { killed, judged } = countsOf(trials);
  const share = killed / Math.max(1, judged);
  const noise =
    values.sample === undefined ? 0 : 2 * Math.sqrt((KILLED_SHARE * (1 - KILLED_SHARE)) / Math.max(1, judged));
  console.log(
    `${percent(share)} of those that change behaviour are killed; at least ${percent(KILLED_SHARE - noise)} must be`,
  );
  const isWell = killed > 0 && share >= KILLED_SHARE - noise;
  console.log(isWell ? '1 passed, 0 failed' : '0 passed, 1 failed');
  return isWell ? 0 : 1;
}

function countsOf(trials: readonly Trial[]) {
  const count = (outcome: Trial['outcome']) => trials.filter((trial) => trial.outcome === outcome).length;
  const [hung, survived, equivalent] = [count('hung'), count('survived'), count('equivalent')];
  const killed = count('killed') + hung;
  return { killed, hung, survived, equivalent, judged: killed + survived };
}

function summary(trials: readonly Trial[]): string {
  const { killed, hung, survived, equivalent } = countsOf(trials);
  return `${killed} killed (${hung} of them by a timeout), ${survived} survived, ${equivalent} equivalent`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function seconds(): number {
  return Math.round(performance.now() / 1000);
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
