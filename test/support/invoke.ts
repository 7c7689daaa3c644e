// Runs a command in this process, as main.ts does: takes flags and an environment, returns the exit code and the
// output.

import type { Command, Flags } from '../../src/commands/command.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { EXIT_CODES, ExchangeError, exitCodeOf } from '../../src/core/errors.ts';
import type { Io } from '../../src/host/io.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** the answer typed at the terminal; there is no terminal if absent */
  readonly answer?: string;
  /** whether standard output is a terminal; false if absent */
  readonly isTty?: boolean;
  /** receives the handlers of signals */
  readonly onSignal?: Io['onSignal'];
  /** gets the lines of progress, as on a terminal */
  readonly progress?: (text: string) => void;
}

export async function invoke(
  command: Command,
  flags: Flags,
  { env = {}, answer, isTty = false, progress = () => {}, onSignal = () => {} }: Surroundings = {},
): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    env,
    inherited: () => ({ umask: 0o022, env }),
    isTty,
    version: '0',
    commit: '0',
    nodeVersion: '0',
    ask: async () => answer,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    warn: (text) => void err.push(`warning: ${text}`),
    progress,
    onSignal,
    onCrash() {},
    exit() {},
    endBySignal() {},
  };
  const code = await command(flags, io).catch((error: Error) => {
    err.push(...(error instanceof ConfigError ? error.lines : [error.message]));
    return error instanceof ExchangeError ? exitCodeOf(error.failure) : EXIT_CODES.config;
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
