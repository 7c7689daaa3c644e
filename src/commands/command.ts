// The interface of a command: it takes flags, prints text and returns an exit code.

import type { FlagValues } from '../cli/parse.ts';
import { parseDuration } from '../config/duration.ts';
import { scrub } from '../core/secret.ts';
import { type Io, UsageError } from '../host/io.ts';

/**
 * @param words the arguments after `--`, if the command takes them
 * @returns the exit code
 */
export type Command = (flags: Flags, io: Io, words?: readonly string[]) => Promise<number>;

export type Flags = FlagValues;

/** Parses a flag, by default `--timeout`: a duration as in the config, into milliseconds. @throws UsageError */
export function durationFlag(flags: Flags, fallbackMs: number, name = 'timeout'): number {
  const text = textFlag(flags, name);
  if (text === undefined) return fallbackMs;
  const duration = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
  if (typeof duration === 'object') throw new UsageError(`--${name} ${duration.invalid}`);
  return duration;
}

/** Returns the evidence for the log line `crashed`. */
export const crashEvidence = (error: unknown): string =>
  error instanceof Error ? scrub(String(error.stack)) : 'not an error';

/** Renders a result for --json. */
export const asJson = (value: unknown): string => JSON.stringify(value, undefined, 2);

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
