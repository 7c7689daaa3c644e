// File operations on hanging file systems: each file system blocks one thread, and operations elsewhere go on.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { workIn } from '../../src/files/file-work.ts';
import { isFileProblem, readSmallFile } from '../../src/files/small-file.ts';
import { openHangingMount, withoutHangingMounts } from '../support/hanging-mount.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** An operation that ends when the test calls `end`. */
function heldWork() {
  let end = () => {};
  let begun = 0;
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  const operate = async () => {
    begun += 1;
    await held;
    return 'done';
  };
  return { operate, end: () => end(), begun: () => begun };
}

const at = async (path: string, deadlineMs: number): Promise<string> => {
  const found = await readSmallFile(path, { deadlineMs });
  return isFileProblem(found) ? found.problem : found.text;
};

test('runs the operations in one directory one after the other, and those in other directories meanwhile', async () => {
  const first = heldWork();
  const order: string[] = [];
  const begun = (name: string) => async () => void order.push(name);
  const all = [workIn('/one', first.operate), workIn('/one', begun('second')), workIn('/two', begun('elsewhere'))];
  await all[2];
  assert.deepEqual(order, ['elsewhere']);
  first.end();
  await Promise.all(all);
  assert.deepEqual(order, ['elsewhere', 'second']);
});

test('works in at most eight directories at once', async () => {
  const works = Array.from({ length: 8 }, heldWork);
  const held = works.map(({ operate }, index) => workIn(`/held/${index}`, operate));
  const ninth = heldWork();
  ninth.end();
  const last = workIn('/ninth', ninth.operate);
  assert.deepEqual([works.map(({ begun }) => begun()), ninth.begun()], [Array(8).fill(1), 0]);
  works[3]?.end();
  assert.equal(await last, 'done');
  for (const { end } of works) end();
  await Promise.all(held);
});

test('reports an overdue operation as stuck, and further ones in its directory at once, until it ends', async () => {
  const slow = heldWork();
  assert.equal(await workIn('/slow', slow.operate, 10), 'stuck');
  const next = heldWork();
  next.end();
  const askedAt = performance.now();
  assert.equal(await workIn('/slow', next.operate), 'stuck');
  assert.ok(performance.now() - askedAt < 1000);
  assert.equal(next.begun(), 0);
  slow.end();
  await until('the directory is free', async () => (await workIn('/slow', next.operate)) === 'done');
});

test('an operation has five seconds unless it is given another time, and leaves no timer', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  assert.equal(await workIn('/timed', async () => 'done'), 'done');
  await nextTurn();
  assert.equal(timers(), before);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const slow = heldWork();
  let outcome: string | undefined;
  void workIn('/timed', slow.operate).then((ended) => {
    outcome = ended;
  });
  t.mock.timers.tick(4999);
  await nextTurn();
  assert.equal(outcome, undefined);
  t.mock.timers.tick(1);
  await nextTurn();
  assert.equal(outcome, 'stuck');
  slow.end();
  await nextTurn();
});

test('an operation whose deadline passes in the queue never begins', async () => {
  const slow = heldWork();
  const held = workIn('/queue', slow.operate);
  const late = heldWork();
  assert.equal(await workIn('/queue', late.operate, 10), 'stuck');
  slow.end();
  assert.equal(await held, 'done');
  assert.equal(await workIn('/queue', async () => 'free'), 'free');
  assert.equal(late.begun(), 0);
});

test('rejects with the error of an operation, and frees the directory', async () => {
  await assert.rejects(
    workIn('/thrown', () => Promise.reject(new Error('EIO'))),
    { message: 'EIO' },
  );
  assert.equal(await workIn('/thrown', async () => 'free'), 'free');
});

test('a hanging mount blocks one thread; other files and DNS go on (K2)', {
  skip: withoutHangingMounts(),
}, async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'file'), 'text');
  const mount = openHangingMount(t);
  const hung = await Promise.all(Array.from({ length: 8 }, (_, index) => at(join(mount.path, `${index}`), 200)));
  assert.deepEqual(new Set(hung), new Set(['stuck']));
  assert.equal(await at(join(directory, 'file'), 5000), 'text');
  assert.ok((await stat(directory)).isDirectory());
  assert.ok((await lookup('localhost')).address);
  mount.release();
  await until('the mount is read again', async () => (await at(join(mount.path, '0'), 5000)) !== 'stuck');
});
