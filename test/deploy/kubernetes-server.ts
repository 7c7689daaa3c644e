// A real API server with its own etcd, and kubectl as its administrator. It issues service account tokens as
// https://k8s-prod.oidc.pub, and serves that name through the publisher's proxy. There is no kubelet and no controller:
// workloads and pods are only stored, unless a test starts those too.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { reservePort } from '../support/ports.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian, goBuild, goInstall } from '../support/tools.ts';
import type { Publisher } from '../vault/publisher.ts';
import type { Pod } from './kubernetes-objects.ts';
import { MODULE } from './kubernetes-schemas.ts';

const ISSUER = 'https://k8s-prod.oidc.pub';

/** Without this, the API server has no version, and kubectl reports a version skew. */
const VERSION = 'k8s.io/component-base/version';
const FLAGS = [`-ldflags=-s -w -X ${VERSION}.gitVersion=v1.37.2 -X ${VERSION}.gitMajor=1 -X ${VERSION}.gitMinor=37`];

export const kubernetesProgram = (name: string): string => goBuild(MODULE, `k8s.io/kubernetes/cmd/${name}`, FLAGS);

export const kustomizeProgram = (): string => goInstall('sigs.k8s.io/kustomize/kustomize/v5', 'v5.8.2');

export interface Kubernetes {
  /** environment variables for a shell in which `kubectl` and `kustomize` are these programs */
  readonly environment: NodeJS.ProcessEnv;
  /** Runs kubectl with a manifest, as text or as an object, and returns its output. @throws Error on errors and warnings */
  kubectl(args: readonly string[], input?: unknown): string;
  /** The same, with parsed JSON output. */
  json<T>(args: readonly string[], input?: unknown): T;
  /** Creates the pod by dry run, and returns it as the server would store it. @throws Error if it is refused */
  dryRun(pod: Pod | string): Pod;
  /** The pod that a controller would create for a workload, such as deployment/my-app. */
  podOf(workload: string): Pod;
  /** The service account token that kubelet would put into the pod's volume. */
  tokenFor(pod: Pod): string;
  /** Writes a kubeconfig for one of the users, and returns its path. */
  kubeconfigOf(user: string): string;
}

export interface ServerOptions {
  /** further flags of the API server */
  readonly flags?: readonly string[];
  /** the groups of further users, by the user's name, which is also the user's token */
  readonly users?: Readonly<Record<string, readonly string[]>>;
}

/** The namespace of all test objects. */
const NAMESPACE = 'my-app';

export interface Workload {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly template?: Pod; readonly jobTemplate?: Workload };
}

export function templateOf({ kind, spec, metadata }: Workload): Pod {
  const template = spec.template ?? spec.jobTemplate?.spec.template;
  if (template === undefined) throw new Error(`a ${kind} has no pods`);
  return { ...template, apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name: metadata.name } };
}

export async function openKubernetes(
  t: TestContext,
  publisher: Publisher,
  options: ServerOptions = {},
): Promise<Kubernetes> {
  const directory = await temporaryDirectory(t);
  const { server, kubeconfigOf } = await startServer(t, directory, { publisher, ...options });
  symlinkSync(kubernetesProgram('kubectl'), join(directory, 'kubectl'));
  symlinkSync(kustomizeProgram(), join(directory, 'kustomize'));
  const PATH = `${directory}:${process.env['PATH']}`;
  // kubectl's caches are in HOME
  const environment = { ...process.env, PATH, KUBECONFIG: kubeconfigOf('admin'), HOME: directory };
  const ask = (args: readonly string[], manifest: unknown = '') => {
    const input = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    return spawnSync('kubectl', args, { env: environment, encoding: 'utf8', input });
  };
  const kubectl = (args: readonly string[], input?: unknown): string => {
    const { status, stdout, stderr } = ask(['--namespace', NAMESPACE, ...args], input);
    if (status !== 0 || stderr !== '') throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const json = <T>(args: readonly string[], input?: unknown): T =>
    JSON.parse(kubectl([...args, '--output', 'json'], input)) as T;
  const ready = () => {
    if (server.exitCode !== null) throw new Error(`the API server ended: ${server.exitCode}`);
    return ask(['get', '--raw', '/readyz']).stdout === 'ok';
  };
  await until('the API server is ready', ready, 60_000);
  return {
    environment,
    kubectl,
    json,
    kubeconfigOf,
    dryRun: (pod) => json(['create', '--dry-run=server', '--filename', '-'], pod),
    podOf: (workload) => templateOf(json(['get', workload])),
    tokenFor({ spec }) {
      const [source] = spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []) ?? [];
      const { audience, expirationSeconds } = source?.serviceAccountToken ?? { audience: '', expirationSeconds: 0 };
      const wish = ['--audience', audience, '--duration', `${expirationSeconds}s`];
      return kubectl(['create', 'token', spec.serviceAccountName ?? '', ...wish]).trim();
    },
  };
}

async function startServer(
  t: TestContext,
  directory: string,
  { publisher: { ca, lead }, flags = [], users = {} }: ServerOptions & { publisher: Publisher },
) {
  debian('etcd-server');
  const file = (name: string, content: string): string => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return join(directory, name);
  };
  const [etcd, peers, port] = [await reservePort(), await reservePort(), await reservePort()];
  const storage = `http://127.0.0.1:${etcd}`;
  start(t, 'etcd', [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${storage}`,
    `--advertise-client-urls=${storage}`,
    `--listen-peer-urls=http://127.0.0.1:${peers}`,
    '--log-level=error',
  ]);
  const { hostname } = new URL(ISSUER);
  const serving = ca.issue({ name: hostname });
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = file('signing.key', signing.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const server = start(t, kubernetesProgram('kube-apiserver'), [
    `--etcd-servers=${storage}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    `--tls-cert-file=${file('serving.pem', serving.cert)}`,
    `--tls-private-key-file=${file('serving.key', serving.key)}`,
    `--service-account-issuer=${ISSUER}`,
    `--service-account-jwks-uri=${ISSUER}/openid/v1/jwks`,
    `--service-account-signing-key-file=${key}`,
    `--service-account-key-file=${key}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=RBAC',
    `--token-auth-file=${file('tokens.csv', tokenFile({ admin: ['system:masters'], ...users }))}`,
    `--cert-dir=${directory}`,
    ...flags,
  ]);
  lead(hostname, port);
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'tls-server-name': hostname,
    'certificate-authority': file('ca.pem', ca.cert),
  };
  const kubeconfigOf = (user: string) => {
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: user, user: { token: user } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user } }],
      'current-context': 'test',
    };
    return file(`${user.replaceAll(':', '-')}.kubeconfig`, JSON.stringify(kubeconfig));
  };
  return { server, kubeconfigOf };
}

/** A line for each user: token, name, id, groups. */
const tokenFile = (users: Readonly<Record<string, readonly string[]>>): string =>
  Object.entries(users)
    .map(([name, groups]) => `${name},${name},${name},"${groups.join()}"\n`)
    .join('');

function start(t: TestContext, command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', process.env['VERBOSE'] ? 'inherit' : 'ignore'] });
  const gone = once(child, 'exit');
  t.after(() => child.kill('SIGKILL') && gone);
  return child;
}
