// The dashboard's queries and variables, as Grafana sends them to Prometheus.

import { readFileSync } from 'node:fs';

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: { readonly query: string };
}

const DASHBOARD = JSON.parse(readFileSync('deploy/monitoring/dashboard.json', 'utf8')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
};

export const PANELS: readonly Panel[] = DASHBOARD.panels.filter(({ type }) => type !== 'row');

/** Each variable with its label and the selector of its series. */
export const VARIABLES = DASHBOARD.templating.list
  .filter(({ type }) => type === 'query')
  .map(({ name, query }) => {
    const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query.query) ?? [];
    return { name, selector, label };
  });

/** The query with its variables replaced. @throws Error for an unknown variable */
export function plain(query: string, values: Readonly<Record<string, string>>): string {
  const all: Readonly<Record<string, string>> = { ...values, __rate_interval: '1m' };
  return query.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = all[name];
    if (value === undefined) throw new Error(`there is no variable ${name}: ${query}`);
    return value;
  });
}
