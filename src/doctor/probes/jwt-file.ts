// Inspects the JWT's file: owner, mode, time of the last change, and whether the file is a mount of its own.

import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { workIn } from '../../files/file-work.ts';
import { isFileProblem, readSmallFile } from '../../files/small-file.ts';
import type { FileFacts } from '../diagnose/evidence.ts';

/** The limit for /proc/self/mountinfo: a node with many pods has thousands of mounts. */
const MOST_BYTES = 4 * 1024 * 1024;

/** @returns undefined if the file can't be inspected, or its file system doesn't respond */
export async function inspectFile(path: string): Promise<FileFacts | undefined> {
  const seen = await workIn(dirname(path), () => look(path)).catch((error: NodeJS.ErrnoException) => {
    // A system error, such as ENOENT.
    if (error.syscall !== undefined) return undefined;
    throw error;
  });
  if (seen === undefined || seen === 'stuck') return undefined;
  const { stats, real } = seen;
  return {
    path,
    modifiedAt: stats.mtimeMs,
    owner: `${stats.uid}:${stats.gid}, mode ${(stats.mode & 0o7777).toString(8)}`,
    isMount: await isMountPoint(real),
  };
}

const look = async (path: string) => ({ stats: await stat(path), real: await realpath(path) });

/** https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: the fifth field, with spaces as \040 */
async function isMountPoint(real: string): Promise<boolean> {
  const mounts = await readSmallFile('/proc/self/mountinfo', { mostBytes: MOST_BYTES });
  if (isFileProblem(mounts)) return false;
  return mounts.text.split('\n').some((line) => line.split(' ')[4] === real.replaceAll(' ', '\\040'));
}
