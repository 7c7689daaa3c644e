// The way to a sink's directory, component by component from the root. Whoever owns a directory on it, or may write to one,
// can put another directory in place of the sink's. Each component is looked at after the one that could replace it was
// found safe, so nothing can change between the look and the use.

import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExchangeError } from '../core/errors.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;
const MOST_LINKS = 40;
/** in place of every user that a user namespace doesn't have: https://man7.org/linux/man-pages/man7/user_namespaces.7.html */
const OVERFLOW_UID = 65_534;

/**
 * Returns the real path of the directory that holds `directory`.
 * @throws NodeJS.ErrnoException, or ExchangeError sink_directory_unsafe naming the component
 */
export async function safeParentOf(directory: string): Promise<string> {
  let names = namesIn(dirname(directory));
  let reached = '/';
  let links = 0;
  refuseWritable('/', await ownedSafely('/'));
  while (names.length > 0) {
    const [name = '', ...rest] = names;
    names = rest;
    const next = join(reached, name);
    const stats = await ownedSafely(next);
    if (stats.isSymbolicLink()) {
      links += 1;
      if (links > MOST_LINKS) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
      const target = await readlink(next);
      if (target.startsWith('/')) reached = '/';
      names = [...namesIn(target), ...names];
    } else {
      refuseWritable(next, stats);
      reached = next;
    }
  }
  return reached;
}

const namesIn = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

async function ownedSafely(path: string): Promise<Stats> {
  const stats = await lstat(path);
  const { uid } = stats;
  if (uid === 0 || uid === process.getuid?.() || (uid === OVERFLOW_UID && (await isForeignToNamespace(uid))))
    return stats;
  const problem = stats.isSymbolicLink() ? 'symlink-owner' : 'owner';
  throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem, uid });
}

/** True where the user namespace has no such user: then it may be root outside. */
async function isForeignToNamespace(uid: number): Promise<boolean> {
  const map = await readSmallFile('/proc/self/uid_map');
  if (isFileProblem(map)) return false;
  const ranges = map.text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return !ranges.some(([first = 0, , length = 0]) => uid >= first && uid < first + length);
}

function refuseWritable(path: string, { mode, uid, gid }: Stats): void {
  if ((mode & STICKY) !== 0) return;
  if ((mode & WRITABLE_BY_ALL) !== 0)
    throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'writable-by-all' });
  // many systems give each user a group of the same number, and let it write
  if ((mode & WRITABLE_BY_GROUP) !== 0 && gid !== uid)
    throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'writable-by-group' });
}
