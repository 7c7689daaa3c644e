// A Kubernetes node in the world that run.ts makes: API server, kubelet, scheduler, controllers and containerd, with the images
// of the sidecar and of an application, and a Vault that pods reach as https://vault.example.com:8200.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { type Kubernetes, kubernetesProgram, openKubernetes } from '../deploy/kubernetes-server.ts';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { openPublisher, type Publisher } from '../vault/publisher.ts';
import { APP_IMAGE, appImage } from './app-image.ts';
import { containerd } from './parts.ts';
import { ADDRESS } from './world.ts';

export interface KubernetesNode {
  readonly kubernetes: Kubernetes;
  readonly publisher: Publisher;
  /** Gives a container image another name. */
  tagImage(image: string, name: string): Promise<void>;
  stopKubelet(): Promise<void>;
  startKubelet(): void;
  /** Replaces kubelet, which then renews the service account tokens of all pods. */
  restartKubelet(): Promise<void>;
}

const NODE = 'system:node:node1';
const MANAGER = 'system:kube-controller-manager';
const SCHEDULER = 'system:kube-scheduler';
const CONTROLLERS = ['deployment', 'replicaset', 'job', 'cronjob', 'garbage-collector', 'node-lifecycle'];
const SOCKET = '/run/containerd/containerd.sock';

export async function openNode(t: TestContext): Promise<KubernetesNode> {
  const { NODE_STATE: state = '', SIDECAR_IMAGE: sidecar = '' } = process.env;
  if (state === '') throw new Error('start this with npm run test:node');
  const file = (name: string, content: string) => {
    mkdirSync(join(state, name, '..'), { recursive: true });
    writeFileSync(join(state, name), content);
    return join(state, name);
  };
  const program = (command: string, args: readonly string[]) => startProgram(t, state, command, args);
  const publisher = await openPublisher(t);
  file('cni/node.conflist', JSON.stringify(NETWORK));
  program(join(containerd(), 'containerd'), ['--config', file('containerd.toml', containerdConfig(state))]);
  const images = importImages([sidecar, appImage()]);
  const kubernetes = await openKubernetes(t, publisher, {
    flags: [
      '--authorization-mode=Node',
      '--enable-admission-plugins=NodeRestriction',
      '--kubelet-preferred-address-types=InternalIP',
    ],
    // the controllers share one user, who needs the rights of all of them
    users: { [NODE]: ['system:nodes'], [MANAGER]: ['system:masters'], [SCHEDULER]: [] },
  });
  await images;
  const single = ['--leader-elect=false', '--authentication-skip-lookup=true'];
  const kubeconfig = (user: string) => `--kubeconfig=${kubernetes.kubeconfigOf(user)}`;
  program(kubernetesProgram('kube-scheduler'), [kubeconfig(SCHEDULER), ...single]);
  const these = `--controllers=${CONTROLLERS.map((name) => `${name}-controller`)}`;
  program(kubernetesProgram('kube-controller-manager'), [kubeconfig(MANAGER), these, ...single]);
  const kubeletFlags = [
    kubeconfig(NODE),
    `--config=${file('kubelet.json', JSON.stringify(kubeletConfig(state)))}`,
    '--hostname-override=node1',
    `--node-ip=${ADDRESS}`,
  ];
  const runKubelet = () => program(kubernetesProgram('kubelet'), kubeletFlags);
  let kubelet = runKubelet();
  const startKubelet = () => {
    kubelet = runKubelet();
  };
  const stopKubelet = async () => {
    const gone = once(kubelet, 'exit');
    kubelet.kill('SIGTERM');
    await gone;
  };
  await until('the node is ready', () => isReady(kubernetes), 120_000);
  return {
    kubernetes,
    publisher,
    tagImage: (image, name) => ctr('images', 'tag', image, name),
    stopKubelet,
    startKubelet,
    async restartKubelet() {
      await stopKubelet();
      startKubelet();
    },
  };
}

/** Starts a program until the end of the test, with its output in a file beside its state. */
function startProgram(t: TestContext, state: string, command: string, args: readonly string[]): ChildProcess {
  const log = openSync(
    join(
      state,
      `${command
        .split('/')
        .at(-1)
        ?.replace(/-[0-9a-f]{16}$/, '')}.log`,
    ),
    'a',
  );
  const PATH = `${containerd()}:${process.env['PATH']}`;
  const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, PATH } });
  const gone = once(child, 'exit');
  scopeOf(t).after(() => child.kill('SIGKILL') && gone);
  return child;
}

/** Runs containerd's client on the images of Kubernetes. */
const ctr = async (...args: readonly string[]): Promise<void> =>
  void (await promisify(execFile)(join(containerd(), 'ctr'), ['--namespace', 'k8s.io', ...args]));

async function importImages(archives: readonly string[]): Promise<void> {
  const answers = () =>
    ctr('version').then(
      () => true,
      () => false,
    );
  await until('containerd answers', answers, 60_000);
  await Promise.all(archives.map((archive) => ctr('images', 'import', archive)));
}

function isReady(kubernetes: Kubernetes): boolean {
  const { items } = kubernetes.json<{ items: { status: { conditions?: { type: string; status: string }[] } }[] }>([
    'get',
    'nodes',
  ]);
  return items.some(({ status }) =>
    status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
}

const containerdConfig = (state: string): string => `
version = 2
root = "${state}/containerd"
state = "/run/containerd"
[grpc]
address = "${SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${APP_IMAGE}"
# a lower score needs a capability that containers of CI lack
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${state}/cni"
`;

const NETWORK = {
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'node0',
      isGateway: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.66.0.0/24', rangeStart: '10.66.0.10', gateway: ADDRESS }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
};

const kubeletConfig = (state: string) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  containerRuntimeEndpoint: `unix://${SOCKET}`,
  cgroupRoot: '/vault-token-sidecar-node',
  cgroupDriver: 'cgroupfs',
  failCgroupV1: false,
  failSwapOn: false,
  makeIPTablesUtilChains: false,
  oomScoreAdj: 0,
  podLogsDir: '/var/log/pods',
  volumePluginDir: join(state, 'plugins'),
  // its port is reachable in this world only
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  // how often kubelet looks at the size of volumes
  volumeStatsAggPeriod: '5s',
  // the machine's disk may be nearly full
  imageGCHighThresholdPercent: 100,
  evictionHard: {
    'memory.available': '0%',
    'nodefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.available': '0%',
  },
});
