// The order of the system calls that write a token file: owner and mode are set before the content, and the content is
// on disk before the rename.

import assert from 'node:assert/strict';
import fs, { type FileHandle, open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import { PLACE } from '../support/place.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const REST = { exchange: 'app', place: PLACE, accessor: 'a', issuedAt: 0, expiresAt: 0, renewable: true, policies: [] };
const TOKEN = { ...REST, secret: new Secret('hvs.CAESIexample') };

/** Notes calls on file handles with the mode and size before each, and renames. */
async function watchCalls(t: TestContext, directory: string): Promise<string[]> {
  const calls: string[] = [];
  const probe = await open(directory);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  for (const name of ['chown', 'chmod', 'writeFile', 'sync', 'datasync'] as const) {
    const original = prototype[name] as (...args: unknown[]) => Promise<void>;
    t.mock.method(prototype, name, async function (this: FileHandle, ...args: unknown[]) {
      const { mode, size, uid } = await this.stat();
      const what =
        (mode & 0o170000) === 0o040000 ? 'directory' : `${(mode & 0o7777).toString(8)} of ${uid}, ${size} bytes`;
      calls.push(`${name} ${what}`);
      return original.apply(this, args);
    });
  }
  const rename = fs.rename;
  const mocked = t.mock.method(fs, 'rename', async (from: string, to: string) => {
    calls.push('rename');
    return rename(from, to);
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  return calls;
}

test('creates the file private, sets owner and mode before the content, and syncs file, then directory (F10, F13)', async (t) => {
  const directory = await temporaryDirectory(t);
  const us = process.getuid?.() ?? 0;
  const uid = us === 0 ? 1234 : us;
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  const path = join(directory, 'token');
  const sink = openFileSink({ kind: 'file', path, mode: 0o640, format: 'raw', uid });
  const calls = await watchCalls(t, directory);
  await sink.deliver(TOKEN);
  assert.deepEqual(calls, [
    ...(us === 0 ? [`chown 600 of ${us}, 0 bytes`] : []),
    `chmod 600 of ${uid}, 0 bytes`,
    `writeFile 640 of ${uid}, 0 bytes`,
    `sync 640 of ${uid}, ${TOKEN.secret.reveal().length} bytes`,
    'rename',
    'sync directory',
  ]);
});

test('replaces a link to a file with the same content (F5)', async (t) => {
  const directory = await temporaryDirectory(t);
  const [path, elsewhere] = [join(directory, 'token'), join(directory, 'elsewhere')];
  await writeFile(elsewhere, TOKEN.secret.reveal(), { mode: 0o600 });
  await symlink(elsewhere, path);
  const sink = openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' });
  assert.deepEqual(await sink.deliver(TOKEN), { written: true });
  assert.notEqual((await stat(path)).ino, (await stat(elsewhere)).ino);
  assert.equal(await readFile(elsewhere, 'utf8'), TOKEN.secret.reveal());
});

test('treats a short write as an error, and keeps the old file (F1)', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'token');
  const sink = openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' });
  await sink.deliver(TOKEN);
  const probe = await open(directory);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const { writeFile: whole } = prototype;
  t.mock.method(prototype, 'writeFile', function (this: FileHandle, text: string) {
    return whole.call(this, text.slice(0, 5));
  });
  await assert.rejects(sink.deliver({ ...TOKEN, secret: new Secret('hvs.CAESIanother') }), {
    failure: { code: 'sink_no_space', facts: { kind: 'cut-short' } },
  });
  assert.equal(await readFile(path, 'utf8'), TOKEN.secret.reveal());
});
