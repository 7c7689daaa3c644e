// A pipe that is full, as the stdout of a program whose reader has stalled.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Scope } from './scope.ts';

/** The write end of a full pipe in blocking mode, as a container runtime's pipe would be. */
export function openFullPipe(t: Scope, path: string): number {
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(fd));
  assert.throws(() => {
    for (;;) writeSync(fd, Buffer.alloc(1024));
  }, /EAGAIN/);
  return openSync(`/proc/self/fd/${fd}`, 'w');
}
