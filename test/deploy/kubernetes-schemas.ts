// Strict JSON Schemas of Kubernetes' kinds, generated from the OpenAPI document in its source, which is a Go module
// pinned by the module in this directory. And kubeconform, which validates manifests against them.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digest, goInstall, made } from '../support/tools.ts';

/** The Go module that pins Kubernetes. */
export const MODULE = join(import.meta.dirname, 'modules/kubernetes');

/** Kinds without a schema in Kubernetes; tests that render them decode them strictly. */
const FOREIGN = ['PodMonitor', 'PrometheusRule'].map((kind) => `monitoring.coreos.com/v1/${kind}`);

/**
 * Validates all YAML files in the paths against the schemas: no unknown fields, no missing fields, no wrong types.
 * @throws Error with kubeconform's output
 */
export function kubeconform(...paths: readonly string[]): void {
  const options = [
    '-strict',
    '-summary',
    '-skip',
    FOREIGN.join(),
    '-ignore-filename-pattern',
    '(kustomization.yaml|.json)$',
  ];
  const schemas = ['-schema-location', join(schemaDirectory(), '{{.ResourceKind}}{{.KindSuffix}}.json')];
  const { status, stdout, stderr } = spawnSync(
    goInstall('github.com/yannh/kubeconform/cmd/kubeconform', 'v0.8.0'),
    [...options, ...schemas, ...paths],
    { encoding: 'utf8' },
  );
  // fail if there is no manifest at all
  if (status !== 0 || /^Summary: 0 resources/m.test(stdout)) throw new Error(`kubeconform: ${stdout}${stderr}`);
}

/** The directory of the schemas, one file a kind, with kubeconform's names, such as deployment-apps-v1.json. */
function schemaDirectory(): string {
  return made(`kubernetes-schemas-${digest(join(MODULE, 'go.sum'), import.meta.filename)}`, (unfinished) => {
    mkdirSync(unfinished);
    const definitions = mapped(openApi(), strict);
    const write = (file: string, schema: unknown) => writeFileSync(join(unfinished, file), JSON.stringify(schema));
    write('definitions.json', { definitions: { ...definitions, ...SCALARS } });
    for (const [name, schema] of Object.entries(definitions)) {
      const [kind, another] = schema['x-kubernetes-group-version-kind'] ?? [];
      // kinds in several groups, such as DeleteOptions, are never applied
      if (kind === undefined || another !== undefined) continue;
      write(fileOf(kind), { $ref: `definitions.json#/definitions/${name}`, required: ['apiVersion', 'kind'] });
    }
  });
}

interface Schema {
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
  readonly 'x-kubernetes-group-version-kind'?: readonly Kind[];
}

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

function openApi(): Record<string, Schema> {
  const answer = execFileSync('go', ['mod', 'download', '-json', 'k8s.io/kubernetes'], { cwd: MODULE });
  const { Dir } = JSON.parse(answer.toString()) as { Dir: string };
  return JSON.parse(readFileSync(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')).definitions;
}

/** OpenAPI 2 has no union types, and declares these as strings. */
const SCALARS = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { type: ['string', 'number'] },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { type: ['string', 'integer'] },
};

/** Forbids additional properties at any depth. */
function strict(schema: Schema): Schema {
  const { items, properties, additionalProperties } = schema;
  return {
    ...schema,
    ...(items && { items: strict(items) }),
    ...(additionalProperties && { additionalProperties: strict(additionalProperties) }),
    ...(properties && { properties: mapped(properties, strict), additionalProperties: false }),
  };
}

const mapped = <T>(record: Readonly<Record<string, T>>, change: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));

/** The file name of a kind: deployment-apps-v1.json for apps/v1 Deployment, pod-v1.json for v1 Pod. */
const fileOf = ({ group, version, kind }: Kind): string =>
  `${[kind, ...group.split('.').slice(0, 1), version].filter(Boolean).join('-').toLowerCase()}.json`;
