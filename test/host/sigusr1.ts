// Starts the program, and sends it SIGUSR1, which would open Node's debugger.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { procText } from '../support/proc.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SIGUSR1_BIT = 1n << 9n;
const SIGUSR2_BIT = 1n << 11n;
const ATTACK_MS = 300;

/** Checks that no debugger opens, from the start of the command until the program has printed its first line. */
export async function opensNoDebugger(t: TestContext, command: string): Promise<void> {
  const { pid, output, ended } = await start(t, command);
  const [deadline, silent] = [performance.now() + ATTACK_MS, output().length];
  let signals = 0;
  for (; ended() === undefined && (performance.now() < deadline || output().length === silent); signals += 1) {
    signal(pid);
    assert.deepEqual(listening(pid), [], `it listens; ${output()}`);
    await turn();
  }
  assert.ok(signals > 0);
  assert.notEqual(ended(), 'SIGUSR1');
  assert.doesNotMatch(output(), /Debugger listening|Starting inspector/);
}

/** Starts the command, and resolves when Node handles SIGUSR1; before that, the signal kills the process. */
async function start(t: TestContext, command: string) {
  const directory = await temporaryDirectory(t);
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    HOME: process.env['HOME'],
    VAULT_ADDR: 'http://127.0.0.1:9',
    VTS_ROLE: 'app',
    VTS_JWT_FILE: join(directory, 'jwt'),
    VTS_TOKEN_FILE: join(directory, 'token'),
    VTS_API_LISTEN: '127.0.0.1:0',
    VTS_OPS_LISTEN: '127.0.0.1:0',
  };
  const child = spawn('sh', ['-c', command], { env, detached: true });
  let [output, end]: [string, number | string | undefined] = ['', undefined];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exited = once(child, 'exit').then(([code, name]) => {
    end = code ?? name;
  });
  t.after(async () => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // the process group has already exited
    }
    await exited;
  });
  const pid = await until(
    'the program runs',
    () => {
      assert.equal(end, undefined, output);
      return groupOf(child.pid ?? 0).find((one) => isProgram(one) && !endsAtSigusr1(one));
    },
    60_000,
  );
  return { pid, output: () => output, ended: () => end };
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGUSR1');
  } catch {
    // it has already exited
  }
}

const groupOf = (leader: number): readonly number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && procText(pid, 'stat').split(') ')[1]?.split(' ')[2] === String(leader));

/** Whether the process runs the program: by node, or in one file with it. */
const isProgram = (pid: number): boolean =>
  /^\S*node\0(\S*\0)*\S*(vault-token-sidecar\.mjs|src\/main\.ts)\0|^\/\S*vault-token-sidecar\0run\0/.test(
    procText(pid, 'cmdline'),
  );

/**
 * Whether SIGUSR1 ends the process: it is neither ignored, caught, nor blocked for good. While glibc or Node starts a
 * thread, they block all signals for a moment, after which a signal that arrived meanwhile ends the process.
 */
function endsAtSigusr1(pid: number): boolean {
  const masks = procText(pid, 'status').matchAll(/^Sig(Blk|Ign|Cgt):\s+(\S+)$/gm);
  return ![...masks].some(([, name, digits]) => {
    const mask = BigInt(`0x${digits}`);
    return (mask & SIGUSR1_BIT) !== 0n && !(name === 'Blk' && (mask & SIGUSR2_BIT) !== 0n);
  });
}

/** The debugger's ports on which the process listens. */
function listening(pid: number): readonly string[] {
  const LISTEN = '0A';
  const ports = [9229, 9230].map((port) => port.toString(16).toUpperCase());
  const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => readFileSync(path, 'utf8').split('\n'));
  const inodes = sockets.flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === LISTEN && ports.some((port) => local.endsWith(`:${port}`)) ? [`socket:[${inode}]`] : [];
  });
  if (inodes.length === 0) return [];
  try {
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return files.filter((file) => inodes.includes(file));
  } catch {
    return [];
  }
}
