#!/usr/bin/env -S node --disable-sigusr1
// The entry point: runs the command that argv names and exits with its code. Besides healthcheck.ts, only this file reads argv
// and the environment, writes to the standard streams, or exits.

// Without --disable-sigusr1 or a listener, SIGUSR1 opens Node's debugger, and with it the whole heap.
process.on('SIGUSR1', () => {});
const umask = process.umask(0o077);
// Must be set before the first file or DNS operation, which starts the thread pool. A hanging file system blocks some of the
// threads; src/files/file-work.ts and src/sinks/slots.ts keep a third of them free. Twenty more than Node's default cost 0.3 MiB.
const { UV_THREADPOOL_SIZE } = process.env;
process.env['UV_THREADPOOL_SIZE'] = '24';
// stdout is for the log and for the output of commands; library output goes to stderr.
for (const print of ['log', 'info', 'debug', 'dir'] as const) console[print] = console.error;

import packageJson from '../package.json' with { type: 'json' };
import type { CommandName } from './cli/commands.ts';
import { parse } from './cli/parse.ts';
import type { Command } from './commands/command.ts';
import { ConfigError } from './config/problem.ts';
import { EXIT_CODES, ExchangeError, exitCodeOf } from './core/errors.ts';
import { scrub, withoutControls } from './core/secret.ts';
import { type Io, UsageError } from './host/io.ts';
import { unsafeStart } from './host/unsafe-start.ts';

const LOAD: Readonly<Record<CommandName, () => Promise<{ command: Command }>>> = {
  run: () => import('./commands/run.ts'),
  once: () => import('./commands/once.ts'),
  exec: () => import('./commands/exec.ts'),
  status: () => import('./commands/status.ts'),
  wait: () => import('./commands/wait.ts'),
  token: () => import('./commands/token.ts'),
  'token-helper': () => import('./commands/vault-cli.ts'),
  refresh: () => import('./commands/refresh.ts'),
  init: () => import('./commands/init.ts'),
  setup: () => import('./commands/setup.ts'),
  validate: () => import('./commands/validate.ts'),
  doctor: () => import('./commands/doctor.ts'),
  schema: () => import('./commands/schema.ts'),
  dev: () => import('./commands/dev.ts'),
  completion: () => import('./commands/completion.ts'),
  help: () => import('./commands/help.ts'),
  version: () => import('./commands/version.ts'),
};

/** Set by build.ts; it doesn't exist if the source is run. */
declare const BUILD_COMMIT: string | undefined;

const warned = new Set<string>();
let hasProgress = false;

const io: Io = {
  env: process.env,
  inherited: () => ({ umask, env: { ...process.env, UV_THREADPOOL_SIZE } }),
  // Reading isTTY opens the stream, which makes writes to a full pipe asynchronous: the log must not block.
  isTty: process.stdout.isTTY === true,
  version: packageJson.version,
  commit: typeof BUILD_COMMIT === 'string' ? BUILD_COMMIT : 'unknown',
  nodeVersion: process.versions.node,
  async ask(question) {
    if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
    const { createInterface } = await import('node:readline/promises');
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    // Ctrl-C and Ctrl-D count as a refusal.
    const answer = await terminal.question(question).catch(() => '\n');
    terminal.close();
    return answer;
  },
  out: (text, end: string = '\n') => print(process.stdout, text + end),
  // one line, which may quote others: a Vault, a JWT, a server that isn't ours
  err: (text) => print(process.stderr, `${withoutControls(text)}\n`),
  warn(text) {
    if (!warned.has(text)) io.err(`warning: ${text}`);
    warned.add(text);
  },
  progress(text) {
    if (process.stderr.isTTY !== true || (text === '' && !hasProgress)) return;
    hasProgress = text !== '';
    // to the start of the line, and erase it; a terminal may not know its width
    print(process.stderr, `\r\u001b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
  },
  onSignal: (signal, handler) => void process.on(signal, handler),
  onCrash(handler) {
    for (const kind of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(kind, (error: unknown) => {
        handler(error);
        exit(EXIT_CODES.program);
      });
    }
  },
  exit: (code) => exit(code),
  endBySignal(signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  },
};

/**
 * Ends the process. At exit, Node waits for every thread of its pool, so a hanging file system or a slow DNS server would delay
 * it; execve ends all threads at once.
 */
function exit(code: number, mayHang = hasPendingCalls()): never {
  if (mayHang) process.execve?.(process.execPath, [process.execPath, '-e', `process.exit(${code})`], {});
  process.exit(code);
}

/** Reports whether a file or DNS call is pending. Node doesn't list all of them: `readFile` of node:fs/promises is missing. */
const hasPendingCalls = (): boolean =>
  process.getActiveResourcesInfo().some((kind) => /^FSReq|^GetAddrInfo/.test(kind));

function print(stream: NodeJS.WriteStream, text: string): void {
  if (stream.listenerCount('error') === 0)
    stream.on('error', ({ code }: NodeJS.ErrnoException) => outputFailed(stream, code));
  stream.write(text);
}

/** Handles a failed write. EPIPE is no error: the reader, such as `head`, has closed the pipe. */
function outputFailed(stream: NodeJS.WriteStream, code: string | undefined): void {
  if (code !== 'EPIPE' && stream === process.stdout) {
    io.err(`vault-token-sidecar: can't write to stdout (${code})`);
    exit(EXIT_CODES.sink);
  }
  // A finished command sets its exit code before this runs.
  setImmediate(() => exit(Number(process.exitCode ?? 0)));
}

async function main(argv: readonly string[]): Promise<number> {
  const { name, flags, words } = parse(argv);
  const unsafe =
    name === 'help' ? undefined : unsafeStart({ env: process.env, execArgv: process.execArgv, debuggerUrl });
  if (unsafe !== undefined) throw new UsageError(unsafe);
  const { command } = await LOAD[name]();
  const code = await command(flags, io, words);
  return argv.length === 0 ? EXIT_CODES.config : code;
}

const debuggerUrl = () => (process.features.inspector ? process.getBuiltinModule('node:inspector').url() : undefined);

/** Prints one line per problem to stderr, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.lines) io.err(problem);
    return EXIT_CODES.config;
  }
  if (error instanceof ExchangeError) {
    io.err(error.message);
    return exitCodeOf(error.failure);
  }
  const isUsage = error instanceof UsageError;
  const words = error instanceof Error ? error.message.split('\n')[0] : 'unknown error';
  io.err(isUsage ? `vault-token-sidecar: ${words}` : `vault-token-sidecar: internal error: ${scrub(words ?? '')}`);
  return isUsage ? EXIT_CODES.config : EXIT_CODES.program;
}

/** Sets the exit code. If a hanging call keeps the process alive, ends it once stdout is flushed. */
function endSoon(code: number): void {
  process.exitCode = code;
  setTimeout(() => (process.stdout.writableLength > 0 ? endSoon(code) : exit(code, true)), LINGER_MS).unref();
}

const LINGER_MS = 500;

endSoon(await main(process.argv.slice(2)).catch(report));
