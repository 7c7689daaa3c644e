// The one reader of small files, at whatever may stand at their path.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFileProblem, readSmallFile } from '../../src/files/small-file.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('reads a file whole, through a link too', async (t) => {
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

test('names what stands there instead of a small regular file', async (t) => {
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
  assert.equal(await problemAt(at('absent')), 'missing');
  assert.equal(await problemAt(at('loop')), 'missing');
  assert.equal(await problemAt(at('limit')), 'none');
  assert.equal(await problemAt(at('large')), 'too-large');
});

test('reads a file that comes in pieces, and without a size, to its end', async () => {
  const found = await readSmallFile('/proc/self/smaps', { mostBytes: 4 * 1024 * 1024 });
  assert.ok(!isFileProblem(found));
  assert.ok(found.text.length > 64 * 1024, `${found.text.length} characters`);
  assert.match(found.text.slice(-200), /\nVmFlags: .*\n$/);
});
