// Reads a small file (a JWT, a token, a certificate, a key) safely: a FIFO or a device at the path doesn't block, a
// huge file doesn't fill the memory, and a hanging file system costs one deadline and one thread.

import { constants, type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { workIn } from './file-work.ts';

export interface SmallFile {
  /** the content as UTF-8, including a byte order mark */
  readonly text: string;
  /** changes when another file is renamed into place */
  readonly inode: number;
  /** epoch milliseconds of the wall clock */
  readonly modifiedAt: number;
  /** whether the file grew between stat and read */
  readonly grew: boolean;
  /** the owner */
  readonly uid: number;
  /** type and permission bits */
  readonly mode: number;
}

/** Why a file can't be read. `errno` is the system's error code, such as EACCES; undefined if no system call failed. */
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

/** Reads the file, or returns the problem. Never rejects. */
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
    // /proc and some other file systems report size 0; the extra byte detects a file that grows
    const buffer = Buffer.alloc((size || mostBytes) + 1);
    const length = await fill(buffer, handle);
    const text = buffer.toString('utf8', 0, length);
    buffer.fill(0);
    if (length > mostBytes) return { problem: 'too-large' };
    const { ino: inode, mtimeMs: modifiedAt, uid, mode } = stats;
    return { text, inode, modifiedAt, grew: size > 0 && length > size, uid, mode };
  } finally {
    // a failed close doesn't invalidate the content
    await handle.close().catch(() => {});
  }
}

/** Reads until the file ends or the buffer is full: /proc and network mounts return short reads. */
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
 * O_NONBLOCK: opening a FIFO without a writer would otherwise block a thread.
 * O_NOCTTY: a terminal must not become the controlling terminal, whose Ctrl-C would end the sidecar.
 */
function openForReading(path: string): Promise<FileHandle> {
  const once = () => open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  // kubelet may remove the old directory after open() has resolved the symlink: retry once
  return once().catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? once() : Promise.reject(error)));
}

function problemOf({ code = 'unknown error' }: NodeJS.ErrnoException): FileProblem {
  if (MISSING.has(code)) return { problem: 'missing', errno: code };
  // open() of a socket
  if (code === 'ENXIO') return { problem: 'not-a-file', errno: code };
  return { problem: 'unreadable', errno: code };
}
