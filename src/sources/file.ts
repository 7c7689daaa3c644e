// The workload JWT in a file, as kubelet's projected volumes and CI runners leave it. Reads it safely whatever stands at
// its path, and hints when its directory changes. Never writes to it; never judges what it holds.

import { constants, type FileHandle, open } from 'node:fs/promises';
import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { openReadings, type Sighting } from './readings.ts';
import type { JwtSource } from './source.ts';
import { watchDirectoryOf } from './watch.ts';

const MOST_BYTES = 64 * 1024;
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export function openFileSource(path: string, onHint: () => void): JwtSource {
  const watch = watchDirectoryOf(path, onHint);
  const readings = openReadings();
  let isFirst = true;
  return {
    get watched() {
      return watch.isAlive();
    },
    get mayBeTorn() {
      return readings.mayBeTorn;
    },
    async read() {
      const see = readings.begin();
      const wasFirst = isFirst;
      isFirst = false;
      if (!wasFirst) await watch.repair();
      const looking = readText(path);
      // the first login waits for no watch, which asks for another look when it is set up
      if (wasFirst) await looking.then(() => void watch.repair(), watch.repair);
      const found = await looking;
      see(found);
      return found.text;
    },
    close: () => watch.close(),
  };
}

/** @throws ExchangeError as reading the source does */
export const readJwtFile = async (path: string): Promise<Secret> => (await readText(path)).text;

interface Found extends Sighting {
  readonly text: Secret;
}

async function readText(path: string): Promise<Found> {
  const handle = await openForReading(path);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ExchangeError('jwt_not_a_file', path);
    if (stats.size > MOST_BYTES) throw new ExchangeError('jwt_too_large', path);
    // some file systems tell no sizes; the byte more shows a file that grows meanwhile
    const buffer = Buffer.alloc((stats.size || MOST_BYTES) + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MOST_BYTES) throw new ExchangeError('jwt_too_large', path);
    const hasGrown = stats.size > 0 && bytesRead > stats.size;
    // trim() takes the byte order mark away too
    const text = buffer.toString('utf8', 0, bytesRead).trim();
    buffer.fill(0);
    if (text === '') throw new ExchangeError('jwt_empty', path);
    return { text: new Secret(text), inode: stats.ino, ageMs: hasGrown ? 0 : Date.now() - stats.mtimeMs };
  } catch (error) {
    throw error instanceof ExchangeError ? error : unreadable(path, error as NodeJS.ErrnoException);
  } finally {
    await handle.close();
  }
}

/** O_NONBLOCK: a FIFO would otherwise hold one of the few threads that file and DNS calls share, for ever. */
async function openForReading(path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const once = () => open(path, flags);
  // kubelet may take the old directory away between the link's resolution and the open: look once more
  return once()
    .catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? once() : Promise.reject(error)))
    .catch((error: NodeJS.ErrnoException) => {
      throw MISSING.has(error.code ?? '') ? new ExchangeError('jwt_missing', path) : unreadable(path, error);
    });
}

function unreadable(path: string, { code }: NodeJS.ErrnoException): ExchangeError {
  if (code === 'ENXIO') return new ExchangeError('jwt_not_a_file', path);
  return new ExchangeError('jwt_unreadable', `${path}: ${code}`);
}
