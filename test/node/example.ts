// The example of deploy/kubernetes on the node, as a user would deploy it: an overlay that sets Vault's CA and the address of its
// name, and a real Vault, set up from the example's config.

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/temporary.ts';
import { openRealVault, type RealVault } from '../vault/real-vault.ts';
import type { KubernetesNode } from './node.ts';
import { ADDRESS } from './world.ts';

export const VAULT_NAME = 'vault.example.com';
export const VAULT_PORT = 8200;

export interface Config extends Record<string, unknown> {
  readonly vault: { address: string; tls?: object };
  readonly exchanges: { readonly app: Record<string, unknown> };
}

export type Change = (config: Config) => void;

export interface Example {
  readonly vault: RealVault;
  /** Applies the example with changes of its config. */
  apply(change?: Change): Promise<void>;
  applyJobs(): Promise<void>;
  /** The content of a ConfigMap with a changed config. */
  config(change: Change): Readonly<Record<string, string>>;
  /** The config of the example. */
  readConfig(): Config;
  /** Creates a ConfigMap with Vault's CA as ca.crt. */
  createCaMap(name: string): Promise<void>;
  /** Creates a role for the example's service account. */
  writeRole(name: string, changes?: object): Promise<unknown>;
  /** Makes Vault trust the cluster. */
  setup(): Promise<void>;
}

export async function openExample(t: TestContext, { kubernetes, publisher }: KubernetesNode): Promise<Example> {
  const directory = await temporaryDirectory(t);
  const file = (name: string, content: unknown) => {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
    return join(directory, name);
  };
  const { ca } = publisher;
  const { cert, key } = ca.issue({ name: VAULT_NAME });
  const [certFile, keyFile] = [file('vault.pem', cert), file('vault.key', key)];
  const tcp = { address: `0.0.0.0:${VAULT_PORT}`, tls_cert_file: certFile, tls_key_file: keyFile };
  const vault = await openRealVault(t, {
    environment: publisher.environment,
    port: VAULT_PORT,
    tls: { certFile, keyFile, caFile: ca.file, name: VAULT_NAME },
    config: { listener: [{ tcp }] },
  });
  const discovery = ['--clusterrole=system:service-account-issuer-discovery', '--group=system:unauthenticated'];
  kubernetes.kubectl(['create', 'clusterrolebinding', 'issuer', ...discovery]);
  const base = 'deploy/kubernetes/base';
  const read = (): Config => JSON.parse(readFileSync(join(base, 'config.json'), 'utf8'));
  const overlay = (resource: string, targets: readonly (readonly [kind: string, name: string])[], change: Change) => {
    const patches = targets.map(([kind, name]) => ({
      target: { kind, name },
      patch: JSON.stringify(patchOf(kind, name)),
    }));
    const configMapGenerator = [{ name: 'vault-token-sidecar', behavior: 'merge', files: ['config.json', 'ca.pem'] }];
    const { 'config.json': config = '', 'ca.pem': pem = '' } = configOf(change);
    file('config.json', config);
    file('ca.pem', pem);
    file('kustomization.yaml', {
      namespace: 'my-app',
      resources: [relative(directory, resource)],
      configMapGenerator,
      patches,
    });
    kubernetes.kubectl(['apply', '-k', directory]);
  };
  const configOf = (change: Change) => {
    const config = read();
    config.vault.tls = { ca_file: '/etc/vault-token-sidecar/ca.pem' };
    change(config);
    return { 'config.json': JSON.stringify(config), 'ca.pem': ca.cert };
  };
  const deployment = ['Deployment', 'my-app'] as const;
  return {
    vault,
    config: configOf,
    readConfig: read,
    async createCaMap(name) {
      kubernetes.kubectl(['create', 'configmap', name, `--from-literal=ca.crt=${ca.cert}`]);
    },
    async apply(change = () => {}) {
      overlay(base, [deployment], change);
    },
    async applyJobs() {
      overlay('deploy/kubernetes/jobs', [deployment, ['Job', 'migrate'], ['CronJob', 'rotate']], () => {});
    },
    writeRole: (name, changes = {}) =>
      vault.write(`auth/jwt/role/${name}`, {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: ['vault'],
        bound_subject: 'system:serviceaccount:my-app:my-app',
        ...changes,
      }),
    async setup() {
      const config = read();
      config.vault.address = vault.url;
      config.vault.tls = { ca_file: ca.file, server_name: VAULT_NAME };
      Object.assign(config.exchanges.app['setup'] as object, { trust: { oidc_discovery_ca_pem: ca.cert } });
      const setup = [
        'dist/vault-token-sidecar.mjs',
        'setup',
        '--config',
        file('setup.json', config),
        '--apply',
        '--yes',
      ];
      // asynchronously, since Vault fetches from the issuer through a proxy in this process
      await promisify(execFile)(process.execPath, setup, { env: { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root } });
    },
  };
}

/** What a user adds where Vault has a private CA and a name that the cluster's DNS lacks. */
function patchOf(kind: string, name: string) {
  const pod = {
    hostAliases: [{ ip: ADDRESS, hostnames: [VAULT_NAME] }],
    containers: [
      {
        name: kind === 'Deployment' ? 'app' : name,
        env: [{ name: 'VAULT_CACERT', value: '/etc/vault-token-sidecar/ca.pem' }],
        volumeMounts: [{ name: 'vault-token-sidecar', mountPath: '/etc/vault-token-sidecar', readOnly: true }],
      },
    ],
  };
  const template = { spec: { template: { spec: pod } } };
  return {
    apiVersion: kind === 'Deployment' ? 'apps/v1' : 'batch/v1',
    kind,
    metadata: { name },
    ...(kind === 'CronJob' ? { spec: { jobTemplate: template } } : template),
  };
}
