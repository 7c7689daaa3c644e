// The watch notices when the directory of the JWT file is created, removed, replaced, a link, or can't be watched.

import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileSource } from '../../src/sources/file.ts';
import { watchDirectoryOf } from '../../src/sources/watch.ts';
import { runInNamespace, withoutNamespaces } from '../support/confined.ts';
import { codeOf, watched } from '../support/jwt-file.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('reads and watches a parent that is created, removed and replaced (A2, A17)', async (t) => {
  const directory = await temporaryDirectory(t);
  let hints = 0;
  const source = openFileSource(join(directory, 'deep', 'er', 'token'), () => {
    hints += 1;
  });
  t.after(() => source.close());
  assert.equal(await codeOf(source), 'jwt_missing');
  assert.equal(source.watched, false);
  for (const content of ['a.b.1', 'a.b.2']) {
    await rm(join(directory, 'deep'), { recursive: true, force: true });
    await mkdir(join(directory, 'deep', 'er'), { recursive: true });
    await writeFile(join(directory, 'deep', 'er', 'token'), content);
    assert.equal(await codeOf(source), content);
    await watched(source);
  }
  const before = hints;
  await writeFile(join(directory, 'deep', 'er', 'token'), 'a.b.3');
  await until('a hint from the new directory', () => hints > before);
});

test('watches a parent that is a link, its target and changes of the link (A17)', async (t) => {
  const directory = await temporaryDirectory(t);
  for (const name of ['one', 'two']) {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'token'), `a.b.${name}`);
  }
  await symlink('one', join(directory, 'parent'));
  let hints = 0;
  const source = openFileSource(join(directory, 'parent', 'token'), () => {
    hints += 1;
  });
  t.after(() => source.close());
  for (const name of ['one', 'two']) {
    const retargeted = hints;
    await symlink(name, join(directory, 'next'));
    await rename(join(directory, 'next'), join(directory, 'parent'));
    if (name === 'two') await until('a hint of the new link', () => hints > retargeted, 2000);
    assert.equal(await codeOf(source), `a.b.${name}`);
    await watched(source);
    const before = hints;
    await writeFile(join(directory, name, 'new'), `a.b.${name}.2`);
    await rename(join(directory, name, 'new'), join(directory, name, 'token'));
    await until('a hint from behind the link', () => hints > before, 2000);
    await until('the new JWT', async () => (await codeOf(source)) === `a.b.${name}.2`);
  }
});

test('simultaneous repairs open one watch, and none is left after the close', async (t) => {
  const directory = await temporaryDirectory(t);
  const open = () => process.getActiveResourcesInfo().filter((resource) => resource === 'FSEventWrap').length;
  const elsewhere = join(directory, 'elsewhere');
  await mkdir(elsewhere);
  const watch = watchDirectoryOf(join(elsewhere, 'ca.pem'), () => {});
  await watch.repair();
  const before = open();
  await rename(elsewhere, `${elsewhere}.old`);
  await mkdir(elsewhere);
  await Promise.all([watch.repair(), watch.repair(), watch.repair()]);
  assert.ok(watch.isAlive());
  await until('the old watch is gone', () => open() === before);
  await watch.close();
  await until('no watch of ours', () => open() < before);
  const tooLate = watchDirectoryOf(join(elsewhere, 'ca.pem'), () => {});
  await Promise.all([tooLate.repair(), tooLate.close()]);
  const setUp = watchDirectoryOf(join(elsewhere, 'ca.pem'), () => {});
  await setUp.repair();
  await setUp.close();
  await until('nor of those that were closed before they were set up', () => open() < before);
});

test('the next repair watches a directory that was removed and recreated at once (A17)', async (t) => {
  const directory = join(await temporaryDirectory(t), 'volume');
  await mkdir(directory);
  let hints = 0;
  const watch = watchDirectoryOf(join(directory, 'token'), () => {
    hints += 1;
  });
  t.after(() => watch.close());
  await watch.repair();
  for (let round = 0; round < 20; round += 1) {
    const before = hints;
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    await until('a hint of the removal', () => hints > before);
    await watch.repair();
    assert.ok(watch.isAlive());
    const repaired = hints;
    await writeFile(join(directory, 'token'), 'a.b.c');
    await until('a hint from the new directory', () => hints > repaired);
  }
});

test('changes beside a link to the directory raise no event', async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'real'));
  await symlink('real', join(directory, 'linked'));
  let hints = 0;
  const watch = watchDirectoryOf(join(directory, 'linked', 'token'), () => {
    hints += 1;
  });
  t.after(() => watch.close());
  await watch.repair();
  const before = hints;
  for (let file = 0; file < 20; file += 1) await writeFile(join(directory, `${file}`), '');
  await writeFile(join(directory, 'real', 'token'), '');
  await until('the hint from within', () => hints > before);
  await writeFile(join(directory, 'real', 'token'), 'x');
  await until('another', () => hints > before + 1);
  assert.ok(hints < before + 10, `${hints - before} hints`);
});

const EXHAUSTED = `
  import { writeFileSync } from 'node:fs';
  import { openFileSource } from './src/sources/file.ts';
  import { until } from './test/support/settling.ts';
  let [hints, readings] = [0, 0];
  const source = openFileSource(directory + '/token', () => { hints += 1; });
  await until('twenty readings', async () => (await source.read(), ++readings === 20));
  console.log((await source.read()).reveal(), source.watched, hints);
  hints = 0;
  writeFileSync(LIMIT, '128');
  await until('the watch is back', async () => (await source.read(), source.watched && hints > 0));
  await source.close();`;

test('reads the file while inotify is exhausted, and watches it again afterwards (A18)', {
  skip: withoutNamespaces(),
}, async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'token'), 'a.b.c');
  for (const name of ['max_inotify_instances', 'max_inotify_watches']) {
    const limit = `/proc/sys/user/${name}`;
    const output = runInNamespace(directory, `echo 0 > ${limit}`, EXHAUSTED.replace('LIMIT', `'${limit}'`));
    assert.equal(output, 'a.b.c false 1', 'one hint, that the first watch failed');
  }
});
