// A sink's directory, held by its descriptor while its file is looked at, replaced or removed: another one that is put
// under its name meanwhile gets nothing, and loses nothing. Refuses a directory in which others could swap the file,
// or which they could swap.
// Node has no openat(), so names go through /proc/self/fd (Linux only). What is written there is decided elsewhere.

import { constants, type FileHandle, lstat, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ExchangeError } from '../core/errors.ts';
import { safeParentOf } from './way.ts';

/** Where a sink's file is. */
export interface Place {
  /** the file's name within the directory */
  readonly name: string;
  /** the directory itself, by its descriptor */
  readonly directory: string;
  /** a name within the directory, as a path by its descriptor */
  at(name: string): string;
  /** makes a rename last */
  sync(): Promise<void>;
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const WORLD_WRITABLE = 0o002;
const STICKY = 0o1000;

/** @throws NodeJS.ErrnoException, or ExchangeError sink_directory_unsafe */
export async function withPlace<T>(path: string, work: (place: Place) => Promise<T>): Promise<T> {
  const handle = await openDirectory(dirname(path));
  const directory = `/proc/self/fd/${handle.fd}`;
  try {
    await refuseUnsafe(handle, dirname(path));
    const at = (name: string) => `${directory}/${name}`;
    return await work({ name: basename(path), directory, at, sync: () => handle.sync() });
  } finally {
    await handle.close();
  }
}

async function openDirectory(path: string): Promise<FileHandle> {
  const real = join(await safeParentOf(path), basename(path));
  return open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(async (error: NodeJS.ErrnoException) => {
    // ENOTDIR for a link as for a file; links before the last component (/var/run) are followed
    const stats = await lstat(real).catch(() => undefined);
    throw stats?.isSymbolicLink()
      ? new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'symlink' })
      : error;
  });
}

async function refuseUnsafe(handle: FileHandle, path: string): Promise<void> {
  const { uid, mode } = await handle.stat();
  if (uid !== 0 && uid !== process.getuid?.())
    throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'owner', uid });
  if ((mode & WORLD_WRITABLE) !== 0 && (mode & STICKY) === 0)
    throw new ExchangeError('sink_directory_unsafe', { kind: 'ownership', path, problem: 'writable-by-all' });
}
