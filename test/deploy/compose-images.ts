// Builds the images of deploy/compose without a registry: the sidecar's from the real Dockerfile on stand-ins for its
// base images, Vault's from the real server and busybox, with the programs that compose.yaml uses.

import { execFileSync, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { copyFile, cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { findVault } from '../vault/find-vault.ts';
import type { Docker } from './compose-docker.ts';
import { npmrc, openEngine, standIns } from './image-engine.ts';

/** The programs that the scripts call; Alpine has them from busybox too. */
const APPLETS = ['sh', 'cat', 'date', 'mv', 'sleep', 'stat', 'test'];

export async function loadSidecar(t: TestContext, docker: Docker, image: string): Promise<void> {
  const directory = await temporaryDirectory(t);
  const tar = join(directory, 'image.tar');
  const { podman } = await openEngine(t);
  const bases = await standIns({ podman, environment: {} }, t, await readFile('Dockerfile', 'utf8'));
  const options = [`--secret=id=npmrc,src=${npmrc(directory)}`, '--format=docker', '--layers=false', ...bases];
  await podman('build', ...options, `--tag=${image}`, '.');
  await podman('save', '--format=docker-archive', `--output=${tar}`, image);
  await docker.call('POST', '/images/load?quiet=1', createReadStream(tar));
}

export async function loadVault(t: TestContext, docker: Docker, image: string): Promise<void> {
  debian('busybox-static');
  const root = await temporaryDirectory(t);
  const vault = findVault();
  const libraries = execFileSync('ldd', [vault], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ''] of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await cp(library, join(root, library), { dereference: true });
  }
  for (const directory of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) await mkdir(join(root, directory));
  await copyFile(vault, join(root, 'bin/vault'));
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS) await symlink('busybox', join(root, 'bin', applet));
  const tar = spawn('tar', ['-C', root, '--owner=0', '--group=0', '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [name, tag] = image.split(':');
  await docker.call('POST', `/images/create?fromSrc=-&repo=${name}&tag=${tag}`, tar.stdout);
}
