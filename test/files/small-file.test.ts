// The reader of small files, with regular files and with everything else that may be at their path.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import fs, { type FileHandle, open, symlink, truncate, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFileProblem, readSmallFile } from '../../src/files/small-file.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('reads a regular file, also through a link', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'file'), 'text\n');
  await symlink('file', join(directory, 'link'));
  for (const name of ['file', 'link']) {
    const found = await readSmallFile(join(directory, name));
    assert.ok(!isFileProblem(found));
    assert.equal(found.text, 'text\n');
    assert.ok(found.inode > 0 && Math.abs(found.modifiedAt - Date.now()) < 60_000);
    assert.equal(found.grew, false);
  }
});

test('reports a missing or too large file, and other kinds of files', async (t) => {
  const directory = await temporaryDirectory(t);
  const at = (name: string) => join(directory, name);
  execFileSync('mkfifo', [at('fifo')]);
  await symlink('loop', at('loop'));
  await writeFile(at('limit'), 'x'.repeat(64 * 1024));
  await writeFile(at('large'), 'x'.repeat(64 * 1024 + 1));
  const problemAt = async (path: string) => {
    const found = await readSmallFile(path);
    return isFileProblem(found) ? found.problem : 'none';
  };
  assert.equal(await problemAt(at('fifo')), 'not-a-file');
  assert.equal(await problemAt(directory), 'not-a-file');
  assert.equal(await problemAt('/dev/zero'), 'not-a-file');
  const server = createServer().listen(at('socket'));
  t.after(() => server.close());
  await once(server, 'listening');
  assert.deepEqual(await readSmallFile(at('socket')), { problem: 'not-a-file', errno: 'ENXIO' });
  assert.deepEqual(await readSmallFile(at('x'.repeat(300))), { problem: 'unreadable', errno: 'ENAMETOOLONG' });
  assert.equal(await problemAt(at('absent')), 'missing');
  assert.equal(await problemAt(at('loop')), 'missing');
  assert.equal(await problemAt(at('limit')), 'none');
  assert.equal(await problemAt(at('large')), 'too-large');
  await truncate(at('large'), 2 ** 40);
  assert.equal(await problemAt(at('large')), 'too-large', 'more than memory holds');
});

test('reads a file without a size, in several pieces, to its end', async () => {
  const found = await readSmallFile('/proc/self/smaps', { mostBytes: 4 * 1024 * 1024 });
  assert.ok(!isFileProblem(found));
  assert.ok(found.text.length > 64 * 1024, `${found.text.length} characters`);
  assert.match(found.text.slice(-200), /\nVmFlags: .*\n$/);
});

test('a file without a size is not said to have grown, and no descriptor stays open', async () => {
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const found = await readSmallFile('/proc/version');
  assert.ok(!isFileProblem(found));
  assert.equal(found.grew, false);
  for (const path of ['/proc/version', '/dev/null', '/proc/self/smaps']) await readSmallFile(path);
  assert.equal(descriptors(), before);
});

test('a file without a size is refused when it goes beyond the limit', async () => {
  assert.deepEqual(await readSmallFile('/proc/self/smaps'), { problem: 'too-large' });
});

test("reads one byte more than a growing file's size, and reports that it grew", async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  await writeFile(path, 'half');
  const probe = await open(path);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const { stat } = prototype;
  t.mock.method(prototype, 'stat', async function (this: FileHandle) {
    const stats = await stat.call(this);
    await writeFile(path, 'half and more');
    return stats;
  });
  const found = await readSmallFile(path);
  assert.ok(!isFileProblem(found));
  assert.deepEqual([found.text, found.grew], ['half ', true]);
});

test('opens the file once more if kubelet removes its directory between resolving the link and opening it', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  await writeFile(path, 'text');
  const original = fs.open;
  let misses = 1;
  const opened = t.mock.method(fs, 'open', (...args: Parameters<typeof fs.open>) => {
    misses -= 1;
    return misses >= 0 ? Promise.reject(Object.assign(new Error('gone'), { code: 'ENOENT' })) : original(...args);
  });
  syncBuiltinESMExports();
  t.after(() => {
    opened.mock.restore();
    syncBuiltinESMExports();
  });
  const found = await readSmallFile(path);
  assert.ok(!isFileProblem(found));
  misses = 2;
  assert.deepEqual(await readSmallFile(path), { problem: 'missing', errno: 'ENOENT' });
});
