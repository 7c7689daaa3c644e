// The kustomize component in an overlay with different workloads, applied to the server by dry run.

import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '../support/temporary.ts';
import type { PodSpec } from './kubernetes-objects.ts';
import { type Kubernetes, templateOf, type Workload } from './kubernetes-server.ts';
import { container, INJECT, namesOf, restricted } from './kubernetes-workloads.ts';

export async function componentPatches(t: TestContext, kubernetes: Kubernetes): Promise<void> {
  const directory = await temporaryDirectory(t);
  const template = (spec: Partial<PodSpec> = {}) => ({ metadata: { labels: { app: 'a' } }, spec: restricted(spec) });
  const workload = (kind: string, name: string, spec: object, labels: object = INJECT) => {
    const apiVersion = kind.endsWith('Job') ? 'batch/v1' : 'apps/v1';
    return { apiVersion, kind, metadata: { name, labels }, spec };
  };
  const selector = { matchLabels: { app: 'a' } };
  const job = { template: template({ restartPolicy: 'Never' }) };
  const own = { initContainers: [container('own')], volumes: [{ name: 'own', emptyDir: {} }] };
  const items = [
    workload('Deployment', 'labelled', { selector, template: template(own) }),
    workload('Deployment', 'unlabelled', { selector, template: template() }, {}),
    workload('Deployment', 'grouped', {
      selector,
      template: template({ securityContext: { ...restricted().securityContext, supplementalGroups: [2000] } }),
    }),
    workload('StatefulSet', 'set', { selector, serviceName: 'set', template: template() }),
    workload('DaemonSet', 'daemons', { selector, template: template() }),
    workload('Job', 'once', job),
    workload('CronJob', 'daily', { schedule: '@daily', jobTemplate: { spec: job } }),
  ];
  const kustomization = {
    namespace: 'my-app',
    resources: ['workloads.json'],
    components: [relative(directory, 'deploy/kubernetes/component')],
    // as in the comment of the component's kustomization.yaml
    patches: [
      {
        target: { kind: 'Deployment', name: 'grouped' },
        patch: '- { op: add, path: /spec/template/spec/securityContext/supplementalGroups/-, value: 2000 }',
      },
    ],
    configMapGenerator: [{ name: 'vault-token-sidecar', files: ['config.json'] }],
  };
  cpSync('deploy/kubernetes/base/config.json', join(directory, 'config.json'));
  writeFileSync(join(directory, 'workloads.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  writeFileSync(join(directory, 'kustomization.yaml'), JSON.stringify(kustomization));
  const built = kubernetes.json<{ items: Workload[] }>(['apply', '--dry-run=server', '-k', directory]).items;
  const specOf = (name: string): PodSpec => {
    const found = built.find(({ kind, metadata }) => kind !== 'ConfigMap' && metadata.name === name);
    assert.ok(found, name);
    return templateOf(found).spec;
  };
  assert.deepEqual([specOf('unlabelled').initContainers, specOf('unlabelled').volumes], [undefined, undefined]);
  const { initContainers = [], volumes = [] } = specOf('labelled');
  assert.deepEqual(namesOf(initContainers), ['vault-token-sidecar', 'own']);
  assert.deepEqual(namesOf(volumes), ['vault-token-sidecar', 'vault-jwt', 'vault-token', 'own']);
  assert.deepEqual(specOf('grouped').securityContext?.supplementalGroups, [65532, 2000]);
  for (const name of ['set', 'daemons', 'once', 'daily']) {
    assert.deepEqual(specOf(name).initContainers, [initContainers[0]], name);
    assert.deepEqual(specOf(name).volumes, volumes.slice(0, 3), name);
    assert.deepEqual(specOf(name).securityContext?.supplementalGroups, [65532], name);
  }
}
