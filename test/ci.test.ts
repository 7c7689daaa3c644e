// .ci/run with a fake npm: it leaves no process behind, however it ends, and what runs aside holds up no step.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { procText } from './support/proc.ts';
import { scopeOf } from './support/scope.ts';
import { until } from './support/settling.ts';
import { temporaryDirectory } from './support/temporary.ts';

/** Each step records its name. Long steps start a child that survives a signal to npm, as real ones do. */
const NPM = `#!/bin/sh
echo "$*" >> steps
case "$*" in
  'run knip') [ -z "$KNIP_FAILS" ] || exit 3 ;;
  'run test:simulation') chrt -p $$ > scheduling; echo simulated; exit $SIMULATION_ENDS ;;
  'run soak' | "$LASTS") trap '' TERM; sleep 300 & echo "$!" >> children; wait ;;
esac
`;

async function startCi(t: TestContext, env: Record<string, string>) {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  await Promise.all(['.ci', 'bin', 'tmp'].map((name) => mkdir(here(name))));
  await cp('.ci/run', here('.ci/run'));
  await writeFile(here('bin/npm'), NPM);
  await chmod(here('bin/npm'), 0o755);
  const start = (): ChildProcess => {
    const PATH = `${here('bin')}:${process.env['PATH']}`;
    const child = spawn(here('.ci/run'), {
      cwd: directory,
      env: { PATH, TMPDIR: here('tmp'), VAULT_BIN: 'none', ...env },
    });
    scopeOf(t).after(() => child.kill('SIGKILL'));
    return child;
  };
  const lines = (name: string): string[] => {
    try {
      return readFileSync(here(name), 'utf8').trim().split('\n');
    } catch {
      return [];
    }
  };
  const living = () => lines('children').filter((pid) => procText(Number(pid), 'cmdline') !== '');
  return { start, lines, steps: () => lines('steps'), living };
}

test('a signal ends .ci/run at once, with all processes of its steps', async (t) => {
  const { start, living } = await startCi(t, { LASTS: 'test' });
  const child = start();
  await until('the soak and the tests run', () => living().length === 2);
  const second = start();
  assert.deepEqual(await once(second, 'exit'), [1, null], 'a second run in the same checkout is refused');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [143, null]);
  assert.deepEqual(living(), []);
});

test('a failing step ends .ci/run with its exit code, and no further step runs', async (t) => {
  const { start, steps } = await startCi(t, { KNIP_FAILS: '1' });
  assert.deepEqual(await once(start(), 'exit'), [3, null]);
  assert.deepEqual(steps(), ['ci', 'run lint', 'run types', 'run knip']);
});

test('what runs aside yields the processor to the steps, and fails .ci/run when it fails', async (t) => {
  const { start, steps, lines, living } = await startCi(t, { SIMULATION_ENDS: '4' });
  const child = start();
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await until('the soak runs', () => living().length === 1);
  process.kill(Number(living()[0]), 'SIGKILL');
  assert.deepEqual(await once(child, 'close'), [4, null]);
  assert.match(lines('scheduling').join(), /SCHED_IDLE/);
  assert.match(output, /^simulated$/m);
  assert.ok(steps().includes('run test:clients') && !steps().includes('run build:packages'), steps().join());
});
