#!/usr/bin/env -S node --disable-sigusr1
// The entry point: runs the command that argv names and exits with its code. Only this file touches the process.

// Without --disable-sigusr1 or a listener, SIGUSR1 opens Node's debugger, and with it the whole heap.
process.on('SIGUSR1', () => {});
const umask = process.umask(0o077);
// Must be set before the first file or DNS operation, which starts the thread pool. A hanging file system blocks some of the
// threads; src/files/file-work.ts keeps half of them free. Twelve more threads than Node's default of four cost 0.2 MiB.
const { UV_THREADPOOL_SIZE } = process.env;
process.env['UV_THREADPOOL_SIZE'] = '16';
// stdout is for the log and for the output of commands; library output goes to stderr.
for (const print of ['log', 'info', 'debug', 'dir'] as const) console[print] = console.error;

import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import type { Command, Flags } from './commands/command.ts';
import { ConfigError } from './config/problem.ts';
import { EXIT_CODES, ExchangeError, exitCodeOf } from './core/errors.ts';
import { scrub } from './core/secret.ts';
import { type Io, UsageError } from './host/io.ts';
import { unsafeStart } from './host/unsafe-start.ts';

const COMMANDS: Readonly<Record<string, { summary: string; load: () => Promise<{ command: Command }> }>> = {
  run: { summary: 'run the daemon', load: () => import('./commands/run.ts') },
  once: { summary: 'log in, write every sink once and exit', load: () => import('./commands/once.ts') },
  exec: { summary: 'run a command with a Vault token in its environment', load: () => import('./commands/exec.ts') },
  validate: {
    summary: 'validate the config and show where each value comes from',
    load: () => import('./commands/validate.ts'),
  },
  schema: { summary: "print the config's JSON Schema", load: () => import('./commands/schema.ts') },
  doctor: {
    summary: 'explain why a login fails',
    load: () => import('./commands/doctor.ts'),
  },
  setup: {
    summary: 'print or apply the Vault setup of the exchanges',
    load: () => import('./commands/setup.ts'),
  },
  init: {
    summary: 'write a config for Kubernetes, CI jobs, VMs, or another Vault as the issuer',
    load: () => import('./commands/init.ts'),
  },
  status: { summary: 'show what the running daemon holds', load: () => import('./commands/status.ts') },
  wait: { summary: 'wait until the running daemon is ready', load: () => import('./commands/wait.ts') },
  token: { summary: 'print the Vault token of the running daemon', load: () => import('./commands/token.ts') },
  'token-helper': {
    summary: 'the same for the Vault CLI, as its token helper',
    load: () => import('./commands/vault-cli.ts'),
  },
  refresh: {
    summary: 'ask the running daemon for a new login',
    load: () => import('./commands/refresh.ts'),
  },
  dev: { summary: 'run a demo: an issuer, a Vault and the sidecar in memory', load: () => import('./commands/dev.ts') },
  version: { summary: 'print the version', load: () => import('./commands/version.ts') },
};

const io: Io = {
  env: process.env,
  inherited: () => ({ umask, env: { ...process.env, UV_THREADPOOL_SIZE } }),
  // Reading isTTY opens the stream, which makes writes to a full pipe asynchronous: the log must not block.
  isTty: process.stdout.isTTY === true,
  version: packageJson.version,
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
  err: (text) => print(process.stderr, `${text}\n`),
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
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.out(overview());
    return name === undefined ? EXIT_CODES.config : 0;
  }
  const known = name === '--version' ? 'version' : name;
  // Plain objects inherit members such as "constructor".
  const entry = Object.hasOwn(COMMANDS, known) ? COMMANDS[known] : undefined;
  if (entry === undefined)
    throw new UsageError(
      `unknown command ${JSON.stringify(name.slice(0, 40))}; "vault-token-sidecar --help" lists them`,
    );
  const unsafe = unsafeStart({ env: process.env, execArgv: process.execArgv, debuggerUrl });
  if (unsafe !== undefined) throw new UsageError(unsafe);
  const { command } = await entry.load();
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const;
  const allowPositionals = command.argument !== undefined;
  const end = command.takesCommand === true ? rest.indexOf('--') : -1;
  const args = end < 0 ? rest : rest.slice(0, end);
  const { values, positionals } = parseArgs({ args, options, strict: true, allowPositionals });
  if (values['help'] === true) {
    io.out(command.help);
    return 0;
  }
  const [argument, ...more] = positionals;
  if (command.argument !== undefined && (!command.argument.includes(argument ?? '') || more.length > 0))
    throw new UsageError(`"${name}" takes one of ${command.argument.join(', ')}`);
  return command.run({ ...(values as Flags), argument }, io, rest.slice(args.length + 1));
}

const debuggerUrl = () => (process.features.inspector ? process.getBuiltinModule('node:inspector').url() : undefined);

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`);
  return [
    'usage: vault-token-sidecar <command> [flags]',
    '',
    ...lines,
    '',
    'Run "vault-token-sidecar <command> --help" for the flags of a command.',
  ].join('\n');
}

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
  const isUsage =
    error instanceof UsageError ||
    (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
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
