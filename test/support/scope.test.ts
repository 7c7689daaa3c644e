// How tests end: in reverse order, and completely.

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

test('what a test opens is closed in reverse order, also what it registers with t.after itself', async () => {
  const t = fakeTest();
  const order: string[] = [];
  scopeOf(t).after(() => order.push('directory'));
  scopeOf(t).after(() => order.push('vault'));
  t.after(() => order.push('daemon'));
  await t.end();
  assert.deepEqual(order, ['daemon', 'vault', 'directory']);
});

test('the directory goes after the daemon that still writes to it', async () => {
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

test('a step that fails is reported, and the steps after it run all the same', async () => {
  const scope = openScope();
  const order: string[] = [];
  scope.after(() => order.push('first'));
  scope.after(() => Promise.reject(new Error('second')));
  scope.after(() => order.push('third'));
  await assert.rejects(scope.end(), /^Error: second$/);
  assert.deepEqual(order, ['third', 'first']);
});
