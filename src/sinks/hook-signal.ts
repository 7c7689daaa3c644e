// Sends a signal to the process in a pid file. The file may be a leftover, and its number may have been given to another process
// since. A file that any user could have written is refused.

import type { ErrorCode, Failure } from '../core/errors.ts';
import type { HookFacts } from '../core/facts-hook.ts';
import type { SignalHookSettings } from '../core/settings.ts';
import { type FileProblem, isFileProblem, readSmallFile, type SmallFile } from '../files/small-file.ts';

const MOST_BYTES = 100;
const WRITABLE_BY_ALL = 0o002;
/** Clocks of files are coarse, and a supervisor may write the file a little before the program starts. */
const TOLERANCE_MS = 2000;
/** The unit of times in /proc: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICK_MS = 10;

/** Returns the failure; undefined if the signal was sent. Never rejects. */
export async function signalProcess({ signal, pidFile: path }: SignalHookSettings): Promise<Failure | undefined> {
  const file = await readSmallFile(path, { mostBytes: MOST_BYTES });
  if (isFileProblem(file)) return ofFile(path, file);
  if ((file.mode & WRITABLE_BY_ALL) !== 0) return unusable({ kind: 'pid-file', path, problem: 'writable-by-all' });
  const pid = /^\s*\d{1,9}\s*$/.test(file.text) ? Number(file.text) : 0;
  if (pid <= 1 || pid === process.pid) return unusable({ kind: 'pid-file', path, problem: 'not-a-pid' });
  const seen = await processAt(pid);
  if (seen === undefined) return unusable({ kind: 'process', path, pid, problem: 'ended' });
  if (seen.startedAt > file.modifiedAt + TOLERANCE_MS)
    return unusable({ kind: 'process', path, pid, problem: 'younger' });
  if (![0, process.geteuid?.(), seen.uid].includes(file.uid))
    return unusable({ kind: 'process', path, pid, problem: 'other-owner' });
  try {
    process.kill(pid, signal);
    return undefined;
  } catch (error) {
    const isGone = (error as NodeJS.ErrnoException).code === 'ESRCH';
    return unusable({ kind: 'process', path, pid, problem: isGone ? 'ended' : 'denied' });
  }
}

function ofFile(path: string, { problem, errno }: FileProblem): Failure {
  const code: ErrorCode = problem === 'missing' ? 'hook_pid_missing' : 'hook_pid_unusable';
  return { code, facts: { kind: 'file', path, problem, ...(errno === undefined ? {} : { errno }) } };
}

const unusable = (facts: HookFacts): Failure => ({ code: 'hook_pid_unusable', facts });

/** Returns the user of a process, and its start on the wall clock; undefined if it has ended. */
async function processAt(pid: number): Promise<{ readonly uid: number; readonly startedAt: number } | undefined> {
  const read = async (name: string) => textOf(await readSmallFile(`/proc/${name}`));
  const [own, status, stat] = [await read('self/stat'), await read(`${pid}/status`), await read(`${pid}/stat`)];
  const [, uid] = /^Uid:\t(\d+)/m.exec(status) ?? [];
  if (uid === undefined || /^State:\tZ/m.test(status)) return undefined;
  // The start of this process is known on both clocks. The wall clock may have been set since: the earlier result counts.
  const ownStart = Math.min(performance.timeOrigin, Date.now() - performance.now());
  return { uid: Number(uid), startedAt: ownStart + (startTicks(stat) - startTicks(own)) * TICK_MS };
}

const textOf = (file: SmallFile | FileProblem): string => (isFileProblem(file) ? '' : file.text);

/** Returns the 22nd field; the second one is a name in parentheses, which may contain anything. */
const startTicks = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
