// Runs a command without a shell, in a small environment and a process group of its own.

import { spawn } from 'node:child_process';
import type { Failure } from '../core/errors.ts';
import type { HookCall, HookReport } from './hook.ts';

/** More than the longest token, which scrubbing can then find in the part that is shown. */
const MOST_OUTPUT = 16 * 1024;
const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export async function runCommand(
  [program = '', ...args]: readonly string[],
  { exchange, sink, path = USUAL_PATH, signal }: HookCall,
): Promise<HookReport> {
  const env = { PATH: path, VTS_EXCHANGE: exchange, VTS_SINK: sink };
  let output = '';
  const failure = await new Promise<Failure | undefined>((resolve) => {
    const unstarted = ({ code = 'unknown error' }: NodeJS.ErrnoException) =>
      resolve({ code: 'hook_failed', facts: { kind: 'file', path: program, errno: code } });
    try {
      const child = spawn(program, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      const kill = () => killGroup(child.pid);
      if (signal.aborted) kill();
      signal.addEventListener('abort', kill);
      child.on('error', unstarted);
      // also beyond the limit: a full pipe would block the command
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          output = (output + chunk.toString()).slice(0, MOST_OUTPUT);
        });
      child.on('exit', (code, endedBy) => {
        signal.removeEventListener('abort', kill);
        // Read what is in the pipes. Don't wait for their end: a process in the background may keep them open.
        setImmediate(() => {
          child.stdout.destroy();
          child.stderr.destroy();
          resolve(failureOf(code, endedBy));
        });
      });
    } catch (error) {
      // such as E2BIG, or Node's --permission without --allow-child-process
      unstarted(error as NodeJS.ErrnoException);
    }
  });
  return { failure, output };
}

function failureOf(code: number | null, endedBy: NodeJS.Signals | null): Failure | undefined {
  if (endedBy !== null) return { code: 'hook_failed', facts: { kind: 'hook-signal', signal: endedBy } };
  return code === 0 ? undefined : { code: 'hook_failed', facts: { kind: 'hook-exit', code: code ?? 0 } };
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // the group has ended
  }
}
