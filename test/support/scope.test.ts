// Cleanup of a test runs in reverse order, and completely.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope, scopeOf } from './scope.ts';
import { temporaryDirectory } from './temporary.ts';

/** Runs `after` hooks as node:test does: in the order of registration. */
function fakeTest() {
  const hooks: (() => unknown)[] = [];
  return {
    after: (done: () => unknown) => void hooks.push(done),
    async end() {
      for (const hook of hooks) await hook();
    },
  };
}

test('runs cleanup in reverse order, including functions registered with t.after', async () => {
  const t = fakeTest();
  const order: string[] = [];
  scopeOf(t).after(() => order.push('directory'));
  scopeOf(t).after(() => order.push('vault'));
  t.after(() => order.push('daemon'));
  await t.end();
  assert.deepEqual(order, ['daemon', 'vault', 'directory']);
});

test('removes the temporary directory after the daemon that writes to it has stopped', async () => {
  const t = fakeTest();
  const directory = await temporaryDirectory(t);
  let isWriting = true;
  let written = 0;
  const writing = (async () => {
    while (isWriting) {
      await mkdir(join(directory, `${written}`));
      await writeFile(join(directory, `${written++}`, 'token'), 'x');
    }
  })();
  t.after(() => {
    isWriting = false;
    return writing;
  });
  await t.end();
  assert.ok(written > 0);
});

test('reports a failed cleanup step, and still runs the following ones', async () => {
  const scope = openScope();
  const order: string[] = [];
  scope.after(() => order.push('first'));
  scope.after(() => Promise.reject(new Error('second')));
  scope.after(() => order.push('third'));
  await assert.rejects(scope.end(), /^Error: second$/);
  assert.deepEqual(order, ['third', 'first']);
});
