// npm run faults: prints the fault matrix with the tests' results, and fails unless every row has a passing test and no
// failing one. FAULT_RESULTS names the file to which earlier runs of the suites appended their results, as in CI;
// without it, the suites run first.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MATRIX } from './matrix.ts';
import { judge, type TestResult } from './verdict.ts';

const SUITES = ['test', 'test:program', 'test:simulation', 'test:faults', 'test:vault'];

function main(): number {
  const recorded = process.env['FAULT_RESULTS'];
  if (recorded) return print(recorded) ? 0 : 1;
  const directory = mkdtempSync(join(tmpdir(), 'vault-token-sidecar-faults-'));
  try {
    const results = join(directory, 'results.jsonl');
    const failed = SUITES.filter((suite) => !run(suite, results));
    const isWell = print(results);
    for (const suite of failed) process.stdout.write(`npm run ${suite} failed\n`);
    return isWell && failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function run(suite: string, results: string): boolean {
  const env = { ...process.env, FAULT_RESULTS: results };
  return spawnSync('npm', ['run', '-s', suite], { stdio: 'inherit', env }).status === 0;
}

function print(results: string): boolean {
  const { lines, problems } = judge(MATRIX, read(results));
  process.stdout.write(`${[...lines, ...problems].join('\n')}\n`);
  return problems.length === 0;
}

/** A missing file means that the suites recorded nothing; every row is then reported as "no test". */
function read(results: string): TestResult[] {
  if (!existsSync(results)) return [];
  return readFileSync(results, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

process.exitCode = main();
