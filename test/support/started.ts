// A program that a test starts, talks to with signals, and whose output it collects.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Scope, scopeOf } from './scope.ts';
import { until } from './settling.ts';

export interface Started {
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  /** Waits until stdout matches. */
  says(pattern: RegExp): Promise<RegExpMatchArray>;
  /** Waits until the program has ended, with its exit code or the signal that ended it. */
  ended(): Promise<number | string | null>;
}

/** Starts a program with PATH and `env`. When the test ends, it is killed with its children, unless they left its process group. */
export function startProgram(
  t: Scope,
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started {
  const child = spawn(program, args, { env: { PATH: process.env['PATH'], ...env }, detached: true });
  scopeOf(t).after(() => killGroup(child.pid));
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk;
  });
  const close = once(child, 'close');
  return {
    child,
    out: () => out,
    err: () => err,
    says: (pattern) => until(`${pattern} in ${JSON.stringify(out)}`, () => pattern.exec(out) ?? undefined),
    async ended() {
      const [code, signal] = await close;
      return code ?? signal;
    },
  };
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // all of its processes have ended
  }
}
