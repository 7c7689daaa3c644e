// A workload in Kubernetes: the config, and the manifest of a pod with the sidecar.

import { isAtOidcPub } from '../core/hosts.ts';
import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';
import { configOf, type Given, IMAGE, issuerUrl, type Scenario, verification, yamlText } from './scenario.ts';

export const kubernetes: Scenario = {
  write(given) {
    const [issuer, namespace] = [issuerUrl(given), dnsLabel(given.optional('namespace', 'default'), 'namespace')];
    const account = dnsLabel(given.required('service-account'), 'service-account');
    const subject = `system:serviceaccount:${namespace}:${account}`;
    const config = configOf(given, {
      name: 'app',
      source: { file: { path: '/var/run/secrets/oidc/token' } },
      sinks: [{ file: { path: '/vault/token', mode: '0640' } }],
      expect: { issuer, audience: 'vault', subject },
      defaults: { mount: 'jwt', role: account, policy: `${account}-read`, secret: account, ttl: '1h' },
    });
    return {
      // The kubelet sends probes from outside the pod.
      config: { ...config, ops: { listen: '0.0.0.0:8276' } },
      issuerText: isAtOidcPub(issuer) ? clusterIssuer(issuer) : undefined,
      workloadText: podManifest(namespace, account, given),
    };
  },
};

/** Kubernetes names its objects so; the manifest and the policy contain the value as it is. @throws UsageError */
function dnsLabel(value: string, flag: string): string {
  if (/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new UsageError(`--${flag} must be lower-case letters, digits, "-" and "."`);
}

/** https://oidc.pub: in a cluster, the sync worker finds the API server without a setting. */
const clusterIssuer = (
  issuer: string,
): string => `# Kubernetes: put this flag before the API server's present --service-account-issuer. The server then signs
# JWTs as the new issuer, and still accepts JWTs of the old one
#   --service-account-issuer=${issuer}

# publish the issuer: a worker pushes its keys every 5 minutes. The file oidcpub.env holds OIDCPUB_SERVICE_ID=... and OIDCPUB_API_KEY=...
kubectl create secret generic oidcpub --from-env-file=oidcpub.env

kubectl create deployment oidcpub-sync --image=registry.gitlab.com/oidc.pub/cli:latest-sync

kubectl set env deployment/oidcpub-sync --from=secret/oidcpub

# check it: the first documents are public within a minute
${verification(issuer)}`;

const podManifest = (
  namespace: string,
  account: string,
  { file, version }: Given,
): string => `# the workload: the config as a ConfigMap, and the pod

kubectl create configmap vault-token-sidecar --namespace ${quoted(namespace)} --from-file=${quoted(`config.json=${file}`)}

kubectl apply -f - <<'YAML'
apiVersion: v1
kind: Pod
metadata:
  name: ${yamlText(account)}
  namespace: ${yamlText(namespace)}
spec:
  serviceAccountName: ${yamlText(account)}
  automountServiceAccountToken: false
  securityContext: { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: RuntimeDefault } }
  initContainers:
    - name: vault-token-sidecar
      image: ${IMAGE}:${version}
      restartPolicy: Always
      args: [run, --config, /etc/vault-token-sidecar/config.json]
      ports: [{ name: ops, containerPort: 8276 }]
      startupProbe: { httpGet: { path: /startupz, port: ops }, periodSeconds: 1, failureThreshold: 86400 }
      livenessProbe: { httpGet: { path: /livez, port: ops }, periodSeconds: 5, timeoutSeconds: 5, terminationGracePeriodSeconds: 5 }
      resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 128Mi } }
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
