// SIGUSR1 makes Node open its debugger, which exposes the whole heap. It must stay closed in every way to start the
// program.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';
import { opensNoDebugger } from './sigusr1.ts';
import { PROGRAM, waysToStart } from './start.ts';

for (const [way, command] of Object.entries(waysToStart()))
  test(`${way}: repeated SIGUSR1 opens no debugger (I4, K15)`, (t) => opensNoDebugger(t, command));

test('exits with an error if a signal opened the debugger before the program ran (K15)', async (t) => {
  const directory = await temporaryDirectory(t);
  const signalled = join(directory, 'signalled.mjs');
  await writeFile(
    signalled,
    `import { url } from 'node:inspector';
    process.debugPort = 0;
    process.kill(process.pid, 'SIGUSR1');
    while (url() === undefined);
    await import('${PROGRAM}');`,
  );
  const ended = spawnSync(process.execPath, [signalled, 'run'], { encoding: 'utf8', timeout: 60_000 });
  assert.match(
    ended.stderr,
    /^vault-token-sidecar: the signal SIGUSR1 has opened Node's debugger: start node with --disable-sigusr1$/m,
  );
  assert.equal(ended.status, 2);
});
