// A Debian machine with systemd as process 1, in a systemd-nspawn container whose changes are discarded. It shares this
// machine's network, so that it reaches a Vault on loopback.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { debian, made } from '../support/tools.ts';

const execute = promisify(execFile);
/** Longer than a unit waits for Vault in any test. */
const COMMAND_MS = 90_000;

export interface Machine {
  /** The host's path of a file in the machine. */
  at(path: string): string;
  /** Runs a command as root in the machine, and returns its output; rejects with the output if it fails. */
  run(...command: readonly string[]): Promise<string>;
}

export async function openMachine(t: Scope): Promise<Machine> {
  debian('systemd-container', 'debootstrap');
  const tree = made('debian-trixie-systemd-2', makeTree);
  const options = ['--boot', '--register=no', '--keep-unit', '--console=pipe', '--quiet', '--volatile=overlay'];
  // end it with this process
  const container = spawn('setpriv', ['--pdeathsig', 'TERM', 'systemd-nspawn', ...options, `--directory=${tree}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
  });
  let said = '';
  for (const stream of [container.stdout, container.stderr]) stream.on('data', (chunk) => (said += chunk));
  const gone = once(container, 'exit');
  t.after(async () => {
    // the first signal requests a shutdown, the second one forces it
    container.kill('SIGTERM');
    container.kill('SIGTERM');
    await gone;
  });

  let leader = '';
  const run = async (...command: readonly string[]) => {
    const inside = ['--target', leader, '--mount', '--uts', '--ipc', '--pid', '--root', '--wd', '--', ...command];
    const env = { PATH: '/usr/sbin:/usr/bin', DEBIAN_FRONTEND: 'noninteractive' };
    return execute('nsenter', inside, { env, timeout: COMMAND_MS }).then(
      ({ stdout }) => stdout.trim(),
      ({ code, stdout, stderr }) => Promise.reject(new Error(`${command.join(' ')}: ${code}\n${stdout}${stderr}`)),
    );
  };
  await until(
    'systemd runs',
    async () => {
      if (container.exitCode !== null) throw new Error(`systemd-nspawn can't start a machine here: ${said}`);
      leader = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim();
      return run('systemctl', 'is-system-running', '--wait').then(
        (state) => state === 'running',
        () => false,
      );
    },
    60_000,
  );
  return {
    at: (path) => join(`/proc/${leader}/root`, path),
    run,
  };
}

/** Installs Debian with systemd, rpm and the libraries that Node needs, in about half a minute. */
function makeTree(unfinished: string): void {
  const packages = '--include=systemd,systemd-sysv,libatomic1,rpm';
  execFileSync('debootstrap', ['--variant=minbase', packages, 'trixie', unfinished], {
    stdio: ['ignore', 'ignore', 2],
  });
  for (const cache of ['var/cache/apt', 'var/lib/apt/lists']) rmSync(join(unfinished, cache), { recursive: true });
}
