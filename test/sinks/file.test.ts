// The token's file: whole or not at all, with the right mode and owner whatever stood there before.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, lstat, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { FileSinkSettings } from '../../src/core/settings.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import type { TokenDocument } from '../../src/sinks/sink.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TOKEN: TokenDocument = {
  exchange: 'app',
  secret: new Secret('hvs.CAESIexample'),
  accessor: 'acc',
  issuedAt: Date.UTC(2026, 0, 1),
  expiresAt: Date.UTC(2026, 0, 1, 1),
  renewable: true,
  policies: ['default'],
};

async function setUp(t: TestContext, settings: Partial<FileSinkSettings> = {}) {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'token');
  const sink = openFileSink({ kind: 'file', path, mode: 0o640, format: 'raw', ...settings });
  const code = () =>
    sink.deliver(TOKEN).then(
      ({ written }) => (written ? 'written' : 'left alone'),
      (error) => {
        assert.ok(error instanceof ExchangeError, String(error));
        assert.ok(!error.message.includes('CAESI'));
        return error.failure.code;
      },
    );
  return { directory, path, sink, code };
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777;

test('the three formats', async (t) => {
  const contents = new Map<string, string>();
  for (const format of ['raw', 'json', 'env'] as const) {
    const { sink, path } = await setUp(t, { format });
    await sink.deliver(TOKEN);
    contents.set(format, await readFile(path, 'utf8'));
  }
  assert.equal(contents.get('raw'), 'hvs.CAESIexample');
  assert.equal(contents.get('env'), 'VAULT_TOKEN=hvs.CAESIexample\n');
  assert.deepEqual(JSON.parse(contents.get('json') ?? ''), {
    token: 'hvs.CAESIexample',
    accessor: 'acc',
    expires_at: '2026-01-01T01:00:00.000Z',
    issued_at: '2026-01-01T00:00:00.000Z',
    renewable: true,
    policies: ['default'],
    exchange: 'app',
  });
});

test('C31, F15: what is right is left alone; what is deleted, altered or opened is put right', async (t) => {
  const { path, code } = await setUp(t);
  assert.equal(await code(), 'written');
  const { ino } = await stat(path);
  assert.equal(await code(), 'left alone');
  assert.equal((await stat(path)).ino, ino);
  for (const harm of [() => rm(path), () => writeFile(path, 'other'), () => chmod(path, 0o644)]) {
    await harm();
    assert.equal(await code(), 'written');
    assert.equal(await readFile(path, 'utf8'), 'hvs.CAESIexample');
    assert.equal(await modeOf(path), 0o640);
  }
});

test('F13: the mode is exact under any umask', async (t) => {
  const before = process.umask();
  t.after(() => process.umask(before));
  for (const umask of [0o000, 0o077, 0o777]) {
    const { path, code } = await setUp(t);
    process.umask(umask);
    assert.equal(await code(), 'written');
    process.umask(before);
    assert.equal(await modeOf(path), 0o640);
  }
});

test("F5: a link in the target's place is replaced, and what it points to stays", async (t) => {
  const { directory, path, code } = await setUp(t);
  const victim = join(directory, 'victim');
  await writeFile(victim, 'precious');
  await symlink(victim, path);
  assert.equal(await code(), 'written');
  assert.equal((await lstat(path)).isSymbolicLink(), false);
  assert.equal(await readFile(victim, 'utf8'), 'precious');
});

test("F6: a directory that is a link, or writable by all, or another's, is refused", async (t) => {
  const { directory, code } = await setUp(t);
  await chmod(directory, 0o777);
  assert.equal(await code(), 'sink_directory_unsafe');
  await chmod(directory, 0o1777);
  assert.equal(await code(), 'written');
  const real = join(directory, 'real');
  await mkdir(real);
  await symlink(real, join(directory, 'linked'));
  const linked = await setUp(t, { path: join(directory, 'linked', 'token') });
  assert.equal(await linked.code(), 'sink_directory_unsafe');
  if (process.getuid?.() === 0) {
    await chown(real, 12_345, 12_345);
    const foreign = await setUp(t, { path: join(real, 'token') });
    assert.equal(await foreign.code(), 'sink_directory_unsafe');
  }
});

test('F7: a file left open to all by somebody becomes ours and closed', async (t) => {
  const { path, code } = await setUp(t);
  await writeFile(path, 'bait', { mode: 0o666 });
  if (process.getuid?.() === 0) await chown(path, 12_345, 12_345);
  assert.equal(await code(), 'written');
  const { uid } = await stat(path);
  assert.deepEqual([uid, await modeOf(path)], [process.getuid?.(), 0o640]);
});

test("F8: a directory or FIFO in the target's place is an error, and nothing is left behind", async (t) => {
  const { directory, path, code } = await setUp(t);
  await mkdir(path);
  assert.equal(await code(), 'sink_blocked');
  assert.deepEqual(await readdir(directory), ['token']);
});

test('F3, F4: a directory that is missing is told, and used as soon as it is there', async (t) => {
  const { directory, code } = await setUp(t);
  await rm(directory, { recursive: true });
  assert.equal(await code(), 'sink_directory_missing');
  await mkdir(directory, { mode: 0o700 });
  assert.equal(await code(), 'written');
});

test('F2: a file system that cannot be written is told', async (t) => {
  const { code } = await setUp(t, { path: '/proc/self/task/token' });
  assert.match(await code(), /^sink_(denied|directory_missing|failed)$/);
});

test('owner and group are set as configured', {
  skip: process.getuid?.() !== 0 && 'only root may give files away',
}, async (t) => {
  const { path, code } = await setUp(t, { uid: 1000, gid: 1001 });
  assert.equal(await code(), 'written');
  const { uid, gid } = await stat(path);
  assert.deepEqual([uid, gid], [1000, 1001]);
});

test('a token that is not one printable word is never published', async (t) => {
  const { sink, path } = await setUp(t);
  for (const text of ['', 'short', 'two words', 'hvs.line\nbreak']) {
    await assert.rejects(sink.deliver({ ...TOKEN, secret: new Secret(text) }), ExchangeError);
  }
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('remove takes the file away, and is content when it is gone already', async (t) => {
  const { sink, path } = await setUp(t);
  await sink.deliver(TOKEN);
  await sink.remove();
  await assert.rejects(stat(path), { code: 'ENOENT' });
  await sink.remove();
});

const WRITER = `
  import { openFileSink } from './src/sinks/file.ts';
  import { Secret } from './src/core/secret.ts';
  const sink = openFileSink({ kind: 'file', path: process.argv[1], mode: 0o600, format: 'raw' });
  for (let n = 0; ; n++) {
    await sink.deliver({ secret: new Secret('hvs.' + String(n % 10).repeat(4000)), policies: [] });
    if (n === 0) console.log('writing');
  }`;

test('F10, F11: kill -9 in the middle of writing, readers at full speed: old or new, never partial, never absent', async (t) => {
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
  // what the killed writers left is swept once it is old, and nothing else is
  const past = new Date(Date.now() - 120_000);
  const abandoned = join(directory, `.token.${'a'.repeat(24)}.tmp`);
  for (const name of [abandoned, join(directory, '.token.other.tmp')]) {
    await writeFile(name, 'x');
    await utimes(name, past, past);
  }
  await openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' }).deliver(TOKEN);
  const left = await readdir(directory);
  assert.ok(!left.includes(`.token.${'a'.repeat(24)}.tmp`) && left.includes('.token.other.tmp'));
});

test('F1: a full file system leaves the old file whole and no temporary one', {
  skip: process.getuid?.() !== 0 && 'mounting needs root',
}, async (t) => {
  const directory = await temporaryDirectory(t);
  const script = `
    mount -t tmpfs -o size=16k,mode=0700 none "$1" || exit 77
    exec "$2" --input-type=module -e '
      import { openFileSink } from "./src/sinks/file.ts";
      import { Secret } from "./src/core/secret.ts";
      import { readdirSync, readFileSync, writeFileSync } from "node:fs";
      const sink = openFileSink({ kind: "file", path: process.argv[1] + "/token", mode: 0o600, format: "raw" });
      await sink.deliver({ secret: new Secret("hvs." + "1".repeat(4000)) });
      try { writeFileSync(process.argv[1] + "/filler", "x".repeat(65536)); } catch {}
      const code = await sink.deliver({ secret: new Secret("hvs." + "2".repeat(8000)) }).catch((error) => error.failure.code);
      console.log(code, readFileSync(process.argv[1] + "/token", "utf8") === "hvs." + "1".repeat(4000), readdirSync(process.argv[1]).sort().join());
    ' "$1"`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', directory, process.execPath], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [exit] = await once(child, 'close');
  assert.equal(exit, 0);
  assert.equal(output.trim(), 'sink_no_space true filler,token');
});
