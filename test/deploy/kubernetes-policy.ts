// Tests of the admission policy by dry runs: which pods it changes, and how.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { until } from '../support/settling.ts';
import type { Pod, PodSpec } from './kubernetes-objects.ts';
import type { Kubernetes } from './kubernetes-server.ts';
import { container, INJECT, namesOf, podOf, RESTRICTED, restricted } from './kubernetes-workloads.ts';

/** Changes the policy's settings; null removes one. */
export function changeSettings(kubernetes: Kubernetes, data: Readonly<Record<string, string | null>>): void {
  const settings = ['configmap', 'vault-token-sidecar', '--namespace', 'vault-token-sidecar'];
  kubernetes.kubectl(['patch', ...settings, '--type', 'merge', '--patch', JSON.stringify({ data })]);
}

/** The environment of the pod's sidecar. */
const environmentOf = ({ spec }: Pod): Readonly<Record<string, string>> =>
  Object.fromEntries(spec.initContainers?.[0]?.env?.map(({ name, value }) => [name, value]) ?? []);

export async function policyInjects(t: TestContext, kubernetes: Kubernetes): Promise<void> {
  const inject = (spec: Partial<PodSpec> = {}, labels = {}) =>
    kubernetes.dryRun(podOf(restricted(spec), { ...INJECT, ...labels }));
  // a new policy or a change of its settings takes effect with a delay
  const bare = await until('the policy is in force', () => {
    const pod = inject();
    return pod.spec.initContainers !== undefined && pod;
  });

  await t.test('a pod with the label only, with the role of its service account', () => {
    assert.deepEqual(namesOf(bare.spec.initContainers), ['vault-token-sidecar']);
    assert.deepEqual(namesOf(bare.spec.volumes), ['vault-jwt', 'vault-token']);
    assert.equal(environmentOf(bare)['VTS_ROLE'], 'my-app');
  });
  await t.test('a pod with a security context on the container only, and with the default API token', () => {
    const app = container('app');
    const alone = { ...app, securityContext: { ...RESTRICTED, ...app.securityContext } };
    const { spec } = kubernetes.dryRun(
      podOf({ serviceAccountName: 'my-app', automountServiceAccountToken: true, containers: [alone] }, INJECT),
    );
    assert.deepEqual(spec.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath).sort(), [
      '/var/run/secrets/kubernetes.io/serviceaccount',
      '/vault',
    ]);
    assert.deepEqual(spec.securityContext, { supplementalGroups: [65532] });
  });
  await t.test('injects the same sidecar as the component', () => {
    const { args, env, volumeMounts, ...policy } = bare.spec.initContainers?.[0] ?? {};
    const {
      args: _,
      env: __,
      volumeMounts: ___,
      ...component
    } = kubernetes.dryRun(kubernetes.podOf('job/migrate')).spec.initContainers?.[0] ?? {};
    assert.deepEqual(policy, component);
  });
  await t.test('leaves pods without the label alone, and injects only once', () => {
    const plain = kubernetes.dryRun(podOf(restricted({})));
    assert.deepEqual([plain.spec.initContainers, plain.spec.volumes], [undefined, undefined]);
    const again = kubernetes.dryRun({ ...bare, metadata: { name: 'pod', labels: INJECT } });
    assert.deepEqual(again.spec, bare.spec);
  });
  await t.test('refuses pods with hostNetwork', async () => {
    // in a namespace without Pod Security, which would refuse it too
    kubernetes.kubectl(['create', 'namespace', 'open']);
    kubernetes.kubectl(['create', 'serviceaccount', 'my-app', '--namespace', 'open']);
    const create = (labels: Readonly<Record<string, string>>) =>
      kubernetes.kubectl(
        ['create', '--dry-run=server', '--namespace', 'open', '--filename', '-'],
        podOf(restricted({ hostNetwork: true }), labels),
      );
    create({});
    const refusal = /with hostNetwork every process of the node .*: remove hostNetwork/;
    await until('the policy is in force', () => {
      try {
        create(INJECT);
      } catch (error) {
        return refusal.test(String(error));
      }
      return false;
    });
  });
  await t.test("adds to the pod's own volumes, init containers, groups and mounts", () => {
    const mine = { name: 'mine', mountPath: '/vault' };
    const { spec } = inject({
      containers: [container('app'), { ...container('other'), volumeMounts: [mine] }],
      initContainers: [container('first'), { ...container('second'), volumeMounts: [{ ...mine, mountPath: '/data' }] }],
      volumes: [{ name: 'mine', emptyDir: {} }],
      securityContext: { ...restricted({}).securityContext, fsGroup: 7, supplementalGroups: [8] },
    });
    assert.deepEqual(namesOf(spec.initContainers), ['vault-token-sidecar', 'first', 'second']);
    assert.deepEqual(namesOf(spec.volumes), ['mine', 'vault-jwt', 'vault-token']);
    const mounts = [...spec.containers, ...(spec.initContainers ?? []).slice(1)].map(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name, mountPath, readOnly = false }) => `${name} ${mountPath}${readOnly ? ' ro' : ''}`),
    );
    const token = 'vault-token /vault ro';
    assert.deepEqual(mounts, [[token], ['mine /vault'], [token], ['mine /data', token]]);
    for (const mountPath of ['/vault/', '/vault/config']) {
      const below = inject({
        containers: [{ ...container('app'), volumeMounts: [{ name: 'mine', mountPath }] }],
        volumes: [{ name: 'mine', emptyDir: {} }],
      });
      assert.deepEqual(
        below.spec.containers[0]?.volumeMounts?.map((mount) => mount.mountPath),
        [mountPath],
      );
    }
    assert.deepEqual([spec.securityContext?.fsGroup, spec.securityContext?.supplementalGroups], [7, [8, 65532]]);
  });
  await t.test('labels override settings', async () => {
    const set = {
      VTS_ROLE: 'all',
      VTS_MOUNT: 'k8s/prod',
      VTS_ISSUER: 'https://k8s-prod.oidc.pub',
      VTS_OPS_LISTEN: '[::]:8276',
      cpu_limit: '500m',
      VAULT_NAMESPACE: 'team',
      ca_config_map: 'vault-ca',
    };
    changeSettings(kubernetes, set);
    const pod = await until('the settings are known', () => {
      const seen = inject();
      return environmentOf(seen)['VTS_ROLE'] === 'all' && seen;
    });
    const { ca_config_map: _, cpu_limit: cpu, ...variables } = set;
    assert.partialDeepStrictEqual(environmentOf(pod), { ...variables, VAULT_CACERT: '/var/run/secrets/oidc/ca.crt' });
    assert.deepEqual(pod.spec.initContainers?.[0]?.resources?.limits, { cpu, memory: '128Mi' });
    const own = inject(
      {},
      { 'vault-token-sidecar.oidc.pub/role': 'mine', 'vault-token-sidecar.oidc.pub/mount': 'jwt2' },
    );
    assert.deepEqual([environmentOf(own)['VTS_ROLE'], environmentOf(own)['VTS_MOUNT']], ['mine', 'jwt2']);
    changeSettings(kubernetes, Object.fromEntries(Object.keys(set).map((name) => [name, null])));
  });
  await t.test('empty settings and labels are treated as unset', async () => {
    const empty = { VTS_ROLE: '', VTS_MOUNT: '', VTS_OPS_LISTEN: '', audience: '', cpu_limit: '', ca_config_map: '' };
    changeSettings(kubernetes, { ...empty, VTS_LOG_LEVEL: 'debug' });
    const pod = await until('the settings are known', () => {
      const seen = inject({}, { 'vault-token-sidecar.oidc.pub/role': '', 'vault-token-sidecar.oidc.pub/mount': '' });
      return environmentOf(seen)['VTS_LOG_LEVEL'] === 'debug' && seen;
    });
    const { VTS_LOG_LEVEL: _, ...environment } = environmentOf(pod);
    assert.deepEqual(environment, environmentOf(bare));
    assert.deepEqual(pod.spec.volumes, bare.spec.volumes);
    assert.deepEqual(pod.spec.initContainers?.[0]?.resources, bare.spec.initContainers?.[0]?.resources);
    const settings = Object.fromEntries(Object.keys(empty).map((name) => [name, null]));
    changeSettings(kubernetes, { ...settings, audience: 'vault', VTS_LOG_LEVEL: null });
  });
  for (const address of [null, ''])
    await t.test(`refuses pods if the address is ${JSON.stringify(address)}`, () => refusedWith(address));

  async function refusedWith(address: string | null): Promise<void> {
    changeSettings(kubernetes, { VAULT_ADDR: address });
    const refusal = await until('a refusal', () => {
      try {
        inject();
      } catch (error) {
        return String(error);
      }
      return undefined;
    });
    assert.match(refusal, /vault-token-sidecar.*(VAULT_ADDR|address)/s);
    kubernetes.dryRun(podOf(restricted({})));
    changeSettings(kubernetes, { VAULT_ADDR: 'https://vault.example.com:8200' });
  }
}
