// The JWT in a directory of 100,000 files: watching needs no more memory, and a new JWT is noticed as quickly.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileSource } from '../../src/sources/file.ts';
import { codeOf, watched } from '../support/jwt-file.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { memoryOf } from '../support/proc.ts';
import { until } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';

const FILES = 100_000;
const ROTATIONS = 20;

test('reads each new JWT within 200 ms beside 100,000 other files, and memory stays flat (K13)', async (t) => {
  const directory = await temporaryDirectory(t);
  execFileSync('sh', ['-c', `seq ${FILES} | xargs touch`], { cwd: directory });
  const path = join(directory, 'jwt');
  const volume = await createProjectedVolume(directory);
  await replaceByRename(path, 'a.b.first');
  await volume.swap('token', 'a.b.first');
  const startedMiB = memoryOf(process.pid).residentMiB;
  const took: number[] = [];
  for (const [file, change] of [
    ['jwt', (jwt: string) => replaceByRename(path, jwt)],
    ['token', (jwt: string) => volume.swap('token', jwt)],
  ] as const) {
    let hints = 0;
    const source = openFileSource(join(directory, file), () => {
      hints += 1;
    });
    t.after(() => source.close());
    await watched(source);
    for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
      const jwt = `a.b.${rotation}`;
      const before = hints;
      await change(jwt);
      const changedAt = performance.now();
      await until('the new JWT', async () => hints > before && (await codeOf(source)) === jwt);
      took.push(performance.now() - changedAt);
    }
  }
  const grownMiB = memoryOf(process.pid).residentMiB - startedMiB;
  const slowest = Math.max(...took);
  t.diagnostic(`${Math.round(slowest)} ms at most, ${Math.round(grownMiB)} MiB more`);
  assert.ok(slowest <= 200, `${took.map(Math.round)} ms`);
  assert.ok(grownMiB < 20, `${grownMiB} MiB more`);
});
