// A sidecar that gets hardly any processor time, as among fifty that start at once on a small node.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { type TestContext, test } from 'node:test';
import { until } from '../support/settling.ts';
import { openFaultWorld, startSidecar } from './sidecar-process.ts';

test('starts with one login, and calls nothing hung, with a hundredth of a busy processor (J2)', async (t) => {
  const world = await openFaultWorld(t);
  for (let one = 0; one < availableParallelism(); one += 1) busy(t);
  const { log } = await startSidecar(t, world.configFile, { wrapper: ['nice', '-n', '19'] });
  const has = (name: string) => log().some(({ event }) => event === name);
  await until('it is ready and listens', () => has('ready') && has('listening'), 300_000);
  const troubles = log().filter(({ level }) => level === 'warn' || level === 'error');
  assert.deepEqual(troubles, []);
  assert.equal(world.vault.alive().length, 1);
});

/** Ends with the test's process, also if that is killed. */
const BUSY = 'while kill -0 "$PPID" 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done';

/** Uses one processor for the whole test. */
function busy(t: TestContext): void {
  const child = spawn('sh', ['-c', BUSY], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
}
