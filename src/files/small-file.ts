// Reads a small file (a JWT, a token, a certificate, a key) safely, whatever stands at its path: a FIFO or a device
// doesn't block, a huge file doesn't fill memory, and a file system that hangs costs one deadline and one thread.
// Node runs file calls on the few threads that DNS look-ups need too, and none of them can be cancelled: while a read of a
// path hangs, later reads of that path wait for the same one.

import { constants, open } from 'node:fs/promises';

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
  readonly deadlineMs?: number;
}

const MOST_BYTES = 64 * 1024;
const DEADLINE_MS = 5000;
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

const pending = new Map<string, Promise<SmallFile | FileProblem>>();

/** Never rejects. */
export async function readSmallFile(path: string, limits: ReadLimits = {}): Promise<SmallFile | FileProblem> {
  const { mostBytes = MOST_BYTES, deadlineMs = DEADLINE_MS } = limits;
  const reading = pending.get(path) ?? start(path, mostBytes);
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<FileProblem>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, { problem: 'stuck' });
  });
  const outcome = await Promise.race([reading, deadline]);
  clearTimeout(timer);
  return outcome;
}

export const isFileProblem = (outcome: SmallFile | FileProblem): outcome is FileProblem => 'problem' in outcome;

/** For a message: the system's code, or the problem in words. */
export const fileProblemText = ({ problem, errno }: FileProblem): string => errno ?? PROBLEM_WORDS[problem];

const PROBLEM_WORDS: Readonly<Record<FileProblem['problem'], string>> = {
  missing: 'missing',
  unreadable: 'unreadable',
  'not-a-file': 'not a regular file',
  'too-large': 'too large',
  stuck: "the file system doesn't answer",
};

function start(path: string, mostBytes: number): Promise<SmallFile | FileProblem> {
  const reading = read(path, mostBytes)
    .catch((error: NodeJS.ErrnoException) => problemOf(error))
    .finally(() => pending.delete(path));
  pending.set(path, reading);
  return reading;
}

async function read(path: string, mostBytes: number): Promise<SmallFile | FileProblem> {
  const handle = await openForReading(path);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return { problem: 'not-a-file' };
    if (stats.size > mostBytes) return { problem: 'too-large' };
    // some file systems report no sizes; the extra byte shows a file that grows meanwhile
    const buffer = Buffer.alloc((stats.size || mostBytes) + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    const text = buffer.toString('utf8', 0, bytesRead);
    buffer.fill(0);
    if (bytesRead > mostBytes) return { problem: 'too-large' };
    const grew = stats.size > 0 && bytesRead > stats.size;
    return { text, inode: stats.ino, modifiedAt: stats.mtimeMs, grew };
  } finally {
    await handle.close();
  }
}

/** O_NONBLOCK: opening a FIFO without a writer would otherwise hold a thread until there is one. */
function openForReading(path: string) {
  const once = () => open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  // kubelet may remove the old directory between the link's resolution and the open: try once more
  return once().catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? once() : Promise.reject(error)));
}

function problemOf({ code = 'unknown error' }: NodeJS.ErrnoException): FileProblem {
  if (MISSING.has(code)) return { problem: 'missing', errno: code };
  // a socket
  if (code === 'ENXIO') return { problem: 'not-a-file', errno: code };
  return { problem: 'unreadable', errno: code };
}
