// Writes the Vault token to a file on a shared volume. Delivery is idempotent: a correct file stays untouched; a file
// that was deleted or altered, or whose owner or mode changed, is restored.

import { constants, type FileHandle, lstat, open, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ErrorCode, ExchangeError } from '../core/errors.ts';
import type { FileSinkSettings } from '../core/settings.ts';
import { type FileSpec, removeAbandoned, replaceFile, tryReplacing } from './atomic-write.ts';
import { type Place, withPlace } from './directory.ts';
import { parseToken, renderToken } from './format.ts';
import type { Delivered, TokenSink } from './sink.ts';

export function openFileSink(settings: FileSinkSettings): TokenSink {
  const { path } = settings;
  let swept = false;
  return {
    id: path,
    async deliver(token, isCurrent) {
      try {
        const content = renderToken(settings.format, token);
        return await withPlace(path, async (place) => {
          if (await holdsAlready(place, settings, content)) return { written: false };
          if (!swept) await removeAbandoned(place);
          swept = true;
          return { written: await replaceFile(place, settings, content, isCurrent) };
        });
      } catch (error) {
        throw await sinkError(error, path);
      }
    },
    read: () => readDelivered(settings).catch(() => undefined),
    async age() {
      const stats = await lstat(path).catch(() => undefined);
      const ageMs = stats?.isFile() ? Date.now() - stats.mtimeMs : Number.POSITIVE_INFINITY;
      // a modification time in the future: the clock was set
      return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs;
    },
    async check() {
      await withPlace(path, (place) => tryReplacing(place, settings)).catch(async (error: unknown) => {
        throw await sinkError(error, path);
      });
    },
    async remove(isCurrent = () => true) {
      const removeFrom = async (place: Place) => {
        if (isCurrent()) await unlink(place.at(place.name));
      };
      await withPlace(path, removeFrom).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw await sinkError(error, path);
      });
    },
  };
}

/** Reads the token back, if only this user could have written the file and its directory. */
const readDelivered = ({ path, format }: FileSinkSettings): Promise<Delivered | undefined> =>
  withPlace(path, (place) =>
    withFile(place, async (handle) => {
      const stats = await handle.stat();
      const isOurs = stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
      if (!stats.isFile() || !isOurs || stats.size > MOST_BYTES) return undefined;
      return parseToken(format, await handle.readFile('utf8'));
    }),
  );

/** Reports whether content, mode and owner are right. A file that can't be opened is replaced. */
async function holdsAlready(place: Place, { mode, uid, gid }: FileSpec, content: string): Promise<boolean> {
  const holds = await withFile(place, async (handle) => {
    const stats = await handle.stat();
    const owned = (uid ?? stats.uid) === stats.uid && (gid ?? stats.gid) === stats.gid;
    if (!stats.isFile() || (stats.mode & 0o7777) !== mode || !owned || stats.size !== Buffer.byteLength(content))
      return false;
    return (await handle.readFile('utf8')) === content;
  });
  return holds === true;
}

/** Opens the sink's file for reading; undefined if it can't be opened. */
async function withFile<T>(place: Place, use: (handle: FileHandle) => Promise<T>): Promise<T | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(place.at(place.name), flags).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/** A token has at most 8 KiB; a JSON document has a little more. */
const MOST_BYTES = 64 * 1024;

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'sink_no_space',
  EDQUOT: 'sink_no_space',
  EFBIG: 'sink_no_space',
  EROFS: 'sink_denied',
  EACCES: 'sink_denied',
  EPERM: 'sink_denied',
  ENOENT: 'sink_directory_missing',
  ENOTDIR: 'sink_directory_missing',
  EISDIR: 'sink_blocked',
  EBUSY: 'sink_blocked',
  EXDEV: 'sink_blocked',
};

async function sinkError(error: unknown, path: string): Promise<ExchangeError> {
  if (error instanceof ExchangeError) return error;
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  const directory = dirname(path);
  const type = await fileSystemOf(directory);
  if (type !== undefined)
    return new ExchangeError('sink_file_system', { kind: 'file-system', path: directory, type, errno: code });
  const where = CODES[code] === 'sink_directory_missing' ? directory : path;
  return new ExchangeError(CODES[code] ?? 'sink_failed', { kind: 'file', path: where, errno: code });
}

/** The file systems of the kernel in which nobody can create a file, by f_type: https://man7.org/linux/man-pages/man2/statfs.2.html */
const FILELESS: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x1cd1, 'devpts'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
]);

/** Returns the type of the file system of a directory, or of its nearest parent; undefined if it can hold files. */
async function fileSystemOf(directory: string): Promise<string | undefined> {
  const stats = await statfs(directory).catch(() => undefined);
  if (stats !== undefined) return FILELESS.get(stats.type);
  return directory === '/' ? undefined : fileSystemOf(dirname(directory));
}
