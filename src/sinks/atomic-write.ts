// Replaces a small secret file atomically: readers see the old or the new content, always with the right mode. A full
// disk or a kill at any step leaves the old file. Existing libraries follow symlinks, keep a loose mode, or publish a
// file that a full disk has truncated.

import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { ExchangeError } from '../core/errors.ts';
import type { Place } from './directory.ts';

export interface FileSpec {
  readonly mode: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const ABANDONED_MS = 60_000;

/**
 * @param isCurrent asked right before the rename; if false, the old file stays
 * @returns whether the file was replaced
 * @throws NodeJS.ErrnoException, or ExchangeError sink_* if the errno alone isn't specific enough
 */
export async function replaceFile(
  place: Place,
  spec: FileSpec,
  content: string,
  isCurrent = () => true,
): Promise<boolean> {
  const target = place.at(place.name);
  const temporary = temporaryIn(place);
  try {
    await writeNew(temporary, spec, content);
    await refuseObstacle(target, place.name);
    if (!isCurrent()) {
      await unlink(temporary);
      return false;
    }
    await rename(temporary, target);
  } catch (error) {
    // best effort: the caller needs the original error
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await place.sync();
  return true;
}

/** Tries the steps of replaceFile up to the rename, with an empty temporary file. @throws as replaceFile does */
export async function tryReplacing(place: Place, spec: FileSpec): Promise<void> {
  const temporary = temporaryIn(place);
  try {
    await writeNew(temporary, spec, '');
    await refuseObstacle(place.at(place.name), place.name);
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

const temporaryIn = ({ at, name }: Place): string => at(`.${name}.${randomBytes(12).toString('hex')}.tmp`);

/** Removes temporary files of killed processes. Best effort: another instance may be removing them too. */
export async function removeAbandoned(place: Place): Promise<void> {
  const [start, end] = [`.${place.name}.`, '.tmp'];
  const isOurs = (entry: string) =>
    entry.startsWith(start) && entry.endsWith(end) && /^[0-9a-f]{24}$/.test(entry.slice(start.length, -end.length));
  for (const entry of await readdir(place.directory).catch(() => [])) {
    if (!isOurs(entry)) continue;
    const stats = await lstat(place.at(entry)).catch(() => undefined);
    if (!stats?.isFile() || stats.uid !== process.getuid?.()) continue;
    if (Date.now() - stats.mtimeMs > ABANDONED_MS) await unlink(place.at(entry)).catch(() => {});
  }
}

/** Sets owner and mode before it writes the content, so that no other user can read the secret. */
async function writeNew(path: string, spec: FileSpec, content: string): Promise<void> {
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await setOwnerAndMode(handle, spec);
    await handle.writeFile(content);
    const { size } = await handle.stat();
    if (size !== Buffer.byteLength(content)) throw new ExchangeError('sink_no_space', { kind: 'cut-short' });
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function setOwnerAndMode(handle: FileHandle, { mode, uid, gid }: FileSpec): Promise<void> {
  try {
    const stats = await handle.stat();
    const [user, group] = [uid ?? stats.uid, gid ?? stats.gid];
    if (user !== stats.uid || group !== stats.gid) await handle.chown(user, group);
    await handle.chmod(mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ExchangeError('sink_owner', { kind: 'mode', mode, uid, gid, errno: code });
  }
}

/** @throws ExchangeError sink_blocked if the target is a directory, FIFO, socket or device: these aren't replaced */
async function refuseObstacle(target: string, name: string): Promise<void> {
  const stats = await lstat(target).catch(() => undefined);
  if (stats === undefined || stats.isFile() || stats.isSymbolicLink()) return;
  throw new ExchangeError('sink_blocked', {
    kind: 'obstacle',
    name,
    type: stats.isDirectory() ? 'directory' : 'special file',
  });
}
