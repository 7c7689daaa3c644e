// Checks the path to a sink's directory from the root down: a user who owns a directory on it, or may write to one,
// could replace the sink's directory. Each component is checked after its parent was found safe, so that no other user
// can replace it between check and use.

import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExchangeError } from '../core/errors.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;
const MOST_LINKS = 40;
/** the uid shown for an unmapped user: https://man7.org/linux/man-pages/man7/user_namespaces.7.html */
const OVERFLOW_UID = 65_534;

/**
 * Returns the real path of the parent of `directory`.
 * @throws NodeJS.ErrnoException, or ExchangeError sink_directory_unsafe that names the unsafe component
 */
export async function safeParentOf(directory: string): Promise<string> {
  let names = namesIn(dirname(directory));
  let reached = '/';
  let links = 0;
  refuseWritable('/', await statSafelyOwned('/'));
  while (names.length > 0) {
    const [name = '', ...rest] = names;
    names = rest;
    const next = join(reached, name);
    const stats = await statSafelyOwned(next);
    if (stats.isSymbolicLink()) {
      links += 1;
      if (links > MOST_LINKS) throw Object.assign(new Error('too many symlinks'), { code: 'ELOOP' });
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

async function statSafelyOwned(path: string): Promise<Stats> {
  const stats = await lstat(path);
  const { uid } = stats;
  if (uid === 0 || uid === process.getuid?.() || (uid === OVERFLOW_UID && (await isForeignToNamespace(uid))))
    return stats;
  const problem = stats.isSymbolicLink() ? 'symlink-owner' : 'owner';
  throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem, uid });
}

/** Reports whether the user namespace doesn't map `uid`: the owner may then be root outside the namespace. */
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
  // many systems give each user a private group with the same id, and make directories group-writable for it
  if ((mode & WRITABLE_BY_GROUP) !== 0 && gid !== uid)
    throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'writable-by-group' });
}
