// What init prints beside Vault's setup: the pod, the CI job, the commands for an issuing Vault and for oidc.pub.

import { quoted } from '../setup/text.ts';
import { isAtOidcPub } from '../setup/trust.ts';
import type { Given } from './init-scenarios.ts';

/** Returns the path that Vault appends to its issuer in "iss", and below which it serves its documents. */
export const identityPath = (namespace: string): string =>
  `/v1/${namespace === '' ? '' : `${namespace}/`}identity/oidc`;

export const podManifest = (
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

export const gitlabJob = (audience: string, given: Given): string => `# GitLab: a job for .gitlab-ci.yml
#
# deploy:
#   image: ghcr.io/oidc-pub/vault-token-sidecar:${given.version}-shell
#   id_tokens:
#     VAULT_ID_TOKEN: { aud: ${audience} }
#   variables:
#     VAULT_ADDR: ${given.required('vault-address')}
#   script:
#     - mkdir -p -m 700 /tmp/vault
#     - vault-token-sidecar once --config ${quoted(given.file)}
#     - export "$(cat /tmp/vault/vault.env)"
#     - ./deploy.sh # your commands, with VAULT_ADDR and VAULT_TOKEN set`;

interface IssuingVault {
  /** the issuer of identity/oidc/config */
  readonly published: string;
  /** the "iss" of the identity tokens */
  readonly issuer: string;
  readonly address: string;
  /** empty: none */
  readonly namespace: string;
}

export function issuingVault({ published, issuer, address, namespace }: IssuingVault): string {
  const where = namespace === '' ? '' : ` -namespace=${quoted(namespace)}`;
  const source = `${address}${identityPath(namespace)}`;
  return `# the issuing Vault: its issuer, a key, a role, and the policy to request identity tokens.
# Run this first, in a shell of its own: it sets VAULT_ADDR

export VAULT_ADDR=${quoted(address)}

# this changes "iss" for every consumer of this Vault's identity tokens, to ${issuer}
vault write${where} identity/oidc/config issuer=${quoted(published)}

vault write${where} identity/oidc/key/federation allowed_client_ids=vault algorithm=ES256

vault write${where} identity/oidc/role/federation key=federation client_id=vault ttl=10m

# the token in /run/vault-source/token needs this policy, and an entity: tokens of logins have one, root tokens have none
vault policy write${where} federation - <<'POLICY'
path "identity/oidc/token/federation" { capabilities = ["read"] }
POLICY${isAtOidcPub(published) ? `\n\n${publishing(published, source)}` : ''}`;
}

/** https://oidc.pub: the sync worker pushes the issuer's documents once. */
const publishing = (published: string, source: string): string => `# publish the issuer, and check it
docker run --rm -e OIDC_SOURCE_URL=${quoted(source)} \\
  -e OIDCPUB_SERVICE_ID -e OIDCPUB_API_KEY registry.gitlab.com/oidc.pub/cli:latest-sync --once

curl -sf ${quoted(`${published}/.well-known/openid-configuration`)}

curl -sf ${quoted(`${published}/.well-known/jwks.json`)}`;
