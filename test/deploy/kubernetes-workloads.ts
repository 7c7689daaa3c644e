// Workloads for tests: a pod that passes restricted Pod Security, with a test's changes.

import type { Container, Pod, PodSpec } from './kubernetes-objects.ts';

/** The label that requests the sidecar. */
export const INJECT = { 'vault-token-sidecar.oidc.pub/inject': 'true' };

export const podOf = (spec: PodSpec, labels: Readonly<Record<string, string>> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'pod', labels },
  spec,
});

export const restricted = (spec: Partial<PodSpec> = {}): PodSpec => ({
  serviceAccountName: 'my-app',
  containers: [container('app')],
  ...spec,
  securityContext: { ...RESTRICTED, ...spec.securityContext },
});

export const RESTRICTED = { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } };

export function container(name: string): Container {
  return {
    name,
    image: 'app',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
}

export const namesOf = (list: readonly { readonly name: string }[] = []): readonly string[] =>
  list.map(({ name }) => name);
