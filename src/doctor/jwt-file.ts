// The JWT's file from outside: whose it is, when it changed, whether it can change at all.

import { readFile, realpath, stat } from 'node:fs/promises';
import type { FileFacts } from '../core/evidence.ts';

/** @returns undefined where nothing is there to be looked at */
export async function inspectFile(path: string): Promise<FileFacts | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return undefined;
  return {
    path,
    modifiedAt: stats.mtimeMs,
    owner: `${stats.uid}:${stats.gid}, mode ${(stats.mode & 0o7777).toString(8)}`,
    isMount: await isMountPoint(path),
  };
}

/** https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: the fifth field, with blanks as \040 */
async function isMountPoint(path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => path);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return mounts.split('\n').some((line) => line.split(' ')[4] === real.replaceAll(' ', '\\040'));
}
