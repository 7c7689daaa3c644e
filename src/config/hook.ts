// The hook of a sink: rules that the schema can't express.

import type { HookSettings } from '../core/settings.ts';
import { duration, type Notes } from './notes.ts';
import type { HookFile } from './schema.ts';

/** Returns the settings of a hook, or notes the problem and returns undefined. */
export function buildHook(at: string, hook: HookFile, notes: Notes): HookSettings | undefined {
  const { command, signal, pid_file: pidFile, timeout } = hook;
  const refuse = (member: string, message: string) => {
    notes.problems.push({ pointer: `${at}${member}`, message });
    return undefined;
  };
  if ((command === undefined) === (signal === undefined))
    return refuse('', 'must have either "command", or "signal" and "pid_file"');
  if (command === undefined) {
    if (timeout !== undefined) return refuse('/timeout', 'is for a command; a signal takes no time');
    if (signal === undefined || pidFile === undefined) return refuse('/pid_file', 'is required with signal');
    return { kind: 'signal', signal, pidFile };
  }
  if (pidFile !== undefined) return refuse('/pid_file', 'is for a signal, not for a command');
  if (!/^\/./.test(command[0] ?? ''))
    return refuse('/command', 'must begin with the absolute path of a program, followed by its arguments');
  const timeoutMs = duration(`${at}/timeout`, timeout, notes);
  if (timeoutMs > LONGEST_MS) return refuse('/timeout', 'must be at most 10m');
  return { kind: 'command', command, timeoutMs };
}

const LONGEST_MS = 600_000;
