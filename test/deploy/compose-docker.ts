// A Docker engine for one test: the engine and docker compose are built from their published Go modules, and run on
// Debian's containerd and runc. The engine has its own network, mount and process namespaces, so that it leaves nothing
// behind and doesn't change this machine's network.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, openSync } from 'node:fs';
import { mkdir, readFile, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { Agent, request } from 'undici';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian, goBuild } from '../support/tools.ts';

const MODULE = join(import.meta.dirname, 'modules/compose');

export const dockerd = (): string => goBuild(MODULE, 'github.com/moby/moby/v2/cmd/dockerd');

export const dockerCompose = (): string => goBuild(MODULE, 'github.com/docker/compose/v5/cmd');

export interface Docker {
  /** Calls the engine's API; `tar` is the body. @throws Error if the call fails */
  call(method: string, path: string, tar?: Readable): Promise<string>;
  /** Runs a command line in which `docker compose` works. */
  shell(command: string): Promise<{ code: number; stdout: string; stderr: string }>;
}

export async function openDocker(t: TestContext): Promise<Docker> {
  if (process.getuid?.() !== 0) throw new Error('a Docker engine needs root');
  debian('containerd', 'runc', 'iptables', 'util-linux', 'kmod');
  const corner = await temporaryDirectory(t);
  const at = (name: string) => join(corner, name);
  const host = `unix://${at('docker.sock')}`;
  const environment = { ...process.env, DOCKER_HOST: host, PATH: `${at('bin')}:${process.env['PATH']}` };
  await installCompose(at('bin'));
  await writeFile(at('daemon.json'), JSON.stringify(daemonConfig(host, at)));
  t.after(await launch(at));
  const dispatcher = new Agent({ connect: { socketPath: at('docker.sock') } });
  const docker: Docker = {
    async call(method, path, tar) {
      const headers = tar === undefined ? {} : { 'content-type': 'application/x-tar' };
      const options = { method: method as 'GET', dispatcher, headers, body: tar ?? null };
      const { statusCode, body } = await request(`http://docker${path}`, options);
      const text = await body.text();
      // an import that fails midway reports the error at the end of its body
      if (statusCode >= 300 || text.includes('"errorDetail"')) throw new Error(`${method} ${path}: ${text}`);
      return text;
    },
    shell: (command) =>
      new Promise((done) =>
        execFile('sh', ['-c', command], { env: environment }, (error, stdout, stderr) =>
          done({ code: Number(error?.code ?? 0), stdout, stderr }),
        ),
      ),
  };
  const started = () => docker.call('GET', '/version').catch(() => undefined);
  await until('the Docker engine answers', started, 60_000).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await readFile(at('log'), 'utf8')}`);
  });
  return docker;
}

/** Starts the engine in its namespaces. @returns a function that stops it and its containers */
async function launch(at: (name: string) => string): Promise<() => Promise<void>> {
  const namespaces = ['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child'];
  const log = openSync(at('log'), 'w');
  // kill it with this process
  const command = ['--pdeathsig=KILL', 'unshare', ...namespaces, dockerd(), '--config-file', at('daemon.json')];
  const child = spawn('setpriv', command, { stdio: ['ignore', log, log] });
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    // signal the engine itself, since unshare doesn't forward signals
    const [engine] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).split(' ');
    process.kill(Number(engine));
    await ended;
    for (const left of globSync(`/sys/fs/cgroup/{,*/}${basename(at(''))}`)) await rmdir(left);
  };
}

const daemonConfig = (host: string, at: (name: string) => string): object => ({
  hosts: [host],
  'data-root': at('data'),
  'exec-root': at('exec'),
  pidfile: at('pid'),
  'cgroup-parent': `/${basename(at(''))}`,
  'userland-proxy': false,
  'exec-opts': ['native.cgroupdriver=cgroupfs'],
  // Debian's containerd and runc don't support these
  features: { 'containerd-snapshotter': false, 'time-namespaces': false },
});

/** Installs compose as a separate program, and a `docker` script that calls it, instead of Docker's CLI. */
async function installCompose(directory: string): Promise<void> {
  await mkdir(directory);
  await symlink(dockerCompose(), join(directory, 'docker-compose'));
  const docker = '#!/bin/sh\n[ "$1" = compose ] && shift && exec docker-compose "$@"\n';
  await writeFile(join(directory, 'docker'), docker, { mode: 0o755 });
}
