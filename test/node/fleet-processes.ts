// Many sidecars, or Vault Agents, as processes of this world: each with its own config and token file, in a memory cgroup with the
// limit of the example's sidecar.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sidecarCommand } from '../support/program.ts';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from '../vault/find-vault.ts';
import { VAULT_NAME } from './example.ts';
import type { Here } from './example-pod.ts';
import { MEMORY, pssOf } from './processes.ts';

interface Place {
  readonly vault: string;
  readonly caFile: string;
  readonly jwtFile: string;
  readonly tokenFile: string;
}

interface Kind {
  /** the content of the config file */
  config(place: Place): string;
  command(configFile: string): readonly string[];
}

export const sidecar: Kind = {
  config: ({ vault, caFile, jwtFile, tokenFile }) =>
    JSON.stringify({
      vault: { address: vault, tls: { ca_file: caFile, server_name: VAULT_NAME } },
      exchanges: {
        app: {
          source: { file: { path: jwtFile } },
          login: { mount: 'jwt', role: 'my-app' },
          sinks: [{ file: { path: tokenFile } }],
        },
      },
      api: { listen: '127.0.0.1:0' },
      ops: { listen: '127.0.0.1:0' },
    }),
  command: (file) => [...sidecarCommand(), 'run', '--config', file],
};

export const agent: Kind = {
  config: ({ vault, caFile, jwtFile, tokenFile }) => `
vault {
  address         = "${vault}"
  ca_cert         = "${caFile}"
  tls_server_name = "${VAULT_NAME}"
}
auto_auth {
  method "jwt" {
    mount_path = "auth/jwt"
    config = { path = "${jwtFile}", role = "my-app", remove_jwt_after_reading = false }
  }
  sink "file" { config = { path = "${tokenFile}" } }
}
`,
  command: (file) => [findVault(), 'agent', '-config', file],
};

/** Starts `count` of them at once, and ends them when all have a token. */
export async function startMany(
  t: TestContext,
  here: Here,
  count: number,
  kind: Kind,
): Promise<{ readyMs: readonly number[]; pssMiB: readonly number[] }> {
  const directory = await temporaryDirectory(t);
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return join(directory, name);
  };
  const jwtFile = file('jwt', await here.cluster.serviceAccountToken('my-app', 'vault'));
  const caFile = file('ca.pem', here.node.publisher.ca.cert);
  const ready: string[] = [];
  const commands = Array.from({ length: count }, (_, index) => {
    const tokenFile = join(directory, `token-${index}`);
    ready.push(tokenFile);
    return kind.command(file(`config-${index}`, kind.config({ vault: here.vault.url, caFile, jwtFile, tokenFile })));
  });
  const cgroups = commands.map((_, index) => limited(t, index));
  const at = Date.now();
  const children = commands.map((command, index) => spawnIn(cgroups[index] ?? '', command));
  scopeOf(t).after(() => Promise.all(children.map(end)));
  const isReady = (path: string) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  await until('each has a token', () => ready.every(isReady), 300_000);
  return {
    readyMs: ready.map((path) => statSync(path).mtimeMs - at),
    pssMiB: children.map(({ pid = 0 }) => pssOf(pid)),
  };
}

/** A cgroup with the memory limit of the example's sidecar. */
function limited(t: TestContext, index: number): string {
  const path = join(MEMORY, `process-${index}`);
  mkdirSync(path);
  writeFileSync(join(path, 'memory.limit_in_bytes'), String(128 * 2 ** 20));
  scopeOf(t).after(() => rmdirSync(path));
  return path;
}

const spawnIn = (cgroup: string, command: readonly string[]): ChildProcess =>
  spawn('sh', ['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...command], { stdio: 'ignore' });

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
