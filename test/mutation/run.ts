// npm run test:mutation: changes the source in one place at a time and runs the tests of that part. A mutant that no
// test detects survives. The run fails if less than 90 % of the mutants are killed, without the equivalent ones, which
// equivalents.ts lists.
//
// usage: run.ts [--sample MINUTES] [--seed N] [--only PATTERN]; without --sample every mutant is tried, which takes
// hours.

import { spawn } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../support/random.ts';
import { isEquivalent } from './equivalents.ts';
import { type Mutant, mutantsOf } from './mutants.ts';
import { ROOMS } from './rooms.ts';

const KILLED_SHARE = 0.9;
const MOST_MS = 90_000;
const ROOT = join(import.meta.dirname, '../..');

interface Trial {
  readonly mutant: Mutant;
  readonly outcome: 'killed' | 'survived' | 'equivalent';
}

const { values } = parseArgs({
  options: { sample: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const all = ROOMS.flatMap(({ sources, tests }) =>
    globSync(sources, { cwd: ROOT })
      .sort()
      .flatMap((file) => mutantsOf(file, readFileSync(join(ROOT, file), 'utf8')).map((mutant) => ({ mutant, tests }))),
  ).filter(({ mutant }) => values.only === undefined || mutant.file.includes(values.only));
  const chosen = values.sample === undefined ? all : shuffled(all, Number(values.seed ?? 1));
  console.log(`${all.length} mutants in ${new Set(all.map(({ mutant }) => mutant.file)).size} files`);
  for (const tests of new Set(chosen.map((one) => one.tests))) await assertPasses(tests);
  const until =
    values.sample === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.sample) * 60_000;
  const trials: Trial[] = [];
  let next = 0;
  const work = async () => {
    const tree = openTree();
    try {
      while (next < chosen.length && performance.now() < until) {
        const one = chosen[next++];
        if (one !== undefined) trials.push({ mutant: one.mutant, outcome: await tree.attempt(one.mutant, one.tests) });
      }
    } finally {
      tree.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
  return report(trials);
}

/** Tests that fail without a mutant would kill every one. @throws Error */
async function assertPasses(tests: readonly string[]): Promise<void> {
  const tree = openTree();
  const passed = await tree.passes(tests);
  tree.close();
  if (!passed) throw new Error(`${tests.join(', ')} fail without any change`);
}

/** A copy of the source to mutate: the checkout itself stays as it is. */
function openTree() {
  const directory = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-mutation-'));
  for (const name of [
    'src',
    'test',
    'deploy',
    'dist',
    'package.json',
    'Dockerfile',
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs',
    'config.schema.json',
    'config.example.json',
    'tsconfig.json',
  ])
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const passes = (tests: readonly string[]) => pass(directory, globSync([...tests], { cwd: directory }).sort());
  return {
    passes,
    async attempt(mutant: Mutant, tests: readonly string[]): Promise<Trial['outcome']> {
      if (isEquivalent(mutant)) return 'equivalent';
      const path = join(directory, mutant.file);
      const original = readFileSync(path, 'utf8');
      writeFileSync(path, mutant.text);
      const passed = await passes(tests);
      writeFileSync(path, original);
      if (passed)
        console.log(`survived: ${mutant.file}:${mutant.line}: ${mutant.before}  ->  ${mutant.after || '(left out)'}`);
      return passed ? 'survived' : 'killed';
    },
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Whether the tests pass; the first failure, or too long a time, ends them. */
function pass(cwd: string, files: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const args = ['--test', '--test-reporter=tap', '--test-timeout=30000', ...files];
    // a group of its own: the tests start processes too
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    const end = (passed: boolean) => {
      clearTimeout(timer);
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      } catch {
        // it has ended
      }
      resolve(passed);
    };
    const timer = setTimeout(() => end(false), MOST_MS);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (/^\s*not ok /m.test(out)) end(false);
    });
    child.on('exit', (code) => end(code === 0));
  });
}

function report(trials: readonly Trial[]): number {
  const count = (outcome: Trial['outcome']) => trials.filter((trial) => trial.outcome === outcome).length;
  const [killed, survived, equivalent] = [count('killed'), count('survived'), count('equivalent')];
  const share = killed / Math.max(1, killed + survived);
  console.log(`${trials.length} tried: ${killed} killed, ${survived} survived, ${equivalent} change nothing`);
  console.log(`${(share * 100).toFixed(1)} % of those that change behaviour are killed`);
  const isWell = killed > 0 && share >= KILLED_SHARE;
  console.log(isWell ? '1 passed, 0 failed' : '0 passed, 1 failed');
  return isWell ? 0 : 1;
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
