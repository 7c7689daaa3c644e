// The interface of a command: it takes flags, prints text and returns an exit code.

import type { ParseArgsOptionsConfig } from 'node:util';
import { parseDuration } from '../config/duration.ts';
import { scrub } from '../core/secret.ts';
import { type Io, UsageError } from '../host/io.ts';

export interface Command {
  /** the output of --help; the first line is the synopsis */
  readonly help: string;
  readonly options: ParseArgsOptionsConfig;
  /** the choices of the positional argument, if the command takes one; `run` gets it as the flag "argument" */
  readonly argument?: readonly string[];
  /** whether a command to start follows after `--` */
  readonly takesCommand?: true;
  /**
   * @param words the arguments after `--`, if the command takes them
   * @returns the exit code
   */
  run(flags: Flags, io: Io, words?: readonly string[]): Promise<number>;
}

export type Flags = Readonly<Record<string, string | boolean | undefined>>;

export const CONFIG_OPTION = { config: { type: 'string', short: 'c' } } as const;

/** Parses `--timeout`, a duration as in the config, into milliseconds. @throws UsageError */
export function parseTimeout(flags: Flags, fallbackMs: number): number {
  const text = textFlag(flags, 'timeout');
  if (text === undefined) return fallbackMs;
  const timeout = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
  if (typeof timeout === 'object') throw new UsageError(`--timeout ${timeout.invalid}`);
  return timeout;
}

/** Returns the evidence for the log line `crashed`. */
export const crashEvidence = (error: unknown): string =>
  error instanceof Error ? scrub(String(error.stack)) : 'not an error';

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
