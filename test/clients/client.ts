// A client that runs beside others: a program that prints each secret that it reads, and reports each failure.

import { spawn } from 'node:child_process';
import type { Scope } from '../support/scope.ts';

/**
 * How a client gets its token: `once` from VAULT_TOKEN, as most clients do; `file` from the sidecar's file before each
 * request; `home` from the file as ~/.vault-token; `api` from the token API; `proxy` and `socket`, a proxy on a unix socket,
 * not at all: the proxy adds it; `exec` from VAULT_TOKEN, restarted with each new one.
 */
export type Road = 'once' | 'file' | 'home' | 'api' | 'proxy' | 'socket' | 'exec';

export interface Client {
  readonly name: string;
  readonly road: Road;
  start(t: Scope): Promise<Running> | Running;
}

export interface Running {
  /** the secrets that it has read so far */
  greetings(): Promise<string> | string;
  failures(): Promise<readonly string[]> | readonly string[];
}

/** Starts a program, which runs until the end of the test. It prints secrets on stdout and failures on stderr. */
export function run(t: Scope, command: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk;
  });
  child.once('exit', (code) => {
    err += `it exits with ${code}\n`;
  });
  child.once('error', ({ message }) => {
    err += `${message}\n`;
  });
  t.after(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // it has already exited
    }
  });
  return { greetings: () => out, failures: () => err.split('\n').filter(Boolean) };
}
