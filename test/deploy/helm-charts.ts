// Renders the charts with helm, and a consumer's chart that uses the library.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { goInstall } from '../support/tools.ts';
import type { Pod } from './kubernetes-objects.ts';
import { kubeconform } from './kubernetes-schemas.ts';
import { decodeStrictly } from './monitoring-prometheus.ts';

export const CHART = 'deploy/helm/vault-token-sidecar';
export const LIBRARY = 'deploy/helm/vault-token-sidecar-lib';
const CONSUMER = 'test/deploy/helm-consumer';

export const helmProgram = (): string => goInstall('helm.sh/helm/v4/cmd/helm', 'v4.3.1');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

export type Values = Readonly<Record<string, unknown>>;

export interface Helm {
  /** environment variables for a shell in which `helm` is this program */
  readonly environment: NodeJS.ProcessEnv;
  /** Runs helm and returns its output. @throws Error with its error message */
  run(...args: readonly string[]): string;
  /** Renders a chart, and validates each object against its schema or type. @throws Error with the first problem */
  template(chart: string, values?: Values): readonly Manifest[];
}

/** @param base further environment variables, such as KUBECONFIG */
export async function openHelm(t: Scope, base: NodeJS.ProcessEnv = process.env): Promise<Helm> {
  const directory = await temporaryDirectory(t);
  symlinkSync(helmProgram(), join(directory, 'helm'));
  const own = { HELM_CACHE_HOME: directory, HELM_CONFIG_HOME: directory, HELM_DATA_HOME: directory };
  const environment = { ...base, ...own, PATH: `${directory}:${base['PATH']}` };
  const run = (...args: readonly string[]): string => {
    const options = { env: environment, encoding: 'utf8', maxBuffer: 2 ** 24 } as const;
    const { status, stdout, stderr } = spawnSync('helm', args, options);
    if (status !== 0) throw new Error(`helm ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  return {
    environment,
    run,
    template(chart, values = {}) {
      const file = join(directory, 'values.json');
      writeFileSync(file, JSON.stringify(values));
      const text = run('template', 'release', chart, '--namespace', 'somewhere', '--values', file);
      const manifests = decodeStrictly<Manifest>(text);
      if (manifests.length > 0) {
        writeFileSync(join(directory, 'rendered.yaml'), text);
        kubeconform(join(directory, 'rendered.yaml'));
      }
      return manifests;
    },
  };
}

/**
 * Copies the consumer's chart, and fetches its dependency.
 * @param repository of the dependency, instead of this checkout
 * @returns the copy's directory
 */
export async function consumerChart(t: Scope, helm: Helm, repository?: string): Promise<string> {
  const directory = await temporaryDirectory(t);
  const chart = join(directory, CONSUMER);
  for (const part of [LIBRARY, CONSUMER]) {
    mkdirSync(join(directory, part), { recursive: true });
    cpSync(part, join(directory, part), { recursive: true });
  }
  if (repository !== undefined) {
    const file = join(chart, 'Chart.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/repository: .*/, `repository: ${repository}`));
  }
  helm.run('dependency', 'update', '--plain-http', chart);
  return chart;
}

/** The pod of the only Deployment. */
export function podIn(manifests: readonly Manifest[]): Pod {
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('there is no Deployment');
  return (deployment.spec as { template: Pod }).template;
}
