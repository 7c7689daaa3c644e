// The clients: each program of examples/ as it stands, on each road that it can take.

import { execFileSync } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { sidecarCommand } from '../support/program.ts';
import { debian, digest, goBuild, made } from '../support/tools.ts';
import { findVault } from '../vault/find-vault.ts';
import { type Client, type Road, run } from './client.ts';
import { consulTemplate, startConsulTemplate, startPrometheus } from './daemons.ts';
import type { World } from './world.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../examples');

/** Installs the programs. On a new machine this takes longer than a token of the world lives. */
export function installPrograms(): void {
  debian('python3-hvac', 'prometheus', 'curl');
  goClient();
  nodeVaultPackages();
  consulTemplate();
}

export async function clientsOf(world: World): Promise<readonly Client[]> {
  const env = { PATH: `${await openBin(world)}:${process.env['PATH']}`, VAULT_ADDR: world.vaultUrl };
  const token = await world.token();
  const roads: Readonly<Record<Road, Readonly<Record<string, string>>>> = {
    once: { VAULT_TOKEN: token },
    file: { VAULT_TOKEN_FILE: world.tokenFile },
    home: { HOME: await openHome(world) },
    api: { VAULT_TOKEN_API: world.apiUrl },
    proxy: { VAULT_ADDR: world.proxyUrl },
    socket: { VAULT_ADDR: `unix://${world.proxySocket}`, VAULT_SOCKET: world.proxySocket },
    exec: {},
  };
  const exec = [...sidecarCommand(), 'exec', '--config', world.execConfigFile, '--on-new-token', 'restart', '--'];
  const [python, node] = ['/usr/bin/python3', process.execPath];
  const programs: readonly (readonly [name: string, command: readonly string[], roads: readonly Road[]])[] = [
    ["Vault's CLI", [example('vault-cli/read.sh')], ['once', 'file', 'home', 'proxy', 'socket', 'exec']],
    ['curl', [example('curl/read.sh')], ['file', 'api', 'proxy', 'socket']],
    ['Python', [python, example('python/read.py')], ['file', 'proxy']],
    ['hvac', [python, example('hvac/read.py')], ['once', 'file', 'proxy', 'exec']],
    ['Node', [node, example('node/read.mjs')], ['file', 'proxy']],
    ['Node, long poll', [node, example('node/follow.mjs')], ['api']],
    ['node-vault', [node, placeNodeVault(world)], ['once', 'file', 'proxy', 'exec']],
    ['Go, vault/api', [goClient()], ['once', 'file', 'proxy', 'socket', 'exec']],
  ];
  return [
    ...programs.flatMap(([name, command, taken]) =>
      taken.map((road): Client => {
        const whole = road === 'exec' ? [...exec, ...command] : command;
        return { name, road, start: (t) => run(t, whole, { ...env, ...roads[road] }) };
      }),
    ),
    ...(['file', 'proxy'] as const).map(
      (road): Client => ({ name: 'consul-template', road, start: (t) => startConsulTemplate(t, world, road) }),
    ),
    { name: 'Prometheus', road: 'file', start: (t) => startPrometheus(t, world) },
  ];
}

const example = (file: string): string => join(EXAMPLES, file);

const NODE_VAULT = example('node-vault');

/** A directory with the program `vault`. */
async function openBin({ directory }: World): Promise<string> {
  const bin = join(directory, 'bin');
  await mkdir(bin);
  await symlink(findVault(), join(bin, 'vault'));
  return bin;
}

/** A home whose .vault-token is the sidecar's file. */
async function openHome({ directory, tokenFile }: World): Promise<string> {
  const home = join(directory, 'home');
  await mkdir(home);
  await symlink(tokenFile, join(home, '.vault-token'));
  return home;
}

const goClient = (): string => goBuild(example('go-vault-api'), '.');

const nodeVaultPackages = (): string =>
  made(`node-vault-${digest(join(NODE_VAULT, 'package-lock.json'))}`, (unfinished) => {
    cpSync(NODE_VAULT, unfinished, { recursive: true });
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: unfinished, stdio: 'inherit' });
  });

/** Returns the example, copied to where its packages are. */
function placeNodeVault({ directory }: World): string {
  const copy = join(directory, 'node-vault');
  cpSync(NODE_VAULT, copy, { recursive: true });
  symlinkSync(join(nodeVaultPackages(), 'node_modules'), join(copy, 'node_modules'));
  return join(copy, 'read.mjs');
}
