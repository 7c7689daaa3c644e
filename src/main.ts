#!/usr/bin/env -S node --disable-sigusr1
// The entry: argv to a command, its outcome to an exit code. The only file that touches the process.

// Without --disable-sigusr1 Node opens its debugger, and with it the whole heap, at SIGUSR1, until there is a listener.
process.on('SIGUSR1', () => {});
process.umask(0o077);
// before the first use of a file or name, which starts these threads for good. Each file system that hangs holds some of
// them: src/files/file-work.ts sees to it that half of them stay free. Twelve more than Node's four cost 0.2 MiB.
process.env['UV_THREADPOOL_SIZE'] = '16';
// stdout is the log's, and the commands': whatever a library prints belongs on stderr
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
  run: { summary: 'the daemon', load: () => import('./commands/run.ts') },
  once: { summary: 'log in, write every sink once, end', load: () => import('./commands/once.ts') },
  validate: {
    summary: 'check the config and show where each value comes from',
    load: () => import('./commands/validate.ts'),
  },
  schema: { summary: "print the config's JSON Schema", load: () => import('./commands/schema.ts') },
  doctor: {
    summary: 'explain why a login fails, or that all is well',
    load: () => import('./commands/doctor.ts'),
  },
  setup: {
    summary: 'print, or apply, what Vault needs for the exchanges',
    load: () => import('./commands/setup.ts'),
  },
  init: {
    summary: 'write a config for Kubernetes, GitLab CI or another Vault as the issuer',
    load: () => import('./commands/init.ts'),
  },
  status: { summary: 'show what the running daemon holds', load: () => import('./commands/status.ts') },
  wait: { summary: 'wait until the running daemon is ready', load: () => import('./commands/wait.ts') },
  token: { summary: 'print the Vault token of the running daemon', load: () => import('./commands/token.ts') },
  dev: { summary: 'an issuer, a Vault and the sidecar in memory, to look at', load: () => import('./commands/dev.ts') },
  version: { summary: 'print the version', load: () => import('./commands/version.ts') },
};

const io: Io = {
  env: process.env,
  // asking opens the stream, and with that writes to a pipe that nobody reads never wait: the log needs it
  isTty: process.stdout.isTTY === true,
  version: packageJson.version,
  nodeVersion: process.versions.node,
  async ask(question) {
    if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
    const { createInterface } = await import('node:readline/promises');
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    // Ctrl-C and Ctrl-D are answers too
    const answer = await terminal.question(question).catch(() => '\n');
    terminal.close();
    return answer;
  },
  out: (text) => print(process.stdout, text),
  err: (text) => print(process.stderr, text),
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
};

/**
 * Node waits at exit for every thread of its pool, so a file on a disk that hangs, or a slow DNS server, would hold the
 * process. Replacing its image ends all threads at once.
 */
function exit(code: number, isHeld = isSeenHeld()): never {
  if (isHeld) process.execve?.(process.execPath, [process.execPath, '-e', `process.exit(${code})`], {});
  process.exit(code);
}

/** Node doesn't list all of these calls: `readFile` of node:fs/promises is missing. */
const isSeenHeld = (): boolean => process.getActiveResourcesInfo().some((kind) => /^FSReq|^GetAddrInfo/.test(kind));

function print(stream: NodeJS.WriteStream, text: string): void {
  if (stream.listenerCount('error') === 0)
    stream.on('error', ({ code }: NodeJS.ErrnoException) => outputFailed(stream, code));
  stream.write(`${text}\n`);
}

/** Who reads no further, as `head` does, wants no more; but what doesn't fit on a disk is missing there. */
function outputFailed(stream: NodeJS.WriteStream, code: string | undefined): void {
  if (code !== 'EPIPE' && stream === process.stdout) {
    io.err(`vault-token-sidecar: its output can't be written (${code})`);
    exit(EXIT_CODES.sink);
  }
  // a command that is done has its exit code by then
  setImmediate(() => exit(Number(process.exitCode ?? 0)));
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.out(overview());
    return name === undefined ? EXIT_CODES.config : 0;
  }
  const known = name === '--version' ? 'version' : name;
  // every object has members from its prototype, such as "constructor"
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
  const { values, positionals } = parseArgs({ args: rest, options, strict: true, allowPositionals });
  if (values['help'] === true) {
    io.out(command.help);
    return 0;
  }
  const [argument, ...more] = positionals;
  if (command.argument !== undefined && (!command.argument.includes(argument ?? '') || more.length > 0))
    throw new UsageError(`"${name}" takes one of ${command.argument.join(', ')}`);
  return command.run({ ...(values as Flags), argument }, io);
}

const debuggerUrl = () => (process.features.inspector ? process.getBuiltinModule('node:inspector').url() : undefined);

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return [
    'usage: vault-token-sidecar <command> [flags]',
    '',
    ...lines,
    '',
    '"vault-token-sidecar <command> --help" tells more.',
  ].join('\n');
}

/** One line a problem on stderr, and the exit code that goes with it. */
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

/** A command that is done ends by itself, unless something hangs: then it is ended, once its output is out. */
function endSoon(code: number): void {
  process.exitCode = code;
  setTimeout(() => (process.stdout.writableLength > 0 ? endSoon(code) : exit(code, true)), LINGER_MS).unref();
}

const LINGER_MS = 500;

endSoon(await main(process.argv.slice(2)).catch(report));
