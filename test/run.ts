// node test/run.ts [FLAG...] PATTERN...: runs the matching test files with `node --test`, and records their results for
// the fault matrix. A pattern without a match fails, and so does a test or a file that doesn't end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';

/** Timeout of a test, unless --test-timeout is given. */
const TEST_TIMEOUT_MS = 120_000;
/** Timeout of the run, since --test-timeout doesn't end a file whose process stays open after its tests. */
const RUN_TIMEOUT_MS = Number(process.env['TEST_RUN_TIMEOUT_MS'] ?? 25 * 60_000);

/** @returns the exit code */
export async function runTests(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const files = new Set<string>();
  for (const pattern of args.filter((arg) => !flags.includes(arg))) {
    const matches = globSync(pattern);
    if (matches.length === 0) return fail(`no test file matches ${pattern}`);
    for (const file of matches) files.add(file);
  }
  if (files.size === 0) return fail('no test file given');
  const options = ['--test', `--test-timeout=${TEST_TIMEOUT_MS}`, '--test-reporter=./test/faults/record.ts', ...flags];
  const child = spawn(process.execPath, [...options, ...[...files].sort()], { stdio: 'inherit', env });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    // node --test prints the files that still run, and ends their processes
    child.kill('SIGTERM');
  }, RUN_TIMEOUT_MS);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  if (isLate)
    return fail(`the run didn't end within ${RUN_TIMEOUT_MS / 1000} s: see "Interrupted while running" above`);
  return typeof code === 'number' ? code : 1;
}

function fail(reason: string): number {
  process.stderr.write(`${reason}\n`);
  return 1;
}

if (import.meta.main) process.exitCode = await runTests(process.argv.slice(2));
