// The parts of a kubelet that matter to a pod with the sidecar: volumes with their owners and modes, and containers as
// processes with the users, groups, environment and mounts of the manifest, on a read-only root. A pod is a mount
// namespace that ends with its sidecar. Containers have the bundle and this machine's /usr instead of their images.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** The fields of a pod that tests use. */
export interface Pod {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec: PodSpec;
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: SecurityContext & { readonly fsGroup?: number; readonly supplementalGroups?: number[] };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly restartPolicy?: string;
  readonly hostNetwork?: boolean;
  readonly hostAliases?: readonly object[];
  readonly terminationGracePeriodSeconds?: number;
}

interface SecurityContext {
  readonly allowPrivilegeEscalation?: boolean;
  readonly capabilities?: { readonly drop: readonly string[] };
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly restartPolicy?: string;
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
  readonly securityContext?: SecurityContext;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: { readonly httpGet: { readonly path: string; readonly port: string | number } };
}

interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly projected?: { readonly sources: readonly { readonly serviceAccountToken?: ProjectedToken }[] };
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string };
}

interface ProjectedToken {
  readonly path: string;
  readonly audience: string;
  readonly expirationSeconds: number;
}

export interface RunningPod {
  /** Runs a command in the named container, and returns its output. @throws Error if it fails */
  exec(container: string, ...command: readonly string[]): string;
  /** The HTTP status of the sidecar's startup probe; undefined before the sidecar listens. */
  startup(): Promise<number | undefined>;
  /** Replaces the service account token. */
  rotate(jwt: string): Promise<void>;
  /** Stops the sidecar, as kubelet does after the pod's containers have exited. @returns the exit code */
  stop(): Promise<number | null>;
}

/** Starts the sidecar, the pod's first init container, with a service account token and the files of its ConfigMap. */
export async function startPod(
  t: TestContext,
  { spec }: Pod,
  { jwt, config = {} }: { jwt: string; config?: Readonly<Record<string, string>> },
): Promise<RunningPod> {
  const [sidecar] = spec.initContainers ?? [];
  if (sidecar?.restartPolicy !== 'Always') throw new Error("the first init container isn't a native sidecar");
  const directory = await temporaryDirectory(t);
  chmodSync(directory, 0o755);
  const volumes = spec.volumes ?? [];
  const projected = join(directory, volumes.find((volume) => volume.projected !== undefined)?.name ?? '');
  const jwtVolume = await createProjectedVolume(projected);
  const rotate = async (content: string) => {
    await jwtVolume.swap('token', content);
    if (spec.securityContext?.fsGroup !== undefined) giveToGroup(projected, spec.securityContext.fsGroup);
  };
  await rotate(jwt);
  for (const { name, configMap } of volumes) {
    if (configMap === undefined) continue;
    mkdirSync(join(directory, name));
    for (const [file, content] of Object.entries(config)) writeFileSync(join(directory, name, file), content);
  }
  const script = [
    'set -e',
    ...volumes.flatMap((volume) => mountMemory(directory, volume, spec)),
    ...[sidecar, ...spec.containers].flatMap((container) => mountRoot(directory, container)),
    `exec ${inContainer(directory, sidecar, spec)} /nodejs/bin/node ${NODE_FLAGS.join(' ')} /app/vault-token-sidecar.mjs "$@"`,
  ].join('\n');
  const child = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', ...(sidecar.args ?? [])]);
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk));
  const gone = once(child, 'close');
  t.after(() => child.kill('SIGKILL') && gone);
  const port = sidecar.ports?.find(({ name }) => name === sidecar.startupProbe?.httpGet.port)?.containerPort;
  return {
    exec(name, ...command) {
      const container = spec.containers.find((one) => one.name === name);
      if (container === undefined) throw new Error(`no container ${name}`);
      const within = `exec nsenter --mount=/proc/${child.pid}/ns/mnt ${inContainer(directory, container, spec)} "$@"`;
      return execFileSync('sh', ['-c', within, 'sh', ...command], { encoding: 'utf8', stdio: 'pipe' });
    },
    async startup() {
      const log = Buffer.concat(output).toString();
      if (child.exitCode !== null) throw new Error(`the sidecar ended: ${log}`);
      // before that, a reply would come from another process
      if (!log.includes('"event":"listening"')) return undefined;
      const { status } = await fetch(`http://127.0.0.1:${port}${sidecar.startupProbe?.httpGet.path}`);
      return status;
    },
    rotate,
    async stop() {
      child.kill('SIGTERM');
      await gone;
      return child.exitCode;
    },
  };
}

/** Makes a volume's files readable for root and fsGroup only. */
function giveToGroup(directory: string, group: number): void {
  const script = 'chgrp -R "$1" "$2" && find "$2" -type f -exec chmod 640 {} +';
  execFileSync('sh', ['-c', script, 'sh', String(group), directory]);
}

/** Commands that mount the tmpfs of an emptyDir, with fsGroup as its group, also for new files. */
function mountMemory(directory: string, { name, emptyDir }: Volume, { securityContext }: PodSpec): string[] {
  if (emptyDir === undefined) return [];
  if (emptyDir.medium !== 'Memory' || emptyDir.sizeLimit !== '1Mi') throw new Error(`${name} isn't 1Mi of memory`);
  const path = join(directory, name);
  const group = securityContext?.fsGroup;
  return [
    `mkdir ${path}`,
    `mount -t tmpfs -o size=1048576 tmpfs ${path}`,
    ...(group === undefined ? [] : [`chgrp ${group} ${path}`, `chmod g+rwxs ${path}`]),
  ];
}

const rootOf = (directory: string, { name }: Container): string => join(directory, `root-of-${name}`);

function mountRoot(directory: string, container: Container): string[] {
  const root = rootOf(directory, container);
  return [
    `mkdir ${root}`,
    `mount -t tmpfs tmpfs ${root}`,
    `mkdir -p ${root}/usr ${root}/proc`,
    `for link in bin lib lib64; do ln -s usr/$link ${root}/$link; done`,
    `mount --bind /usr ${root}/usr`,
    `mount -t proc proc ${root}/proc`,
    // the content of the image
    `mkdir -p ${root}/app ${root}/nodejs/bin`,
    `mount --bind ${resolve('dist')} ${root}/app`,
    `touch ${root}/nodejs/bin/node`,
    `mount --bind ${process.execPath} ${root}/nodejs/bin/node`,
    ...(container.volumeMounts ?? []).flatMap(({ name, mountPath, readOnly = false }) => [
      `mkdir -p ${root}${mountPath}`,
      `mount --bind ${join(directory, name)} ${root}${mountPath}`,
      ...(readOnly ? [`mount -o remount,bind,ro ${root}${mountPath}`] : []),
    ]),
    `mount -o remount,ro ${root}`,
  ];
}

/** The prefix of a command that runs in the container. The default group is 0. */
function inContainer(directory: string, container: Container, { securityContext: ofPod = {} }: PodSpec): string {
  const { runAsUser = ofPod.runAsUser, runAsGroup = ofPod.runAsGroup ?? 0 } = container.securityContext ?? {};
  if (runAsUser === undefined) throw new Error(`${container.name} has no user`);
  const { fsGroup, supplementalGroups = [] } = ofPod;
  const groups = [...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])];
  const variables = (container.env ?? []).map(({ name, value }) => `${name}=${value}`);
  return [
    `chroot ${rootOf(directory, container)} setpriv --reuid ${runAsUser} --regid ${runAsGroup}`,
    groups.length === 0 ? '--clear-groups' : `--groups ${groups.join()}`,
    '--no-new-privs --bounding-set=-all --inh-caps=-all env -i',
    ...variables,
  ].join(' ');
}
