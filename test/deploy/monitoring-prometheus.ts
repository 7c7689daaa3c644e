// A real Prometheus with our rules, its API, promtool, and a strict decoder for objects without a schema in Kubernetes.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { reservePort } from '../support/ports.ts';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian, goBuild } from '../support/tools.ts';

export interface Target {
  /** URL of an ops listener */
  readonly ops: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A series over a time, with a point each second in which it exists. */
export interface Line {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

export interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Prometheus = Awaited<ReturnType<typeof openPrometheus>>;

/** Starts Prometheus, which scrapes and evaluates every second, with the job name that the alerts expect. */
export async function openPrometheus(t: Scope, rulesFile: string, targets: readonly Target[]) {
  debian('prometheus');
  const directory = await temporaryDirectory(t);
  const address = `127.0.0.1:${await reservePort()}`;
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [resolve(rulesFile)],
    scrape_configs: [
      {
        job_name: 'vault-token-sidecar',
        static_configs: targets.map(({ ops, labels }) => ({ targets: [new URL(ops).host], labels })),
      },
    ],
  };
  // JSON is YAML
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const files = [`--config.file=${directory}/prometheus.yml`, `--storage.tsdb.path=${directory}/data`];
  const child = spawn('prometheus', [...files, `--web.listen-address=${address}`, '--log.level=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gone = once(child, 'exit');
  t.after(() => child.kill('SIGKILL') && gone);

  async function get<T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
    const reply = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(query)}`);
    const { status, error, data } = (await reply.json()) as { status: string; error?: string; data: T };
    assert.equal(status, 'success', `${path} ${JSON.stringify(query)}: ${error}`);
    return data;
  }

  const ready = () => fetch(`http://${address}/-/ready`).then(({ ok }) => ok);
  await until('Prometheus is ready', () => ready().catch(() => false), 30_000);
  return {
    async query(expression: string): Promise<readonly Series[]> {
      return (await get<{ result: readonly Series[] }>('query', { query: expression })).result;
    },
    /** @param from,to epoch seconds */
    async range(expression: string, { from, to }: { from: number; to: number }): Promise<readonly Line[]> {
      const span = { start: `${from}`, end: `${to}`, step: '1' };
      return (await get<{ result: readonly Line[] }>('query_range', { query: expression, ...span })).result;
    },
    /** The values of a label in the series of a selector. */
    labelValues: (label: string, selector: string) =>
      get<readonly string[]>(`label/${label}/values`, { 'match[]': selector }),
    /** The pending and firing alerts. */
    alerts: async () => (await get<{ alerts: readonly Alert[] }>('alerts')).alerts,
  };
}

/** Runs promtool; returns its output, and whether it succeeded. */
export function promtool(args: readonly string[], input?: string): { readonly ok: boolean; readonly output: string } {
  debian('prometheus');
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', input });
  return { ok: status === 0, output: stdout + stderr };
}

/**
 * Decodes YAML documents. The Prometheus operator's objects and dashboards, which have no schema in Kubernetes, are
 * decoded strictly. @throws Error with the first problem
 */
export function decodeStrictly<T>(documents: string): readonly T[] {
  const program = goBuild(join(import.meta.dirname, 'modules/monitoring'), '.');
  const { status, stdout, stderr } = spawnSync(program, { encoding: 'utf8', input: documents, maxBuffer: 2 ** 24 });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}
