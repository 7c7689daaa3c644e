// Faults of the token file: kills during a write, a full or read-only disk, missing permissions, planted links.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import { chown, lutimes, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import type { TokenDocument, TokenSink } from '../../src/sinks/sink.ts';
import { runInNamespace, runUnprivileged, withoutNamespaces } from '../support/confined.ts';
import { PLACE } from '../support/place.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TOKEN: TokenDocument = {
  exchange: 'app',
  place: PLACE,
  secret: new Secret('hvs.CAESIexample'),
  accessor: 'acc',
  issuedAt: 0,
  expiresAt: 3_600_000,
  renewable: true,
  policies: [],
};

const sinkAt = (path: string): TokenSink => openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' });

const WRITER = `
  import { openFileSink } from './src/sinks/file.ts';
  import { Secret } from './src/core/secret.ts';
  const sink = openFileSink({ kind: 'file', path: process.argv[1], mode: 0o600, format: 'raw' });
  for (let n = 0; ; n++) {
    await sink.deliver({ secret: new Secret('hvs.' + String(n % 10).repeat(4000)), policies: [] });
    if (n === 0) console.log('writing');
  }`;

test('after kill -9 during a write, fast readers find the old or the new file, never a partial or missing one (F10, F11)', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'token');
  let readings = 0;
  for (let kill = 0; kill < 8; kill++) {
    const writer: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    assert.ok(writer.stdout);
    await once(writer.stdout, 'data');
    for (let reading = 0; reading < 150 + kill * 7; reading++) {
      assert.match(await readFile(path, 'utf8'), /^hvs\.(\d)\1{3999}$/);
      readings += 1;
    }
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    assert.match(await readFile(path, 'utf8'), /^hvs\.(\d)\1{3999}$/);
  }
  t.diagnostic(`${readings} readings`);
});

test('removes only old temporary files of a killed writer, also with three sinks at once (F10)', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'token');
  const past = new Date(Date.now() - 62_000);
  const foreign = ['.token.other.tmp', `.token2.${'a'.repeat(24)}.tmp`];
  const abandoned = Array.from('0123456789abcdef', (digit) => `.token.${digit.repeat(24)}.tmp`);
  for (const name of [...foreign, ...abandoned]) {
    await writeFile(join(directory, name), 'x');
    await utimes(join(directory, name), past, past);
  }
  const link = `.token.${'ef'.repeat(12)}.tmp`;
  await symlink('nowhere', join(directory, link));
  await lutimes(join(directory, link), past, past);
  const young = `.token.${'ab'.repeat(12)}.tmp`;
  await writeFile(join(directory, young), 'x');
  const recently = new Date(Date.now() - 30_000);
  await utimes(join(directory, young), recently, recently);
  const isRoot = process.getuid?.() === 0;
  const anothers = isRoot ? [`.token.${'cd'.repeat(12)}.tmp`] : [];
  for (const name of anothers) {
    await writeFile(join(directory, name), 'x');
    await chown(join(directory, name), 12_345, 12_345);
    await utimes(join(directory, name), past, past);
  }
  await Promise.all([1, 2, 3].map(() => sinkAt(path).deliver(TOKEN)));
  assert.deepEqual((await readdir(directory)).sort(), [...foreign, ...anothers, link, young, 'token'].sort());
});

/** What a child needs to deliver a token of `length` equal digits, and to tell what became of it. */
const IN_CHILD = `
  import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
  import { Secret } from './src/core/secret.ts';
  import { openFileSink } from './src/sinks/file.ts';
  const path = directory + '/token';
  const deliver = (digit, length, more) =>
    openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw', ...more })
      .deliver({ secret: new Secret('hvs.' + digit.repeat(length)) })
      .then(() => 'written', (error) => error.failure.code);
  const tell = (code) => console.log(code, readFileSync(path, 'utf8').slice(0, 6), readdirSync(directory).sort().join());
`;

const NAMESPACES = { skip: withoutNamespaces() };

test('a full file system keeps the old file intact and leaves no temporary file (F1)', NAMESPACES, async (t) => {
  const output = runInNamespace(
    await temporaryDirectory(t),
    'mount -t tmpfs -o size=16k,mode=0700 none "$1"',
    `${IN_CHILD}
    await deliver('1', 4000);
    try { writeFileSync(directory + '/filler', 'x'.repeat(65536)); } catch {}
    tell(await deliver('2', 8000));`,
  );
  assert.equal(output, 'sink_no_space hvs.11 filler,token');
});

test('a file system that became read-only keeps the old file (F2)', NAMESPACES, async (t) => {
  const output = runInNamespace(
    await temporaryDirectory(t),
    'mount -t tmpfs -o mode=0700 none "$1"; printf hvs.1111 > "$1/token"; mount -o remount,bind,ro "$1"',
    `${IN_CHILD} tell(await deliver('2', 8));`,
  );
  assert.equal(output, 'sink_denied hvs.11 token');
});

test("reports a mount point at the target's path (F8)", NAMESPACES, async (t) => {
  const output = runInNamespace(
    await temporaryDirectory(t),
    'printf hvs.1111 > "$1/token"; mount --bind "$1/token" "$1/token"',
    `${IN_CHILD} tell(await deliver('2', 8));`,
  );
  assert.equal(output, 'sink_blocked hvs.11 token');
});

test('a directory without write permission keeps the old file (F2)', async (t) => {
  const output = runUnprivileged(
    await temporaryDirectory(t),
    `${IN_CHILD}
    await deliver('1', 8);
    chmodSync(directory, 0o500);
    tell(await deliver('2', 8));
    chmodSync(directory, 0o700);`,
  );
  assert.equal(output, 'sink_denied hvs.11 token');
});

test('an owner that may not be set keeps the old file, and leaves no file with half of the owner (F14)', async (t) => {
  const output = runUnprivileged(
    await temporaryDirectory(t),
    `${IN_CHILD}
    await deliver('1', 8);
    tell(await deliver('2', 8, { uid: 0, gid: 0 }));`,
  );
  assert.equal(output, 'sink_owner hvs.11 token');
});

test('a link planted under the temporary name is not followed, and the next delivery succeeds (F9)', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'victim'), 'precious');
  await symlink('victim', join(directory, `.token.${'ab'.repeat(12)}.tmp`));
  const guessed = t.mock.method(crypto, 'randomBytes', () => Buffer.alloc(12, 0xab));
  syncBuiltinESMExports();
  t.after(() => {
    guessed.mock.restore();
    syncBuiltinESMExports();
  });
  const sink = sinkAt(join(directory, 'token'));
  await assert.rejects(sink.deliver(TOKEN), {
    failure: { code: 'sink_failed', facts: { kind: 'file', path: sink.id, errno: 'EEXIST' } },
  });
  assert.deepEqual(await sink.deliver(TOKEN), { written: true });
  assert.equal(guessed.mock.callCount(), 2);
  assert.equal(await readFile(join(directory, 'victim'), 'utf8'), 'precious');
});
