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

const VAULT_NAME = 'vault.example.com';
const PORT = 8200;

export interface Example {
  readonly vault: RealVault;
  /** Applies the example with changes of its config. */
  apply(change?: (config: Record<string, unknown>) => void): Promise<void>;
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
  const tcp = { address: `0.0.0.0:${PORT}`, tls_cert_file: certFile, tls_key_file: keyFile };
  const vault = await openRealVault(t, {
    environment: publisher.environment,
    port: PORT,
    tls: { certFile, keyFile, caFile: ca.file, name: VAULT_NAME },
    config: { listener: [{ tcp }] },
  });
  const discovery = ['--clusterrole=system:service-account-issuer-discovery', '--group=system:unauthenticated'];
  kubernetes.kubectl(['create', 'clusterrolebinding', 'issuer', ...discovery]);
  const base = 'deploy/kubernetes/base';
  const read = () => JSON.parse(readFileSync(join(base, 'config.json'), 'utf8'));
  file('ca.pem', ca.cert);
  file('kustomization.yaml', {
    namespace: 'my-app',
    resources: [relative(directory, base)],
    configMapGenerator: [{ name: 'vault-token-sidecar', behavior: 'merge', files: ['config.json', 'ca.pem'] }],
    patches: [{ patch: JSON.stringify(PATCH) }],
  });
  return {
    vault,
    async apply(change = () => {}) {
      const config = read();
      config.vault.tls = { ca_file: '/etc/vault-token-sidecar/ca.pem' };
      change(config);
      file('config.json', config);
      kubernetes.kubectl(['apply', '-k', directory]);
    },
    async setup() {
      const config = read();
      config.vault.address = vault.url;
      config.vault.tls = { ca_file: ca.file, server_name: VAULT_NAME };
      config.exchanges.app.setup.trust = { oidc_discovery_ca_pem: ca.cert };
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

/** What a user adds where Vault has a private CA and no name in the cluster's DNS. */
const PATCH = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'my-app' },
  spec: {
    template: {
      spec: {
        hostAliases: [{ ip: ADDRESS, hostnames: [VAULT_NAME] }],
        containers: [
          {
            name: 'app',
            env: [{ name: 'VAULT_CACERT', value: '/etc/vault-token-sidecar/ca.pem' }],
            volumeMounts: [{ name: 'vault-token-sidecar', mountPath: '/etc/vault-token-sidecar', readOnly: true }],
          },
        ],
      },
    },
  },
};
