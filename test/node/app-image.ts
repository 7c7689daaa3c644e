// A stand-in for Vault's image: its program, a shell and a few tools, as an archive that container runtimes import. A node also
// uses it for the process that holds a pod's namespaces.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plantProgram, which } from '../deploy/image-engine.ts';
import { digest, made } from '../support/tools.ts';
import { findVault } from '../vault/find-vault.ts';

export const APP_IMAGE = 'docker.io/hashicorp/vault:1.21';

const PROGRAMS = ['cat', 'curl', 'env', 'id', 'ls', 'sh', 'sleep', 'stat', 'touch'];

/** Waits for the end of the pod, and reaps its processes. */
const HOLD = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done";

/** @returns the path of the archive */
export const appImage = (): string =>
  made(`node-app-${digest(findVault(), import.meta.filename)}`, (unfinished) => {
    const work = `${unfinished}.d`;
    const [root, layer] = [join(work, 'root'), join(work, 'layer.tar')];
    for (const program of PROGRAMS) plantProgram(root, `/usr/bin/${program}`, which(program));
    plantProgram(root, '/usr/bin/vault', findVault());
    for (const directory of ['tmp', 'proc', 'sys', 'dev', 'etc']) mkdirSync(join(root, directory), { recursive: true });
    tar('-C', root, '--owner=0', '--group=0', '-cf', layer, '.');
    const layerDigest = createHash('sha256').update(readFileSync(layer)).digest('hex');
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Env: ['PATH=/usr/bin:/bin', 'HOME=/tmp'], Cmd: ['/usr/bin/sh', '-c', HOLD] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
    };
    const manifest = [{ Config: 'config.json', RepoTags: [APP_IMAGE], Layers: ['layer.tar'] }];
    writeFileSync(join(work, 'config.json'), JSON.stringify(config));
    writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
    tar('-C', work, '-cf', join(work, 'image.tar'), 'manifest.json', 'config.json', 'layer.tar');
    renameSync(join(work, 'image.tar'), unfinished);
    rmSync(work, { recursive: true });
  });

const tar = (...args: readonly string[]): void => void execFileSync('tar', args);
