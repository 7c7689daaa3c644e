// The test runner: a run without tests, or one that never ends, fails.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';

function run(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<{ code: number; said: string }> {
  // without NODE_TEST_CONTEXT, the inner run doesn't report to the outer one
  const { NODE_TEST_CONTEXT: _, FAULT_RESULTS: __, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, ['test/run.ts', ...args], { env: { ...env, ...more } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), said: out + err }),
    );
  });
}

test('a pattern that matches no file fails the run, also if another pattern matches', async (t) => {
  const directory = await temporaryDirectory(t);
  const [file, none] = [join(directory, 'fine.test.mjs'), join(directory, '*.nothing.ts')];
  await writeFile(file, "import { test } from 'node:test';\ntest('fine', () => {});\n");
  assert.equal((await run([file])).code, 0);
  assert.deepEqual(await run([file, none]), { code: 1, said: `no test file matches ${none}\n` });
  assert.deepEqual(await run(['--test-timeout=1000']), { code: 1, said: 'no test file given\n' });
});

test('a test that never ends fails after the timeout', async (t) => {
  const file = join(await temporaryDirectory(t), 'stuck.test.mjs');
  const stuck = "test('stuck', () => new Promise((resolve) => setTimeout(resolve, 60_000)));";
  await writeFile(file, `import { test } from 'node:test';\n${stuck}\n`);
  const { code, said } = await run(['--test-timeout=200', '--test-force-exit', file]);
  assert.equal(code, 1);
  assert.match(said, /test timed out after 200ms/);
});

test('a file whose process never exits fails the run, with its name', async (t) => {
  const file = join(await temporaryDirectory(t), 'open.test.mjs');
  await writeFile(file, "import { test } from 'node:test';\ntest('fine', () => void setInterval(() => {}, 1000));\n");
  const { code, said } = await run([file], { TEST_RUN_TIMEOUT_MS: '3000' });
  assert.equal(code, 1);
  assert.match(said, /Interrupted while running[\s\S]*open\.test\.mjs/);
  assert.match(said, /the run didn't end within 3 s/);
});
