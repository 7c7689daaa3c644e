// deploy/kubernetes: built by kustomize, validated against Kubernetes' schemas, then applied to a real API server.
// test/node runs the pods.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readmeCommands } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { openPublisher } from '../vault/publisher.ts';
import { componentPatches } from './kubernetes-component.ts';
import type { Pod } from './kubernetes-objects.ts';
import { policyInjects } from './kubernetes-policy.ts';
import { kubeconform } from './kubernetes-schemas.ts';
import { type Kubernetes, kustomizeProgram, openKubernetes } from './kubernetes-server.ts';
import { podOf } from './kubernetes-workloads.ts';

const HERE = 'deploy/kubernetes';

/** Changes of yamllint's defaults. */
const YAML_RULES = [
  'line-length: {max: 130}',
  'document-start: disable',
  'braces: {min-spaces-inside: 1, max-spaces-inside: 1}',
  'comments: {min-spaces-from-content: 1}',
  'comments-indentation: disable',
];

test("the manifests pass yamllint and Kubernetes' schemas", async (t) => {
  debian('yamllint');
  const config = `{extends: default, ignore: [deploy/helm/], rules: {${YAML_RULES.join()}}}`;
  const { status, stdout } = spawnSync('yamllint', ['--strict', '-d', config, 'deploy'], { encoding: 'utf8' });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: '' });
  const directory = await temporaryDirectory(t);
  for (const part of ['base', 'jobs', 'policy'])
    writeFileSync(join(directory, `${part}.yaml`), execFileSync(kustomizeProgram(), ['build', join(HERE, part)]));
  kubeconform(join(HERE, 'base'), join(HERE, 'jobs'), join(HERE, 'policy'), directory);
  const misspelt = join(directory, 'base.yaml');
  writeFileSync(misspelt, readFileSync(misspelt, 'utf8').replaceAll('readOnly: true', 'readonly: true'));
  assert.throws(() => kubeconform(misspelt), /additional properties 'readonly' not allowed/);
});

test('each image has the version of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  for (const file of ['base/app.yaml', 'component/workload.yaml', 'component/cronjob.yaml', 'policy/defaults.yaml']) {
    const images = readFileSync(join(HERE, file), 'utf8').matchAll(/image: .*\/vault-token-sidecar:(.*)/g);
    assert.deepEqual(
      [...images].map(([, tag]) => tag),
      [version],
      file,
    );
  }
});

test('one line of a kustomization names the image in all its pods', async (t) => {
  const directory = await temporaryDirectory(t);
  cpSync(HERE, directory, { recursive: true });
  for (const part of ['base', 'jobs']) {
    const file = join(directory, part, 'kustomization.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^ +newName: .*/m, '    newName: other.example/sidecar'));
    const built = execFileSync(kustomizeProgram(), ['build', join(directory, part)], { encoding: 'utf8' });
    assert.doesNotMatch(built, /registry\.example\.com/);
    assert.ok(built.includes('image: other.example/sidecar:'), part);
  }
});

test('the manifests work on a real API server', async (t) => {
  const publisher = await openPublisher(t);
  const kubernetes = await openKubernetes(t, publisher);
  for (const command of readmeCommands('kubectl', 'kustomize')) {
    await t.test(command, () => {
      const { status, stderr } = spawnSync('sh', ['-c', command], { env: kubernetes.environment, encoding: 'utf8' });
      // a warning would come from Pod Security
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });
  }
  await t.test('the pods of all manifests pass restricted Pod Security', () => takesAllPods(kubernetes));
  await t.test('init kubernetes prints the same pod and config as the example', (t) => sameByInit(t, kubernetes));
  await t.test('the component patches labelled workloads', (t) => componentPatches(t, kubernetes));
  await t.test('the policy injects labelled pods', (t) => policyInjects(t, kubernetes));
});

function takesAllPods(kubernetes: Kubernetes): void {
  const loose = podOf({ serviceAccountName: 'my-app', containers: [{ name: 'app', image: 'app' }] });
  assert.throws(() => kubernetes.dryRun(loose), /violates PodSecurity "restricted/);
  for (const workload of ['deployment/my-app', 'job/migrate', 'cronjob/rotate']) {
    const { spec } = kubernetes.dryRun(kubernetes.podOf(workload));
    const [sidecar] = spec.initContainers ?? [];
    // a native sidecar, which kubelet stops after the pod's containers have exited
    assert.deepEqual([sidecar?.name, sidecar?.restartPolicy], ['vault-token-sidecar', 'Always'], workload);
    const mounts = spec.containers[0]?.volumeMounts?.map(({ name, mountPath }) => `${name} ${mountPath}`);
    assert.deepEqual(mounts, ['vault-token /vault'], workload);
  }
}

/** Compares the config without the policy's text, and the pod without its application. */
async function sameByInit(t: TestContext, kubernetes: Kubernetes): Promise<void> {
  const file = join(await temporaryDirectory(t), 'config.json');
  const flags = ['--config', file, '--issuer', 'k8s-prod', '--vault-address', 'https://vault.example.com:8200'];
  for (const flag of ['namespace', 'service-account', 'role', 'policy']) flags.push(`--${flag}`, 'my-app');
  const init = ['dist/vault-token-sidecar.mjs', 'init', 'kubernetes', ...flags];
  const [, manifest = ''] = execFileSync(process.execPath, init, { encoding: 'utf8', stdio: 'pipe' }).split(
    /^.*YAML.*\n?/m,
  );
  const pod = kubernetes.dryRun(manifest);
  const example = kubernetes.dryRun(kubernetes.podOf('deployment/my-app'));
  const partsOf = ({ spec }: Pod) => ({
    sidecar: spec.initContainers,
    security: spec.securityContext,
    // the example's ConfigMap has a hash in its name
    volumes: JSON.stringify(spec.volumes).replace(/(vault-token-sidecar)-[a-z0-9]+/, '$1'),
  });
  assert.deepEqual(partsOf(pod), partsOf(example));
  const [config, { exchanges }] = [file, join(HERE, 'base/config.json')].map((path) =>
    JSON.parse(readFileSync(path, 'utf8')),
  );
  delete exchanges.app.setup.policies;
  assert.deepEqual(config.exchanges, exchanges);
}
