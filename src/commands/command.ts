// The shape of a command: flags in, text out, an exit code.

import type { ParseArgsOptionsConfig } from 'node:util';
import { type Io, UsageError } from '../host/io.ts';

export interface Command {
  /** shown by --help: the first line is the synopsis */
  readonly help: string;
  readonly options: ParseArgsOptionsConfig;
  /** the choices of the one argument that isn't a flag, where there is one; it comes as the flag "argument" */
  readonly argument?: readonly string[];
  /** @returns the exit code */
  run(flags: Flags, io: Io): Promise<number>;
}

export type Flags = Readonly<Record<string, string | boolean | undefined>>;

export const CONFIG_OPTION = { config: { type: 'string', short: 'c' } } as const;

/** Parses a `--timeout`: whole seconds, or with a unit as in the config. */
export function parseTimeout(flags: Flags, fallbackMs: number): number {
  const text = textFlag(flags, 'timeout');
  if (text === undefined) return fallbackMs;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] ?? 0;
  const ms = Number(match?.[1]) * factor;
  if (!(ms > 0)) throw new UsageError('--timeout must be a duration such as "60s"');
  return ms;
}

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
