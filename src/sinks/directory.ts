// Opens a sink's directory and accesses its file through the directory's descriptor, so that a directory swapped in
// under the same name is never touched. Refuses a directory that other users could replace or modify.
// Node has no openat(), so paths go through /proc/self/fd (Linux only).

import { constants, type FileHandle, lstat, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ExchangeError } from '../core/errors.ts';
import { safeParentOf } from './way.ts';

/** The location of a sink's file. */
export interface Place {
  /** the file's name within the directory */
  readonly name: string;
  /** the path of the directory, through its descriptor */
  readonly directory: string;
  /** returns the path of a name in the directory, through its descriptor */
  at(name: string): string;
  /** flushes the directory, so that a rename survives a crash */
  sync(): Promise<void>;
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const WORLD_WRITABLE = 0o002;
const STICKY = 0o1000;

/** Runs `work` on the directory of `path`. @throws NodeJS.ErrnoException, or ExchangeError sink_directory_unsafe */
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
    // open() reports ENOTDIR for a file and for a symlink; symlinks among the parents (/var/run) are allowed
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
