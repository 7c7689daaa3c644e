// deploy/kubernetes: built by kustomize, validated against Kubernetes' schemas, then applied to a real API server,
// whose service account tokens log in to a real Vault, in the example's pod and in an injected pod.

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { readmeBlock, readmeCommands } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { openPublisher } from '../vault/publisher.ts';
import { openRealVault, type RealVault } from '../vault/real-vault.ts';
import { componentPatches } from './kubernetes-component.ts';
import { type Pod, type RunningPod, startPod } from './kubernetes-pod.ts';
import { changeSettings, environmentOf, policyInjects } from './kubernetes-policy.ts';
import { kubeconform } from './kubernetes-schemas.ts';
import { type Kubernetes, kustomizeProgram, openKubernetes } from './kubernetes-server.ts';
import { INJECT, podOf, restricted } from './kubernetes-workloads.ts';

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
  await t.test('service account tokens log in to a real Vault', async (t) => {
    const vault = await openRealVault(t, { environment: publisher.environment });
    // let everyone read the API server's discovery document
    const discovery = ['--clusterrole=system:service-account-issuer-discovery', '--group=system:unauthenticated'];
    kubernetes.kubectl(['create', 'clusterrolebinding', 'issuer', ...discovery]);
    await t.test('in the example, with Vault set up from its config', (t) =>
      example(t, { kubernetes, vault, ca: publisher.ca.cert }),
    );
    await t.test('in an injected pod', (t) => injected(t, { kubernetes, vault }));
  });
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

interface Peers {
  readonly kubernetes: Kubernetes;
  readonly vault: RealVault;
}

/** Follows the README: edits the config, sets up Vault from it, and applies the directory. */
async function example(t: TestContext, { kubernetes, vault, ca }: Peers & { ca: string }): Promise<void> {
  const directory = await temporaryDirectory(t);
  cpSync(join(HERE, 'base'), directory, { recursive: true });
  const file = join(directory, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.vault.address = vault.url;
  // Vault must trust the test's CA
  config.exchanges.app.setup.trust = { oidc_discovery_ca_pem: ca };
  const [proxy, env] = ['json', 'yaml'].map((it) =>
    readmeBlock(`${HERE}/README.md`, 'An application without a token', it),
  );
  Object.assign(config.exchanges.app, JSON.parse(`{${proxy}}`));
  writeFileSync(file, JSON.stringify(config));
  const setup = ['dist/vault-token-sidecar.mjs', 'setup', '--config', file, '--apply', '--yes'];
  // asynchronously, since Vault fetches from the issuer through a proxy in this process
  await promisify(execFile)(process.execPath, setup, { env: { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root } });
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await vault.write('secret/data/my-app', { data: { greeting: 'hello' } });
  kubernetes.kubectl(['apply', '-k', directory]);

  const pod = kubernetes.dryRun(kubernetes.podOf('deployment/my-app'));
  const map = pod.spec.volumes?.find(({ configMap }) => configMap !== undefined)?.configMap?.name ?? '';
  const { data } = kubernetes.json<{ data: Record<string, string> }>(['get', 'configmap', map]);
  const foreign = kubernetes.kubectl(['create', 'token', 'my-app', '--audience', 'other']).trim();
  const running = await startPod(t, pod, { jwt: foreign, config: data });
  await until('the startup probe fails', async () => (await running.startup()) === 503);
  assert.throws(() => running.exec('app', 'cat', '/vault/token'), /No such file/);
  await running.rotate(kubernetes.tokenFor(pod));
  const token = await tokenOf(running, vault);
  const headers = ['X-Vault-Request: true', 'Accept: text/plain'].flatMap((header) => ['-H', header]);
  const ask = ['curl', '-sS', '--unix-socket', '/vault/api.sock', ...headers, 'http://localhost/v1/token'];
  assert.equal(running.exec('app', ...ask), token);
  assert.equal(running.exec('app', 'stat', '--format', '%a %u %g', '/vault/api.sock'), '660 65532 65532\n');
  const [, socket = ''] = /"unix:\/\/(.+)"/.exec(env ?? '') ?? [];
  const read = ['curl', '-sS', '--unix-socket', socket, 'http://localhost/v1/secret/data/my-app'];
  assert.equal(JSON.parse(running.exec('app', ...read)).data.data.greeting, 'hello');
  await running.rotate(kubernetes.tokenFor(pod));
  await until('another token', () => running.exec('app', 'cat', '/vault/token') !== token);
  await tokenOf(running, vault);
  assert.throws(() => running.exec('app', 'touch', '/vault/another'), /Read-only file system/);
  assert.equal(await running.stop(), 0);
}

async function injected(t: TestContext, { kubernetes, vault }: Peers): Promise<void> {
  changeSettings(kubernetes, { VAULT_ADDR: vault.url, VTS_ISSUER: 'https://k8s-prod.oidc.pub' });
  const pod = await until('the policy has the new address', () => {
    const seen = kubernetes.dryRun(podOf(restricted(), INJECT));
    return environmentOf(seen)['VAULT_ADDR'] === vault.url && seen;
  });
  const running = await startPod(t, pod, { jwt: kubernetes.tokenFor(pod) });
  await tokenOf(running, vault);
  assert.equal(await running.stop(), 0);
}

/** Checks and returns the token that the application finds when it starts. */
async function tokenOf(running: RunningPod, vault: RealVault): Promise<string> {
  await until('the startup probe succeeds', async () => (await running.startup()) === 200);
  assert.equal(running.exec('app', 'stat', '--format', '%a %u %g', '/vault/token'), '640 65532 65532\n');
  const token = running.exec('app', 'cat', '/vault/token');
  const { body } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
  const { path, policies } = body['data'] as { path: string; policies: readonly string[] };
  assert.deepEqual([path, policies], ['auth/jwt/login', ['default', 'my-app']]);
  return token;
}
