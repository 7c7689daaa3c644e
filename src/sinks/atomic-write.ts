// Replaces a small secret file whole or not at all. A reader finds the old content or the new, with the right mode from
// the first byte on; a full disk or a kill at any step leaves the old file. The libraries for this follow links, keep a
// loose mode, or publish a file that a full disk cut short, so it is done here (Linux only: through /proc/self/fd).

import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { ExchangeError } from '../core/errors.ts';

export interface FileSpec {
  readonly path: string;
  readonly mode: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const WORLD_WRITABLE = 0o002;
const STICKY = 0o1000;
const ABANDONED_MS = 60_000;

/** @throws NodeJS.ErrnoException, or ExchangeError sink_* where the code alone would not say enough */
export async function replaceFile(spec: FileSpec, content: string): Promise<void> {
  const directory = await openDirectory(dirname(spec.path));
  try {
    // by the directory's descriptor: another one put under its name meanwhile gets nothing
    const at = (name: string) => `/proc/self/fd/${directory.fd}/${name}`;
    const name = basename(spec.path);
    const temporary = at(`.${name}.${randomBytes(12).toString('hex')}.tmp`);
    await writeNew(temporary, spec, content);
    try {
      await refuseObstacle(at(name), spec.path);
      await rename(temporary, at(name));
    } catch (error) {
      await unlink(temporary);
      throw error;
    }
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes the temporary files that a killed process left beside `path`. */
export async function removeAbandoned(path: string): Promise<void> {
  const name = basename(path).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const ours = new RegExp(`^\\.${name}\\.[0-9a-f]{24}\\.tmp$`);
  for (const entry of await readdir(dirname(path))) {
    if (!ours.test(entry)) continue;
    const full = `${dirname(path)}/${entry}`;
    const stats = await lstat(full);
    const abandoned = stats.isFile() && stats.uid === process.getuid?.() && Date.now() - stats.mtimeMs > ABANDONED_MS;
    if (abandoned) await unlink(full);
  }
}

async function openDirectory(path: string): Promise<FileHandle> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(async (error: NodeJS.ErrnoException) => {
    const isLink = await lstat(path).then(
      (stats) => stats.isSymbolicLink(),
      () => false,
    );
    throw isLink ? new ExchangeError('sink_directory_unsafe', `${path} is a symlink`) : error;
  });
  const { uid, mode } = await handle.stat();
  const foreign = uid !== 0 && uid !== process.getuid?.();
  const openToAll = (mode & WORLD_WRITABLE) !== 0 && (mode & STICKY) === 0;
  if (!foreign && !openToAll) return handle;
  await handle.close();
  throw new ExchangeError(
    'sink_directory_unsafe',
    foreign ? `${path} belongs to user ${uid}` : `${path} is writable by all`,
  );
}

/** Owner and mode are set before the content, so that nobody reads it who shouldn't. */
async function writeNew(path: string, { mode, uid, gid }: FileSpec, content: string): Promise<void> {
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await own(handle, { mode, uid, gid });
    await handle.writeFile(content);
    const { size } = await handle.stat();
    if (size !== Buffer.byteLength(content)) throw new ExchangeError('sink_no_space', 'the file was cut short');
    await handle.sync();
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

async function own(handle: FileHandle, { mode, uid, gid }: Omit<FileSpec, 'path'>): Promise<void> {
  try {
    const stats = await handle.stat();
    const [user, group] = [uid ?? stats.uid, gid ?? stats.gid];
    if (user !== stats.uid || group !== stats.gid) await handle.chown(user, group);
    await handle.chmod(mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ExchangeError('sink_owner', `mode ${mode.toString(8)}, owner ${uid ?? '-'}:${gid ?? '-'}: ${code}`);
  }
}

/** A file or a link is replaced; a directory, FIFO, socket or device stays, and is an error. */
async function refuseObstacle(target: string, shown: string): Promise<void> {
  const stats = await lstat(target).catch(() => undefined);
  if (stats === undefined || stats.isFile() || stats.isSymbolicLink()) return;
  throw new ExchangeError('sink_blocked', `${shown} is a ${stats.isDirectory() ? 'directory' : 'special file'}`);
}
