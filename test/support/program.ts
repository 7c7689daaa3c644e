// Starts the programs for tests: the bundle in dist/, with the flags of the image's entry point. SIDECAR=source starts
// src/ instead, to debug without a build; CI refuses it.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { isBuilt } from '../../build.ts';
import { NODE_FLAGS } from './node-flags.ts';

const ROOT = join(import.meta.dirname, '../..');

let isChecked = false;

/** The command that starts the sidecar, without its arguments. */
export const sidecarCommand = (): readonly string[] => [process.execPath, ...NODE_FLAGS, sidecarEntry()];

/** The same command, quoted for a shell. */
export const sidecarInShell = (): string =>
  sidecarCommand()
    .map((word) => `'${word}'`)
    .join(' ');

/** The command of the health check, which the image starts without flags. */
export const healthcheckCommand = (): readonly string[] => [process.execPath, entry('healthcheck', 'healthcheck')];

/** The program's entry file. */
export const sidecarEntry = (): string => entry('vault-token-sidecar', 'main');

/** @throws Error if dist/ is missing or stale */
function entry(bundle: string, source: string): string {
  const { SIDECAR, CI } = process.env;
  if (SIDECAR === 'source') {
    if (CI) throw new Error('SIDECAR=source is for debugging: CI tests what ships');
    return join(ROOT, 'src', `${source}.ts`);
  }
  isChecked ||= isBuilt();
  if (!isChecked) throw new Error('dist/ is missing or older than the sources: run "npm run build"');
  return join(ROOT, 'dist', `${bundle}.mjs`);
}

export interface Ended {
  /** the exit code, or NaN after a signal */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface CliOptions {
  /** environment variables besides PATH */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs one command of the sidecar to its end. */
export const cli = (args: readonly string[], options: CliOptions = {}): Promise<Ended> =>
  runToEnd([...sidecarCommand(), ...args], options);

export function runToEnd(command: readonly string[], { env = {}, cwd = ROOT }: CliOptions = {}): Promise<Ended> {
  const [program = '', ...args] = command;
  const options = { env: { PATH: process.env['PATH'] ?? '', ...env }, cwd };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? Number.NaN), out, err });
    });
  });
}
