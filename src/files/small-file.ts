// Reads a small file (a JWT, a token, a certificate, a key) safely, whatever stands at its path: a FIFO or a device
// doesn't block, a huge file doesn't fill memory, and a file system that hangs costs one deadline and one thread.

import { constants, type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { workIn } from './file-work.ts';

export interface SmallFile {
  /** UTF-8, as it stands in the file; a byte order mark included */
  readonly text: string;
  /** identifies the file's content slot: a file renamed into place has another one */
  readonly inode: number;
  /** epoch milliseconds of the wall clock */
  readonly modifiedAt: number;
  /** the file grew between its stat and its read */
  readonly grew: boolean;
}

/** Why a file can't be read. `errno` is the system's code, such as EACCES; undefined where no call failed. */
export interface FileProblem {
  readonly problem: 'missing' | 'unreadable' | 'not-a-file' | 'too-large' | 'stuck';
  readonly errno?: string;
}

export interface ReadLimits {
  /** larger files are refused; 64 KiB by default */
  readonly mostBytes?: number;
  /** 5 s by default */
  readonly deadlineMs?: number | undefined;
}

const MOST_BYTES = 64 * 1024;
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/** Never rejects. */
export async function readSmallFile(path: string, limits: ReadLimits = {}): Promise<SmallFile | FileProblem> {
  const { mostBytes = MOST_BYTES, deadlineMs } = limits;
  const outcome = await workIn(dirname(path), () => read(path, mostBytes).catch(problemOf), deadlineMs);
  return outcome === 'stuck' ? { problem: 'stuck' } : outcome;
}

export const isFileProblem = (outcome: SmallFile | FileProblem): outcome is FileProblem => 'problem' in outcome;

async function read(path: string, mostBytes: number): Promise<SmallFile | FileProblem> {
  const handle = await openForReading(path);
  try {
    const stats = await handle.stat();
    const { size } = stats;
    if (!stats.isFile()) return { problem: 'not-a-file' };
    if (size > mostBytes) return { problem: 'too-large' };
    // some file systems report no sizes; the extra byte shows a file that grows meanwhile
    const buffer = Buffer.alloc((size || mostBytes) + 1);
    const length = await fill(buffer, handle);
    const text = buffer.toString('utf8', 0, length);
    buffer.fill(0);
    if (length > mostBytes) return { problem: 'too-large' };
    return { text, inode: stats.ino, modifiedAt: stats.mtimeMs, grew: size > 0 && length > size };
  } finally {
    // what was read is good even if closing fails
    await handle.close().catch(() => {});
  }
}

/** Reads until the end of the file or of the buffer: files of /proc and network mounts come in pieces. */
async function fill(buffer: Buffer, handle: FileHandle): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

/**
 * O_NONBLOCK: opening a FIFO without a writer would otherwise hold a thread until there is one.
 * O_NOCTTY: a terminal must not become the one whose Ctrl-C ends the sidecar.
 */
function openForReading(path: string): Promise<FileHandle> {
  const once = () => open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  // kubelet may remove the old directory between the link's resolution and the open: try once more
  return once().catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? once() : Promise.reject(error)));
}

function problemOf({ code = 'unknown error' }: NodeJS.ErrnoException): FileProblem {
  if (MISSING.has(code)) return { problem: 'missing', errno: code };
  // a socket
  if (code === 'ENXIO') return { problem: 'not-a-file', errno: code };
  return { problem: 'unreadable', errno: code };
}
