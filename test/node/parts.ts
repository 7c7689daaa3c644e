// What a node needs, made before its world starts, since that has no network: programs, and images as archives.

import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { helmProgram } from '../deploy/helm-charts.ts';
import { npmrc, openEngine, standIns } from '../deploy/image-engine.ts';
import { kubernetesProgram, kustomizeProgram } from '../deploy/kubernetes-server.ts';
import { openScope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian, made } from '../support/tools.ts';
import { appImage } from './app-image.ts';

/** Builds the programs of Kubernetes. */
export function kubernetesPrograms(): void {
  const names = ['kube-apiserver', 'kubectl', 'kubelet', 'kube-scheduler', 'kube-controller-manager'];
  for (const name of names) kubernetesProgram(name);
}

/** Makes all parts. @param archive where to write the sidecar's image */
export async function makeParts(archive: string): Promise<void> {
  debian('iproute2', 'runc', 'containernetworking-plugins', 'etcd-server');
  kubernetesPrograms();
  kustomizeProgram();
  helmProgram();
  containerd();
  appImage();
  await sidecarImage(archive);
}

/** The directory of containerd's programs. Its package isn't installed, since that would start a service. */
export const containerd = (): string =>
  join(
    made('containerd-1.6', (unfinished) => {
      const work = `${unfinished}.d`;
      mkdirSync(work);
      const apt = (...args: readonly string[]) =>
        execFileSync('apt-get', ['-qq', ...args], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
      apt('update');
      apt('download', 'containerd');
      execFileSync('dpkg', ['-x', ...globSync(join(work, '*.deb')), unfinished]);
      rmSync(work, { recursive: true });
    }),
    'usr/bin',
  );

async function sidecarImage(archive: string): Promise<void> {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const name = `registry.example.com/vault-token-sidecar:${version}`;
  const scope = openScope();
  try {
    const engine = await openEngine(scope);
    const registry = npmrc(await temporaryDirectory(scope));
    const options = [
      `--secret=id=npmrc,src=${registry}`,
      ...(await standIns(engine, scope, readFileSync('Dockerfile', 'utf8'))),
    ];
    await engine.podman('build', ...options, '--tag', name, '.');
    await engine.podman('save', '--format=docker-archive', '--output', archive, name);
  } finally {
    await scope.end();
  }
}
