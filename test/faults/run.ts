// npm run faults: prints the matrix of faults from the tests' own results, and fails unless every row
// has a passing test and none that fails. FAULT_RESULTS names the file in which the suites' runs were recorded (CI sets it before them);
// without it the suites that hold rows are run first.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MATRIX } from './matrix.ts';
import { judge, type TestResult } from './verdict.ts';

const SUITES = ['test', 'test:faults', 'test:vault'];

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

/** A file that isn't there is a run that recorded nothing: every row will say so. */
function read(results: string): TestResult[] {
  if (!existsSync(results)) return [];
  return readFileSync(results, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

process.exitCode = main();
