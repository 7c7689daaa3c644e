// The JWT file in every state: it is read safely, and its changes raise events.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { mkdir, readFile, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openEnvSource } from '../../src/sources/env.ts';
import { openFileSource } from '../../src/sources/file.ts';
import { runUnprivileged } from '../support/confined.ts';
import { codeOf, watched } from '../support/jwt-file.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function setUp(t: TestContext, name = 'token') {
  const directory = await temporaryDirectory(t);
  const path = join(directory, name);
  let hints = 0;
  const source = openFileSource(path, () => {
    hints += 1;
  });
  t.after(() => source.close());
  return { directory, path, source, hints: () => hints };
}

test('reports a missing or empty file, and strips whitespace around the JWT (A1, A7, A8)', async (t) => {
  const { path, source } = await setUp(t);
  assert.equal(await codeOf(source), 'jwt_missing');
  for (const blank of ['', ' \n\t', '\uFEFF']) {
    await writeFile(path, blank);
    assert.equal(await codeOf(source), 'jwt_empty');
  }
  for (const around of ['a.b.c\n', 'a.b.c\r\n', '\uFEFFa.b.c', '  a.b.c  ']) {
    await writeFile(path, around);
    assert.equal(await codeOf(source), 'a.b.c');
  }
});

/** how many bytes this process has read so far, by any call */
const bytesRead = async () => Number(/rchar: (\d+)/.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);

test('reads a file on a file system that reports no sizes', async (t) => {
  const source = openFileSource('/proc/version', () => {});
  t.after(() => source.close());
  assert.match((await source.read()).reveal(), /^Linux /);
});

test('refuses a file that is too large, without reading it (A9)', async (t) => {
  const { path, source } = await setUp(t);
  await writeFile(path, '');
  await truncate(path, 10 * 1024 * 1024);
  const before = await bytesRead();
  for (let reading = 0; reading < 20; reading++) assert.equal(await codeOf(source), 'jwt_too_large');
  assert.ok((await bytesRead()) - before < 20 * 70_000, 'no more of it was read, so no more is held');
  await rm(path);
  await symlink('/dev/zero', path);
  assert.equal(await codeOf(source), 'jwt_not_a_file');
});

test('refuses a FIFO, a directory, a socket and a device without a hang (A10)', async (t) => {
  const { path, source } = await setUp(t);
  execFileSync('mkfifo', [path]);
  // more than there are threads for files and names
  const readings = await Promise.all(Array.from({ length: 8 }, () => codeOf(source)));
  assert.deepEqual(new Set(readings), new Set(['jwt_not_a_file']));
  assert.ok((await lookup('localhost')).address);
  await rm(path);
  for (const device of ['/dev/zero', '/dev/null']) {
    await symlink(device, path);
    assert.equal(await codeOf(source), 'jwt_not_a_file');
    await rm(path);
  }
  await mkdir(path);
  assert.equal(await codeOf(source), 'jwt_not_a_file');
  await rm(path, { recursive: true });
  const server = createServer().listen(path);
  t.after(() => server.close());
  await until('the socket is there', () => server.listening);
  assert.equal(await codeOf(source), 'jwt_not_a_file');
});

test('treats a dangling link and a loop of links as missing (A11)', async (t) => {
  const { path, source, directory } = await setUp(t);
  await symlink(join(directory, 'nowhere'), path);
  assert.equal(await codeOf(source), 'jwt_missing');
  await rm(path);
  await symlink(path, path);
  assert.equal(await codeOf(source), 'jwt_missing');
});

test('each of a hundred kubelet swaps raises an event and can be read (A3)', async (t) => {
  const { directory, source, hints } = await setUp(t);
  const volume = await createProjectedVolume(directory);
  await volume.swap('token', 'a.b.0');
  await watched(source);
  for (let swap = 1; swap <= 100; swap++) {
    const before = hints();
    await volume.swap('token', `a.b.${swap}`);
    await until(`a hint of swap ${swap}`, () => hints() > before, 2000);
    assert.equal(await codeOf(source), `a.b.${swap}`);
  }
});

test('a file written in place or just created may be incomplete, a renamed one is complete (A6)', async (t) => {
  const { path, source, directory } = await setUp(t);
  const torn = async (): Promise<boolean | undefined> => {
    assert.equal(await codeOf(source), 'a.b.c');
    return source.mayBeTorn;
  };
  const age = (file: string, seconds: number) => utimes(file, new Date(), new Date(Date.now() - seconds * 1000));
  await writeFile(path, 'a.b.c');
  await torn();
  await writeFile(path, 'a.b.c');
  assert.equal(await torn(), true, 'in place');
  await writeFile(path, 'a.b.c');
  await age(path, 1);
  assert.equal(await torn(), true, 'in place, however old it says it is');
  for (const [name, seconds, expected] of [
    ['one', 1, false],
    // as young as can be, however slow this machine is
    ['two', -1, true],
    ['three', 1, false],
  ] as const) {
    // a new inode: the old one is still in use
    await writeFile(join(directory, name), 'a.b.c');
    await age(join(directory, name), seconds);
    await rename(join(directory, name), path);
    assert.equal(await torn(), expected, name);
  }
});

test('a rename over the old file raises an event (A5)', async (t) => {
  const { path, source, hints } = await setUp(t);
  await writeFile(path, 'a.b.1');
  await watched(source);
  const before = hints();
  await writeFile(`${path}.new`, 'a.b.2');
  await rename(`${path}.new`, path);
  await until('a hint', () => hints() > before, 2000);
  await until('the new JWT', async () => (await codeOf(source)) === 'a.b.2');
});

test('reads an environment variable, and reports a missing or empty one', async () => {
  const env = { JWT: ' a.b.c\n', BLANK: ' ' };
  assert.equal(await codeOf(openEnvSource('JWT', env)), 'a.b.c');
  assert.equal(await codeOf(openEnvSource('NONE', env)), 'jwt_missing');
  assert.equal(await codeOf(openEnvSource('BLANK', env)), 'jwt_empty');
  assert.equal(openEnvSource('JWT', env).watched, true, 'it never changes');
});

test('reports a file without read permission, and reads it once it is permitted (A12)', async (t) => {
  const { directory } = await setUp(t);
  const output = runUnprivileged(
    directory,
    `import { chmodSync, writeFileSync } from 'node:fs';
    import { openFileSource } from './src/sources/file.ts';
    const source = openFileSource(directory + '/token', () => {});
    writeFileSync(directory + '/token', 'a.b.c', { mode: 0o000 });
    const { code, facts } = await source.read().catch((error) => error.failure);
    chmodSync(directory + '/token', 0o400);
    console.log(code, facts.errno, (await source.read()).reveal());
    await source.close();`,
  );
  assert.equal(output, 'jwt_unreadable EACCES a.b.c');
});
