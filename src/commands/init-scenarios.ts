// The scenarios of `init`. Each one writes a config, and prints the manifest, job or commands of the platform.

import type { ConfigFile } from '../config/schema.ts';
import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';

export interface Scenario {
  /** the flags of this scenario only */
  readonly flags: readonly string[];
  write(given: Given): { readonly config: ConfigFile; readonly platformText: string };
}

export interface Given {
  /** the path of the config */
  readonly file: string;
  /** of the sidecar, for the image's tag */
  readonly version: string;
  /** @throws UsageError if the flag is missing */
  required(flag: string): string;
  optional(flag: string, fallback: string): string;
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kubernetes: {
    flags: ['namespace', 'service-account'],
    write(given) {
      const [issuer, namespace] = [issuerUrl(given), given.optional('namespace', 'default')];
      const account = given.required('service-account');
      const subject = `system:serviceaccount:${namespace}:${account}`;
      const config = configOf(given, {
        name: 'app',
        source: { file: { path: '/var/run/secrets/oidc/token' } },
        sinks: [{ file: { path: '/vault/token', mode: '0640' } }],
        expect: { issuer, audience: 'vault', subject },
        defaults: { role: 'k8s-workload', policy: 'app-read' },
      });
      // The kubelet sends probes from outside the pod.
      return {
        config: { ...config, ops: { listen: '0.0.0.0:8276' } },
        platformText: podManifest(namespace, account, given),
      };
    },
  },
  gitlab: {
    flags: ['project', 'ref', 'ref-type'],
    write(given) {
      const issuer = issuerUrl(given);
      const [project, ref, refType] = [
        given.required('project'),
        given.optional('ref', 'main'),
        given.optional('ref-type', 'branch'),
      ];
      const config = configOf(given, {
        name: 'ci',
        source: { env: { name: 'VAULT_ID_TOKEN' } },
        sinks: [{ file: { path: '/tmp/vault/vault.env', format: 'env' } }],
        expect: { issuer, audience: issuer, subject: `project_path:${project}:ref_type:${refType}:ref:${ref}` },
        defaults: { role: 'gitlab-main', policy: 'ci-read' },
      });
      return { config, platformText: gitlabJob(issuer, given) };
    },
  },
  vault: {
    flags: ['entity-id', 'source-address'],
    write(given) {
      const published = issuerUrl(given).replace(/\/(?:v1\/identity\/oidc\/?)?$/, '');
      // Vault appends this path to the issuer of identity/oidc/config in "iss".
      const issuer = `${published}/v1/identity/oidc`;
      const config = configOf(given, {
        name: 'federated',
        source: {
          vault_identity: {
            address: given.required('source-address'),
            token_file: '/run/vault-source/token',
            role: 'federation',
          },
        },
        sinks: [{ file: { path: '/run/vault/token' } }],
        expect: { issuer, audience: 'vault', subject: given.required('entity-id') },
        defaults: { role: 'external-vault', policy: 'vault-federation' },
      });
      return { config, platformText: issuingVault(published, given.required('source-address')) };
    },
  },
};

/** Returns the issuer's URL. A bare name stands for an issuer at oidc.pub. @throws UsageError */
function issuerUrl(given: Given): string {
  const issuer = given.required('issuer');
  if (/^https?:/i.test(issuer)) return issuer;
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(issuer))
    throw new UsageError('--issuer must be a name such as k8s-prod, or a URL');
  return `https://${issuer}.oidc.pub`;
}

type ExchangeFile = ConfigFile['exchanges'][string];

interface Wish extends Required<Pick<ExchangeFile, 'source' | 'sinks' | 'expect'>> {
  readonly name: string;
  readonly defaults: { readonly role: string; readonly policy: string };
}

function configOf(given: Given, { name, source, sinks, expect, defaults }: Wish): ConfigFile {
  const login = { mount: given.optional('mount', 'jwt'), role: given.optional('role', defaults.role) };
  const setup = { role: { token_policies: [given.optional('policy', defaults.policy)], token_ttl: '1h' } };
  return {
    vault: { address: given.required('vault-address') },
    exchanges: { [name]: { source, login, expect, sinks, setup } },
  };
}

const podManifest = (
  namespace: string,
  account: string,
  { file, version }: Given,
): string => `# Kubernetes: the config as a ConfigMap, and the pod

kubectl create configmap vault-token-sidecar --namespace ${quoted(namespace)} --from-file=${quoted(`config.json=${file}`)}

kubectl apply -f - <<'YAML'
apiVersion: v1
kind: Pod
metadata:
  name: ${account}
  namespace: ${namespace}
spec:
  serviceAccountName: ${account}
  automountServiceAccountToken: false
  securityContext: { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: RuntimeDefault } }
  initContainers:
    - name: vault-token-sidecar
      image: ghcr.io/oidc-pub/vault-token-sidecar:${version}
      restartPolicy: Always
      args: [run, --config, /etc/vault-token-sidecar/config.json]
      ports: [{ name: ops, containerPort: 8276 }]
      startupProbe: { httpGet: { path: /startupz, port: ops }, periodSeconds: 1, failureThreshold: 86400 }
      livenessProbe: { httpGet: { path: /livez, port: ops } }
      resources: { requests: { cpu: 10m, memory: 64Mi }, limits: { memory: 160Mi } }
      securityContext:
        runAsUser: 65532
        runAsGroup: 65532
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: vault-token-sidecar, mountPath: /etc/vault-token-sidecar, readOnly: true }
        - { name: vault-jwt, mountPath: /var/run/secrets/oidc, readOnly: true }
        - { name: vault-token, mountPath: /vault }
  containers:
    - name: app
      image: app # your image, which reads /vault/token
      securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
      volumeMounts: [{ name: vault-token, mountPath: /vault, readOnly: true }]
  volumes:
    - name: vault-token-sidecar
      configMap: { name: vault-token-sidecar }
    - name: vault-jwt
      projected: { sources: [{ serviceAccountToken: { path: token, audience: vault, expirationSeconds: 3600 } }] }
    - name: vault-token
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
YAML`;

const gitlabJob = (audience: string, given: Given): string => `# GitLab: a job for .gitlab-ci.yml
#
# deploy:
#   id_tokens:
#     VAULT_ID_TOKEN: { aud: ${audience} }
#   variables:
#     VAULT_ADDR: ${given.required('vault-address')}
#   script:
#     - mkdir -m 700 /tmp/vault
#     - vault-token-sidecar once --config ${quoted(given.file)}
#     - export $(cat /tmp/vault/vault.env)
#     - vault kv get secret/app`;

const issuingVault = (
  issuer: string,
  address: string,
): string => `# the issuing Vault: its issuer, a key, a role, and the policy to request identity tokens

export VAULT_ADDR=${quoted(address)}

vault write identity/oidc/config issuer=${quoted(issuer)}

vault write identity/oidc/key/federation allowed_client_ids=vault algorithm=ES256

vault write identity/oidc/role/federation key=federation client_id=vault ttl=10m

# the token in /run/vault-source/token needs an entity and this policy
vault policy write federation - <<'POLICY'
path "identity/oidc/token/federation" { capabilities = ["read"] }
POLICY`;
