// A client of the node's API server for tests: objects as JSON, without the start of a kubectl for each look.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import type { Pod } from '../deploy/kubernetes-objects.ts';
import type { Kubernetes } from '../deploy/kubernetes-server.ts';
import { until } from '../support/settling.ts';

/** Longer than any pod needs on a busy machine. */
const WAIT_MS = 90_000;

export interface ContainerStatus {
  readonly name: string;
  readonly started?: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
}

interface ContainerState {
  readonly running?: { readonly startedAt: string };
  readonly terminated?: Ended;
}

export interface Ended {
  readonly exitCode: number;
  readonly reason: string;
  readonly finishedAt: string;
}

export interface StoredPod extends Pod {
  readonly metadata: Pod['metadata'] & { readonly name: string; readonly uid: string };
  readonly status: {
    readonly phase: string;
    /** why the whole pod failed */
    readonly reason?: string;
    readonly podIP?: string;
    readonly conditions?: readonly { type: string; status: string; lastTransitionTime: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export type Cluster = ReturnType<typeof openCluster>;

export function openCluster({ environment, podOf }: Kubernetes) {
  const { clusters, users } = JSON.parse(readFileSync(environment['KUBECONFIG'] ?? '', 'utf8'));
  const [{ cluster }, { user }] = [clusters[0], users[0]];
  const connect = {
    ca: readFileSync(cluster['certificate-authority'], 'utf8'),
    servername: cluster['tls-server-name'],
  };
  const dispatcher = new Agent({ connect });
  const headers = { authorization: `Bearer ${user.token}` };
  const ask = async <T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const { statusCode, body: reply } = await request(`${cluster.server}${path}`, {
      method,
      dispatcher,
      headers: { ...headers, 'content-type': type },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await reply.text();
    if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text}`);
    return JSON.parse(text) as T;
  };
  const pod = (name: string) => ask<StoredPod>('GET', `${PODS}/${name}`);
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const options = { env: environment, maxBuffer: 1 << 26 };
    return (await promisify(execFile)('kubectl', ['--namespace', 'my-app', ...args], options)).stdout;
  };
  const exec = (name: string, container: string, ...command: readonly string[]): Promise<string> =>
    kubectl('exec', name, '--container', container, '--', ...command);
  return {
    ask,
    kubectl,
    pod,
    /** The pods of a workload or another owner, by a label. */
    async pods(selector: string): Promise<readonly StoredPod[]> {
      const { items } = await ask<{ items: StoredPod[] }>(
        'GET',
        `${PODS}?labelSelector=${encodeURIComponent(selector)}`,
      );
      return items;
    },
    /** Waits for a pod's status. @returns the pod @throws Error with its status, if it doesn't get there */
    async untilPod(
      name: string,
      what: string,
      look: (pod: StoredPod) => boolean,
      limitMs = WAIT_MS,
    ): Promise<StoredPod> {
      let last: StoredPod | undefined;
      const found = async () => {
        last = await pod(name);
        return look(last) && last;
      };
      return until(`${name}: ${what}`, found, limitMs).catch((error) => {
        throw new Error(`${error.message}\n${JSON.stringify(last?.status, undefined, 1)}`);
      });
    },
    /** Creates a pod like the one of the example's Deployment. */
    create: (name: string, change: (pod: Pod) => Pod): Promise<StoredPod> => {
      const like = podOf('deployment/my-app');
      // without the labels that its Deployment selects
      const bare = { ...like, metadata: { name, labels: { test: name } } };
      return ask<StoredPod>('POST', PODS, change(bare));
    },
    /** A token of a service account for an hour. */
    async serviceAccountToken(name: string, audience: string): Promise<string> {
      const spec = { audiences: [audience], expirationSeconds: 3600 };
      const path = `/api/v1/namespaces/my-app/serviceaccounts/${name}/token`;
      return (await ask<{ status: { token: string } }>('POST', path, { spec })).status.token;
    },
    remove: (name: string): Promise<unknown> => ask('DELETE', `${PODS}/${name}`),
    patch: (name: string, change: unknown): Promise<unknown> => ask('PATCH', `${PODS}/${name}`, change),
    exec,
    /** The content of the token's file, as the pod's application reads it. */
    token: (name: string, file = 'token'): Promise<string> => exec(name, 'app', 'cat', `/vault/${file}`),
    /** Runs a command of the sidecar in its container. */
    command: (name: string, command: string): Promise<string> =>
      exec(name, SIDECAR, 'vault-token-sidecar', command, '--config', '/etc/vault-token-sidecar/config.json'),
    logs: (name: string, container: string): Promise<string> => kubectl('logs', name, '--container', container),
  };
}

export const PODS = '/api/v1/namespaces/my-app/pods';

export const SIDECAR = 'vault-token-sidecar';

export const sidecarOf = ({ status }: StoredPod): ContainerStatus | undefined =>
  status.initContainerStatuses?.find(({ name }) => name === SIDECAR);

export const appOf = ({ status }: StoredPod): ContainerStatus | undefined => status.containerStatuses?.[0];

export const isRunning = (pod: StoredPod): boolean => appOf(pod)?.state.running !== undefined;
