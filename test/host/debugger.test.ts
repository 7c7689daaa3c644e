// SIGUSR1 makes Node open its debugger, which exposes the whole heap. It must stay closed in every way to start the
// program.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '../support/settling.ts';
import { opensNoDebugger, signal, start } from './sigusr1.ts';
import { PROGRAM, waysToStart } from './start.ts';

for (const [way, command] of Object.entries(waysToStart()))
  test(`${way}: repeated SIGUSR1 opens no debugger (I4, K15)`, (t) => opensNoDebugger(t, command));

test('exits with an error if a signal opened the debugger before the program ran (K15)', async (t) => {
  const { pid, output, ended } = await start(t, `exec ${process.execPath} ${PROGRAM} run`);
  for (; ended() === undefined && !output().includes('Debugger'); await turn()) signal(pid);
  assert.equal(await until('it ends', ended), 2);
  assert.match(
    output(),
    /^vault-token-sidecar: the signal SIGUSR1 has opened Node's debugger: start node with --disable-sigusr1$/m,
  );
});
