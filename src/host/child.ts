// Starts a program in the foreground: it gets the standard streams, the terminal and the process group of this process.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';
import type { Io } from './io.ts';

export interface Child {
  readonly ended: Promise<ChildEnd>;
  /** Sends a signal to the program, but not to its children. A no-op after its end. */
  kill(signal: NodeJS.Signals): void;
}

/** `errno` is the system's error code of a program that can't be started, such as ENOENT. */
export type ChildEnd = { readonly code: number } | { readonly signal: NodeJS.Signals } | { readonly errno: string };

/**
 * Starts a program. Open this process's own standard streams before, or never: if Node opens a pipe that it shares with the
 * program, writes to the pipe no longer block, which few programs expect.
 */
export function startChild(
  [program = '', ...args]: readonly string[],
  { umask, env }: ReturnType<Io['inherited']>,
): Child {
  const own = process.umask(umask);
  try {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    const ended = new Promise<ChildEnd>((resolve) => {
      child.on('error', ({ code = 'unknown error' }: NodeJS.ErrnoException) => resolve({ errno: code }));
      child.on('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }));
    });
    return { ended, kill: (signal) => void child.kill(signal) };
  } catch (error) {
    // such as E2BIG
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    return { ended: Promise.resolve({ errno: code }), kill() {} };
  } finally {
    process.umask(own);
  }
}

const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Returns the exit code with which a shell reports the end of a program. */
export function exitCodeOfChild(end: ChildEnd): number {
  if ('code' in end) return end.code;
  if ('signal' in end) return 128 + constants.signals[end.signal];
  return end.errno === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
}

/**
 * Reports whether this process is in the foreground of a terminal. If so, the terminal sends the signals of its keys to the whole
 * process group, so also to the program.
 */
export async function isInForeground(): Promise<boolean> {
  const stat = await readSmallFile('/proc/self/stat');
  if (isFileProblem(stat)) return false;
  // the name before the last parenthesis may contain anything; see proc_pid_stat(5)
  const [, , group, , , foreground] = stat.text.slice(stat.text.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
