// The token file: replaced atomically, with the right mode and owner, whatever is at its path before.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { FileSinkSettings } from '../../src/core/settings.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import type { TokenDocument } from '../../src/sinks/sink.ts';
import { PLACE } from '../support/place.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TOKEN: TokenDocument = {
  exchange: 'app',
  place: PLACE,
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

test('a delivery that a newer one has overtaken leaves the file alone, and no temporary file (V2)', async (t) => {
  const { directory, path, sink, code } = await setUp(t);
  assert.equal(await code(), 'written');
  const older = { ...TOKEN, secret: new Secret('hvs.CAESIolder') };
  assert.deepEqual(await sink.deliver(older, () => false), { written: false });
  assert.equal(await readFile(path, 'utf8'), 'hvs.CAESIexample');
  assert.deepEqual(await readdir(directory), ['token']);
});

test('writes the three formats', async (t) => {
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
    ...PLACE,
  });
});

test('leaves a correct file alone, and restores a deleted or modified file and its mode (C31, F15)', async (t) => {
  const { path, code } = await setUp(t);
  assert.equal(await code(), 'written');
  const { ino } = await stat(path);
  assert.equal(await code(), 'left alone');
  assert.equal((await stat(path)).ino, ino);
  const sameLength = 'hvs.CAESIexamplE';
  for (const harm of [
    () => rm(path),
    () => writeFile(path, 'other'),
    () => writeFile(path, sameLength),
    () => chmod(path, 0o644),
  ]) {
    await harm();
    assert.equal(await code(), 'written');
    assert.equal(await readFile(path, 'utf8'), 'hvs.CAESIexample');
    assert.equal(await modeOf(path), 0o640);
  }
});

test('sets the exact mode under any umask, also in a setgid directory (F13)', async (t) => {
  const before = process.umask();
  t.after(() => process.umask(before));
  for (const umask of [0o000, 0o077, 0o777]) {
    const { path, code, directory } = await setUp(t);
    await chmod(directory, 0o2750);
    process.umask(umask);
    assert.equal(await code(), 'written');
    process.umask(before);
    assert.equal(await modeOf(path), 0o640);
  }
});

test("replaces a link at the target's path, and leaves its target alone (F5)", async (t) => {
  const { directory, path, code } = await setUp(t);
  const victim = join(directory, 'victim');
  await writeFile(victim, 'precious');
  await symlink(victim, path);
  assert.equal(await code(), 'written');
  assert.equal((await lstat(path)).isSymbolicLink(), false);
  assert.equal(await readFile(victim, 'utf8'), 'precious');
});

test("refuses a directory that is a link, world-writable or another user's (F6)", async (t) => {
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

test('follows links in the parents of the directory, such as /var/run (F6)', async (t) => {
  const { directory } = await setUp(t);
  await mkdir(join(directory, 'run', 'vault'), { recursive: true });
  await symlink('run', join(directory, 'linked'));
  const { code } = await setUp(t, { path: join(directory, 'linked', 'vault', 'token') });
  assert.equal(await code(), 'written');
});

test("reports a directory that becomes a link, and doesn't remove the correct token behind it (F6)", async (t) => {
  const { directory } = await setUp(t);
  const parent = join(directory, 'parent');
  await mkdir(parent);
  const { code, sink } = await setUp(t, { path: join(parent, 'token') });
  assert.equal(await code(), 'written');
  await rename(parent, join(directory, 'victim'));
  await symlink('victim', parent);
  assert.equal(await code(), 'sink_directory_unsafe');
  await assert.rejects(sink.remove(), ExchangeError);
  assert.equal(await readFile(join(directory, 'victim', 'token'), 'utf8'), 'hvs.CAESIexample');
});

test('replaces an existing world-readable file with our owner and mode (F7)', async (t) => {
  const { path, code } = await setUp(t);
  await writeFile(path, 'bait', { mode: 0o666 });
  if (process.getuid?.() === 0) await chown(path, 12_345, 12_345);
  assert.equal(await code(), 'written');
  const { uid } = await stat(path);
  assert.deepEqual([uid, await modeOf(path)], [process.getuid?.(), 0o640]);
});

test("reports a directory, FIFO or socket at the target's path without a hang, and leaves nothing behind (F8)", async (t) => {
  const { directory, path, code } = await setUp(t);
  const server = createServer();
  t.after(() => server.close());
  const obstacles = [
    () => mkdir(path),
    () => execFileSync('mkfifo', [path]),
    () => once(server.listen(path), 'listening'),
  ];
  for (const stand of obstacles) {
    await stand();
    assert.equal(await code(), 'sink_blocked');
    assert.deepEqual(await readdir(directory), ['token']);
    await rm(path, { recursive: true });
  }
  assert.equal(await code(), 'written');
});

test('reports a missing directory, and writes as soon as it exists (F3, F4)', async (t) => {
  const { directory, code } = await setUp(t);
  await rm(directory, { recursive: true });
  assert.equal(await code(), 'sink_directory_missing');
  await mkdir(directory, { mode: 0o700 });
  assert.equal(await code(), 'written');
});

test('sets the configured owner and group', {
  skip: process.getuid?.() !== 0 && 'only root may give files away',
}, async (t) => {
  const { path, code } = await setUp(t, { uid: 1000, gid: 1001 });
  assert.equal(await code(), 'written');
  for (const harm of [async () => {}, () => chown(path, 0, 1001), () => chown(path, 1000, 0)]) {
    await harm();
    await code();
    const { uid, gid } = await stat(path);
    assert.deepEqual([uid, gid], [1000, 1001]);
  }
});

test('never writes a token that is not one printable word', async (t) => {
  const { sink, path } = await setUp(t);
  for (const text of ['', 'short', 'two words', 'hvs.line\nbreak']) {
    await assert.rejects(sink.deliver({ ...TOKEN, secret: new Secret(text) }), ExchangeError);
  }
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('never writes a token with shell metacharacters in the env format', async (t) => {
  const { sink, path } = await setUp(t, { format: 'env' });
  for (const text of ['hvs.CAESI$(id)', 'hvs.CAESI;reboot', 'hvs.CAESI`id`', "hvs.CAESI'x", 'hvs.CAESI&x']) {
    await assert.rejects(sink.deliver({ ...TOKEN, secret: new Secret(text) }), ExchangeError, text);
  }
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('the age of a missing, irregular or future file is unknown', async (t) => {
  const { path, sink, code } = await setUp(t);
  assert.equal(await sink.age(), Number.POSITIVE_INFINITY);
  assert.equal(await code(), 'written');
  const age = await sink.age();
  assert.ok(age >= 0 && age < 2000, `${age} ms`);
  const [ago, ahead] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)];
  await utimes(path, ago, ago);
  assert.ok(Math.abs((await sink.age()) - 60_000) < 2000);
  await utimes(path, ahead, ahead);
  const { now } = Date;
  Date.now = () => ahead.getTime();
  const atOnce = await sink.age();
  Date.now = now;
  assert.equal(atOnce, 0);
  assert.equal(await sink.age(), Number.POSITIVE_INFINITY);
  await rm(path);
  await mkdir(path);
  assert.equal(await sink.age(), Number.POSITIVE_INFINITY);
});

test('remove deletes the file, and succeeds if it is already gone', async (t) => {
  const { sink, path } = await setUp(t);
  await sink.deliver(TOKEN);
  await sink.remove();
  await assert.rejects(stat(path), { code: 'ENOENT' });
  await sink.remove();
});

test('the check reports an obstacle, and leaves no trace', async (t) => {
  const { sink, path, directory } = await setUp(t);
  await sink.check();
  assert.deepEqual(await readdir(directory), []);
  await mkdir(path);
  await assert.rejects(sink.check(), {
    failure: { code: 'sink_blocked', facts: { kind: 'obstacle', name: 'token', type: 'directory' } },
  });
  assert.deepEqual(await readdir(directory), ['token']);
});

test('no descriptor stays open, whether the token is written, there already or refused', async (t) => {
  const { sink, path } = await setUp(t);
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  await sink.deliver(TOKEN);
  await sink.deliver(TOKEN);
  await sink.check();
  await sink.remove();
  await mkdir(path);
  await assert.rejects(sink.deliver(TOKEN));
  assert.equal(descriptors(), before);
});

test('the check tries to give the file its owner', async (t) => {
  const { path, directory } = await setUp(t);
  const impossible = openFileSink({ kind: 'file', path, mode: 0o600, gid: 2 ** 32, format: 'raw' });
  await assert.rejects(impossible.check(), (error) => {
    assert.ok(error instanceof ExchangeError);
    return error.failure.code === 'sink_owner';
  });
  assert.deepEqual(await readdir(directory), []);
});

test('reads back its own JSON, and nothing that another user could have written', async (t) => {
  const { sink, path } = await setUp(t, { format: 'json' });
  assert.equal(await sink.read(), undefined);
  await sink.deliver(TOKEN);
  const read = await sink.read();
  assert.deepEqual([read?.secret.reveal(), read?.place], ['hvs.CAESIexample', PLACE]);
  for (const mode of [0o660, 0o602]) {
    await chmod(path, mode);
    assert.equal(await sink.read(), undefined, mode.toString(8));
  }
  await chmod(path, 0o600);
  for (const text of ['', '{', '{"token":7}', '{"token":"a b"}', 'null', `{"token":"${'x'.repeat(70_000)}"}`]) {
    await writeFile(path, text);
    assert.equal(await sink.read(), undefined, text.slice(0, 20));
  }
  await rm(path);
  await symlink('/etc/hostname', path);
  assert.equal(await sink.read(), undefined);
  for (const format of ['raw', 'env'] as const) {
    const other = await setUp(t, { format });
    await other.sink.deliver(TOKEN);
    assert.equal(await other.sink.read(), undefined, format);
  }
});
