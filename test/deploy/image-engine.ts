// podman with its own storage, locks and runtime directory, which are removed after the test. And stand-ins for the
// base images, since there is no registry: this machine's programs with their shared libraries.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Scope, scopeOf } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';

export interface Engine {
  /** @returns its stdout; @throws Error with its stderr */
  podman(...args: readonly string[]): Promise<string>;
  /** environment variables for shell commands */
  readonly environment: NodeJS.ProcessEnv;
}

export async function openEngine(t: Scope): Promise<Engine> {
  debian('podman', 'runc', 'ca-certificates');
  const corner = await temporaryDirectory(t);
  const at = (name: string) => join(corner, name);
  const [graph, run] = [at('graph'), at('run')];
  writeFileSync(at('storage.conf'), `[storage]\ndriver="overlay"\ngraphroot="${graph}"\nrunroot="${run}"\n`);
  writeFileSync(at('containers.conf'), containersConf(at));
  mkdirSync(at('tmp'));
  const environment = {
    ...process.env,
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
    CONTAINERS_CONF: at('containers.conf'),
    // builds without namespaces, with their cache in the test's directory
    BUILDAH_ISOLATION: 'chroot',
    TMPDIR: at('tmp'),
    // tests run the health check themselves, since podman's timer needs systemd
    DISABLE_HC_SYSTEMD: 'true',
  };
  const podman = async (...args: readonly string[]) =>
    (await promisify(execFile)('podman', args, { env: environment, maxBuffer: 1 << 26 })).stdout;
  scopeOf(t).after(async () => {
    await podman('rm', '--all', '--force', '--time=0');
    // the storage driver leaves a bind mount of its directory
    spawnSync('umount', ['--quiet', join(graph, 'overlay')]);
  });
  return { podman, environment };
}

/** A configuration without systemd, on the host's network, with limits that any machine allows. */
function containersConf(at: (name: string) => string): string {
  return [
    '[containers]',
    'netns="host"',
    'default_ulimits=["nofile=1024:1024", "nproc=1024:1024"]',
    'log_driver="k8s-file"',
    '[engine]',
    'runtime="runc"',
    'cgroup_manager="cgroupfs"',
    'events_logger="file"',
    'lock_type="file"',
    `tmp_dir="${at('engine')}"`,
    '',
  ].join('\n');
}

const NODE = realpathSync(process.execPath);
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Imports an image for each FROM of the Dockerfile. @returns build options that replace the base images */
export async function standIns({ podman }: Engine, t: Scope, dockerfile: string): Promise<readonly string[]> {
  // the first one is also the base of the target "shell"
  const from = dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+@sha256:[0-9a-f]{64})/gm);
  const [build = '', base = ''] = new Set([...from].map(([, name]) => name));
  const trees = { 'stand-in/build': buildTree, 'stand-in/base': baseTree };
  const directory = await temporaryDirectory(t);
  for (const [name, plant] of Object.entries(trees)) {
    const [root, tar] = [join(directory, name), join(directory, `${name}.tar`)];
    plant(root);
    execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-cf', tar, '.']);
    await podman('import', '--change=ENV PATH=/usr/local/bin:/usr/bin:/bin', tar, name);
  }
  const inPlace = (from: string, name: string) => `--build-context=${from}=container-image://localhost/${name}`;
  return [inPlace(build, 'stand-in/build'), inPlace(base, 'stand-in/base')];
}

/** Replaces node:...-slim: Node, npm, shells, and the programs that the Dockerfile and the CI job call. */
function buildTree(root: string): void {
  for (const program of ['bash', 'cat', 'env', 'find', 'install', 'ln', 'mkdir', 'rm', 'sh', 'touch', 'uname'])
    plantProgram(root, `/usr/bin/${program}`, which(program));
  plantProgram(root, '/usr/local/bin/node', NODE);
  symlinkSync('usr/bin', join(root, 'bin'));
  // npm/bin/npm-cli.js
  const npm = join(realpathSync(which('npm')), '../..');
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  plantRest(root);
}

/** Replaces distroless: Node, its user, its certificates. */
function baseTree(root: string): void {
  plantProgram(root, '/nodejs/bin/node', NODE);
  plantRest(root);
}

function plantRest(root: string): void {
  plantFile(root, CERTIFICATES);
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n');
  for (const directory of ['root', 'tmp', 'proc', 'sys', 'dev', 'home/nonroot'])
    mkdirSync(join(root, directory), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
}

/** Copies a program with its shared libraries. */
export function plantProgram(root: string, target: string, source: string): void {
  plantFile(root, target, source);
  const libraries = execFileSync('ldd', [source], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ''] of libraries) plantFile(root, library);
}

function plantFile(root: string, target: string, source = target): void {
  mkdirSync(dirname(join(root, target)), { recursive: true });
  copyFileSync(source, join(root, target));
}

export const which = (program: string) =>
  execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();

/** Writes an npm config with the registry that this machine uses. */
export function npmrc(directory: string): string {
  const path = join(directory, 'npmrc');
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { cwd: homedir(), encoding: 'utf8' }).trim();
  writeFileSync(path, `registry=${registry}\ncafile=${CERTIFICATES}\n`);
  return path;
}
