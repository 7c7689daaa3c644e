// Runs a command in a world of its own for a Kubernetes node: see world.sh. The world ends with the command or with this
// process, whatever comes first, since process 1 of its namespace then ends. There is one at a time on a machine.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Not in memory, and with a short path, since it holds sockets. */
const NODE_STATE = '/var/tmp/vault-token-sidecar/node';
const LOCK = join(dirname(NODE_STATE), 'lock');
const WORLD = ['sh', join(import.meta.dirname, 'world.sh')];

/** The node's address, at which pods reach programs of the world. */
export const ADDRESS = '10.66.0.1';

/** @returns the exit code of the command */
export async function inWorld(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  mkdirSync(dirname(NODE_STATE), { recursive: true });
  const environment = { ...env, NODE_STATE };
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  // every process of the world holds the lock
  const lock = ['flock', '--no-fork', '--timeout', '900', LOCK];
  const wrapped = ['--pdeathsig', 'KILL', ...lock, 'unshare', ...namespaces, ...WORLD, ...command];
  const child = spawn('setpriv', wrapped, { stdio: 'inherit', env: environment });
  const [code] = await once(child, 'exit');
  spawnSync('flock', ['--nonblock', LOCK, ...WORLD, '--remove'], { stdio: 'inherit', env: environment });
  return typeof code === 'number' ? code : 1;
}
