// What Kubernetes says of its own kinds, as strict JSON Schemas: made of the OpenAPI document in its source, which comes
// as a Go module, at the version that the module beside this file pins. And kubeconform, which holds manifests to them.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digest, goInstall, made } from '../support/tools.ts';

/** The Go module that pins Kubernetes. */
export const MODULE = join(import.meta.dirname, 'modules/kubernetes');

/** Kinds of others, for which Kubernetes has no schema: what makes them decodes them strictly. */
const FOREIGN = ['PodMonitor', 'PrometheusRule'].map((kind) => `monitoring.coreos.com/v1/${kind}`);

/**
 * Holds every YAML file in the files and directories to the schemas: nothing unknown, nothing missing, no wrong type.
 * @throws Error with what kubeconform found
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
  // a path without a single manifest is no success
  if (status !== 0 || /^Summary: 0 resources/m.test(stdout)) throw new Error(`kubeconform: ${stdout}${stderr}`);
}

/** The schemas, one file a kind, named as kubeconform looks for them, such as deployment-apps-v1.json. */
function schemaDirectory(): string {
  return made(`kubernetes-schemas-${digest(join(MODULE, 'go.sum'), import.meta.filename)}`, (unfinished) => {
    mkdirSync(unfinished);
    const definitions = mapped(openApi(), strict);
    const write = (file: string, schema: unknown) => writeFileSync(join(unfinished, file), JSON.stringify(schema));
    write('definitions.json', { definitions: { ...definitions, ...SCALARS } });
    for (const [name, schema] of Object.entries(definitions)) {
      const [kind, another] = schema['x-kubernetes-group-version-kind'] ?? [];
      // what is of every group is no object that somebody applies
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

/** OpenAPI 2 knows no union of types: it calls these strings. */
const SCALARS = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { type: ['string', 'number'] },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { type: ['string', 'integer'] },
};

/** An object takes what it names and nothing else, at any depth. */
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

/** apps/v1 Deployment is deployment-apps-v1.json, v1 Pod is pod-v1.json. */
const fileOf = ({ group, version, kind }: Kind): string =>
  `${[kind, ...group.split('.').slice(0, 1), version].filter(Boolean).join('-').toLowerCase()}.json`;
