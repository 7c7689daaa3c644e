// deploy/helm: linted, rendered with all parts enabled, validated against schemas and types, and installed on a real
// API server: the cluster chart by the documented commands, and a consumer's chart that uses the library.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readmeCommands } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openPublisher } from '../vault/publisher.ts';
import { CHART, consumerChart, LIBRARY, type Manifest, openHelm, podIn, type Values } from './helm-charts.ts';
import type { Container, Pod } from './kubernetes-objects.ts';
import { type Kubernetes, openKubernetes } from './kubernetes-server.ts';
import { INJECT, podOf, restricted } from './kubernetes-workloads.ts';
import { decodeStrictly } from './monitoring-prometheus.ts';
import { openRegistry } from './oci-registry.ts';

const vault = { address: 'https://vault.example.com:8200' };
const PARTS = {
  policy: { enabled: true, vault },
  podMonitor: { enabled: true },
  prometheusRule: { enabled: true },
  dashboard: { enabled: true },
} satisfies Values;
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** The namespace of the consumer's chart. */
const NAMESPACE = 'my-app';

const contentOf = (file: string) => readFileSync(file, 'utf8');
const kindsOf = (manifests: readonly Manifest[]) => manifests.map(({ kind }) => kind).sort();
const find = (manifests: readonly Manifest[], kind: string) => manifests.find((one) => one.kind === kind);

test('the charts have the version of the package, and pass helm lint', async (t) => {
  const helm = await openHelm(t);
  const consumer = await consumerChart(t, helm);
  const { version } = JSON.parse(contentOf('package.json')) as { version: string };
  for (const chart of [CHART, LIBRARY]) {
    const [about] = decodeStrictly<Record<string, string>>(helm.run('show', 'chart', chart));
    assert.deepEqual([about?.['version'], about?.['appVersion']], [version, version], chart);
  }
  const [values] = decodeStrictly<{ image: { tag: string } }>(helm.run('show', 'values', LIBRARY));
  assert.equal(values?.image.tag, version);
  helm.run('lint', '--strict', CHART, LIBRARY, consumer);
});

test('each part is installed only if it is enabled, with the recommended labels', async (t) => {
  const helm = await openHelm(t);
  const policy = ['Mutating', 'Validating'].flatMap((name) => [
    `${name}AdmissionPolicy`,
    `${name}AdmissionPolicyBinding`,
  ]);
  policy.unshift('ConfigMap');
  const kinds = { policy, podMonitor: ['PodMonitor'], prometheusRule: ['PrometheusRule'], dashboard: ['ConfigMap'] };
  assert.deepEqual(helm.template(CHART), []);
  for (const [part, values] of Object.entries(PARTS)) {
    const manifests = helm.template(CHART, { [part]: values });
    assert.deepEqual(kindsOf(manifests), kinds[part as keyof typeof kinds], part);
  }
  const all = helm.template(CHART, PARTS);
  assert.deepEqual(kindsOf(all), Object.values(kinds).flat().sort());
  for (const { metadata } of all) {
    const { 'helm.sh/chart': chart, ...labels } = metadata.labels ?? {};
    assert.match(chart ?? '', /^vault-token-sidecar-\d/);
    for (const label of ['name', 'instance', 'version', 'managed-by']) assert.ok(labels[`app.kubernetes.io/${label}`]);
  }
});

test('every value is rendered', async (t) => {
  const helm = await openHelm(t);
  const manifests = helm.template(CHART, {
    fullnameOverride: 'other',
    policy: {
      ...PARTS.policy,
      image: { repository: 'registry.example/sidecar', tag: '9', digest: DIGEST },
      audience: 'audience',
      issuer: 'https://k8s-prod.oidc.pub',
      vault: { ...vault, namespace: 'team', tlsServerName: 'vault.internal', caConfigMap: 'vault-ca' },
      role: 'role',
      mount: 'k8s',
      logLevel: 'debug',
      opsHost: '[::]',
      cpuLimit: '500m',
    },
    podMonitor: { enabled: true, labels: { release: 'a' }, interval: '15s', selector: { matchLabels: { team: 'b' } } },
    prometheusRule: { enabled: true, labels: { release: 'c' } },
    dashboard: { enabled: true, labels: { grafana: 'd' }, annotations: { grafana_folder: 'Vault' } },
  });
  const [settings, dashboard] = ['other', 'other-dashboard'].map((name) =>
    manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name),
  );
  assert.deepEqual(settings?.data, {
    image: `registry.example/sidecar:9@${DIGEST}`,
    audience: 'audience',
    VAULT_ADDR: vault.address,
    VAULT_NAMESPACE: 'team',
    VAULT_TLS_SERVER_NAME: 'vault.internal',
    VTS_ISSUER: 'https://k8s-prod.oidc.pub',
    VTS_LOG_LEVEL: 'debug',
    VTS_MOUNT: 'k8s',
    VTS_OPS_LISTEN: '[::]:8276',
    VTS_ROLE: 'role',
    ca_config_map: 'vault-ca',
    cpu_limit: '500m',
  });
  assert.equal(dashboard?.metadata.labels?.['grafana'], 'd');
  assert.deepEqual(dashboard?.metadata.annotations, { grafana_folder: 'Vault' });
  assert.equal(find(manifests, 'PrometheusRule')?.metadata.labels?.['release'], 'c');
  const monitor = find(manifests, 'PodMonitor');
  assert.equal(monitor?.metadata.labels?.['release'], 'a');
  assert.partialDeepStrictEqual(monitor?.spec, {
    selector: { matchLabels: { team: 'b' } },
    podMetricsEndpoints: [{ interval: '15s' }],
  });
  assert.partialDeepStrictEqual(find(manifests, 'MutatingAdmissionPolicyBinding')?.spec, {
    policyName: find(manifests, 'MutatingAdmissionPolicy')?.metadata.name,
    paramRef: { name: settings?.metadata.name, namespace: 'somewhere' },
  });
  assert.deepEqual(find(manifests, 'ValidatingAdmissionPolicyBinding')?.spec, {
    policyName: find(manifests, 'ValidatingAdmissionPolicy')?.metadata.name,
    validationActions: ['Deny'],
  });
  assert.throws(() => decodeStrictly(JSON.stringify({ ...monitor, specs: {} })), /unknown field "specs"/);
});

test('policy, alerts and dashboard are the files of the other directories, also in a packed chart', async (t) => {
  const helm = await openHelm(t);
  const manifests = helm.template(CHART, PARTS);
  const [rules] = decodeStrictly<unknown>(contentOf('deploy/monitoring/alerts.yaml'));
  assert.deepEqual(find(manifests, 'PrometheusRule')?.spec, rules);
  const dashboard = manifests.find(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1');
  assert.deepEqual(dashboard?.data, { 'vault-token-sidecar.json': contentOf('deploy/monitoring/dashboard.json') });
  for (const { kind, spec } of decodeStrictly<Manifest>(contentOf('deploy/kubernetes/policy/policy.yaml')))
    if (!kind.endsWith('Binding')) assert.deepEqual(find(manifests, kind)?.spec, spec, kind);

  const directory = await temporaryDirectory(t);
  const packed = helm.run('package', CHART, LIBRARY, '--destination', directory).match(/\S+\.tgz/g) ?? [];
  assert.equal(packed.length, 2);
  for (const file of packed) assert.doesNotMatch(execFileSync('tar', ['tvf', file], { encoding: 'utf8' }), /^l/m);
  assert.deepEqual(helm.template(packed[0] ?? '', PARTS), manifests);
});

test('the schemas refuse unknown and invalid values, with their path', async (t) => {
  const helm = await openHelm(t);
  const consumer = await consumerChart(t, helm);
  const refused = (chart: string, values: Values, why: RegExp) =>
    assert.throws(() => helm.template(chart, values), why, JSON.stringify(values));
  refused(CHART, { polcy: {} }, /additional properties 'polcy' not allowed/);
  refused(
    CHART,
    { policy: { vault: { adress: 'x' } } },
    /'\/policy\/vault': additional properties 'adress' not allowed/,
  );
  refused(CHART, { dashboard: { enabled: 'yes' } }, /'\/dashboard\/enabled': got string, want boolean/);
  refused(CHART, { policy: { image: { digest: 'sha256:1' } } }, /'\/policy\/image\/digest': 'sha256:1' does not match/);
  refused(CHART, { policy: { enabled: true } }, /policy\.vault\.address is required/);
  const old = ['--kube-version', '1.35.0', '--set', `policy.enabled=true,policy.vault.address=${vault.address}`];
  assert.throws(() => helm.run('template', CHART, ...old), /policy\.enabled needs Kubernetes 1\.36 or newer/);
  refused(consumer, { vaultTokenSidecar: { rolle: 'x' } }, /vaultTokenSidecar:\n.*additional properties 'rolle'/);
  refused(consumer, { vaultTokenSidecar: { mode: 'daemon' } }, /'\/mode': value must be one of 'sidecar', 'init'/);
  refused(consumer, { vaultTokenSidecar: { role: '' } }, /role or configMap is required/);
  refused(consumer, { vaultTokenSidecar: { vault: { address: '' } } }, /vault\.address or configMap is required/);
  for (const chart of [CHART, LIBRARY])
    assert.deepEqual(looseIn(JSON.parse(contentOf(`${chart}/values.schema.json`))), []);
});

test("the library renders the sidecar in a consumer's pod", async (t) => {
  const helm = await openHelm(t);
  const consumer = await consumerChart(t, helm);
  const rendered = (values: Values) => podIn(helm.template(consumer, { vaultTokenSidecar: values })).spec;
  const sidecar = (values: Values) => rendered(values).initContainers?.[0];

  await t.test('with a ConfigMap, the same sidecar as the kustomize component', () => {
    const { spec } = podIn(decodeStrictly<Manifest>(contentOf('deploy/kubernetes/component/workload.yaml')));
    const here = rendered({ configMap: 'vault-token-sidecar', vault: { address: '' }, role: '' });
    // IfNotPresent is the default of Kubernetes
    assert.deepEqual(here.initContainers?.[0], { ...spec.initContainers?.[0], imagePullPolicy: 'IfNotPresent' });
    assert.deepEqual(new Set(here.volumes), new Set(spec.volumes));
  });
  await t.test('with an image by its digest', () => {
    assert.equal(
      sidecar({ image: { tag: '9', digest: DIGEST } })?.image.split('/')[1],
      `vault-token-sidecar:9@${DIGEST}`,
    );
  });
  await t.test('as an init container that exits', () => {
    const { args, restartPolicy, startupProbe, ports } = sidecar({ mode: 'init', startupSeconds: 60 }) ?? {};
    assert.deepEqual(args, ['once', '--timeout', '60s']);
    assert.deepEqual([restartPolicy, startupProbe, ports], [undefined, undefined, undefined]);
  });
  await t.test('with a CA, a namespace, an audience, an issuer, a mount and a directory', () => {
    const spec = rendered({
      vault: { namespace: 'team', caConfigMap: 'vault-ca', tlsServerName: 'vault.internal' },
      audience: 'other',
      issuer: 'https://k8s-prod.oidc.pub',
      mount: 'k8s',
      mountPath: '/run/vault',
    });
    const environment = environmentOf(spec.initContainers?.[0]);
    assert.partialDeepStrictEqual(environment, {
      VAULT_NAMESPACE: 'team',
      VAULT_TLS_SERVER_NAME: 'vault.internal',
      VAULT_CACERT: '/var/run/secrets/oidc/ca.crt',
      VTS_ISSUER: 'https://k8s-prod.oidc.pub',
      VTS_MOUNT: 'k8s',
      VTS_TOKEN_FILE: '/run/vault/token',
    });
    const [token, ca] = spec.volumes?.find(({ name }) => name === 'vault-jwt')?.projected?.sources ?? [];
    assert.equal(token?.serviceAccountToken?.audience, 'other');
    assert.deepEqual(ca, { configMap: { name: 'vault-ca', items: [{ key: 'ca.crt', path: 'ca.crt' }] } });
    for (const { volumeMounts } of [...(spec.initContainers ?? []), ...spec.containers]) {
      assert.equal(volumeMounts?.find(({ name }) => name === 'vault-token')?.mountPath, '/run/vault');
    }
  });
});

test('the charts install on a real API server', async (t) => {
  const kubernetes = await openKubernetes(t, await openPublisher(t));
  const helm = await openHelm(t, kubernetes.environment);
  defineMonitoring(kubernetes);
  const registry = await openRegistry(t);
  const shell = (command: string) => {
    const here = command.replace('oci://registry.example.com', `--plain-http oci://${registry}`);
    return spawnSync('sh', ['-c', here], { env: helm.environment, encoding: 'utf8' });
  };
  for (const command of readmeCommands('helm')) {
    await t.test(command, () => {
      const { status, stdout, stderr } = shell(command);
      assert.equal(status, 0, stdout + stderr);
    });
  }
  const restrict = {
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/warn': 'restricted',
  };
  kubernetes.kubectl(['create', '--filename', '-'], {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE, labels: restrict },
  });

  await t.test('the notes list the installed parts and the labels for a pod', () => {
    const notes = helm.run('get', 'notes', 'vault-token-sidecar', '--namespace', 'vault-token-sidecar');
    assert.match(notes, /Installed: the dashboard, the PodMonitor, the policy, the alerts\./);
    assert.match(notes, /vault-token-sidecar\.oidc\.pub\/inject: "true"/);
  });
  await t.test('a chart takes the library from the registry', async (t) => {
    const consumer = await consumerChart(t, helm, `oci://${registry}/charts`);
    assert.match(contentOf(`${consumer}/Chart.lock`), new RegExp(`repository: oci://${registry}/charts`));
    assert.deepEqual(helm.template(consumer), helm.template(await consumerChart(t, helm)));
  });
  await t.test(
    'a chart with the library passes restricted Pod Security, and has the same sidecar as an injected pod',
    async (t) => {
      const { status, stderr } = shell(
        `helm install my-app '${await consumerChart(t, helm)}' --namespace ${NAMESPACE}`,
      );
      // a warning would come from Pod Security
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      const { spec } = kubernetes.dryRun(kubernetes.podOf('deployment/my-app'));
      assert.deepEqual(
        spec.initContainers?.map(({ name }) => name),
        ['vault-token-sidecar', 'migrate'],
      );
      const injected = await until('the policy is in force', () => {
        const pod = kubernetes.dryRun(podOf(restricted(), INJECT));
        return pod.spec.initContainers !== undefined && pod;
      });
      assert.deepEqual(sidecarOf(injected), sidecarOf({ metadata: {}, spec }));
    },
  );
});

/** The sidecar's container, with its environment in no order. */
function sidecarOf({ spec }: Pod) {
  const [sidecar] = spec.initContainers ?? [];
  return { ...sidecar, env: environmentOf(sidecar) };
}

const environmentOf = (container: Container | undefined) =>
  Object.fromEntries(container?.env?.map(({ name, value }) => [name, value]) ?? []);

/** Defines the Prometheus operator's kinds without a schema; another test validates their content. */
function defineMonitoring(kubernetes: Kubernetes): void {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  for (const kind of ['PodMonitor', 'PrometheusRule']) {
    const [singular, plural, group] = [kind.toLowerCase(), `${kind.toLowerCase()}s`, 'monitoring.coreos.com'];
    kubernetes.kubectl(['create', '--filename', '-'], {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      // Kubernetes requires this annotation for groups under its domains
      metadata: { name: `${plural}.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved' } },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, singular, plural },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    });
    kubernetes.kubectl(['wait', '--for', 'condition=Established', `crd/${plural}.${group}`]);
  }
}

/** The paths of a schema at which additional properties are allowed. */
function looseIn(schema: Values, place = ''): readonly string[] {
  const inner = Object.entries({ ...(schema['properties'] as Values), ...(schema['$defs'] as Values) });
  const deeper = inner.flatMap(([name, one]) => looseIn(one as Values, `${place}/${name}`));
  const loose = schema['properties'] !== undefined && schema['additionalProperties'] !== false;
  return loose ? [place, ...deeper] : deeper;
}
