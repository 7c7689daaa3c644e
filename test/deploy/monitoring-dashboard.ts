// The dashboard's queries and variables, as Grafana sends them to Prometheus.

import { readFileSync } from 'node:fs';

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } };
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

/**
 * The query with its variables replaced, and ranges as Grafana sets them for a scrape each second.
 * @throws Error for an unknown variable
 */
export function plain(query: string, values: Readonly<Record<string, string>>): string {
  const all: Readonly<Record<string, string>> = { ...values, __rate_interval: '4s' };
  return query.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = all[name];
    if (value === undefined) throw new Error(`there is no variable ${name}: ${query}`);
    return value;
  });
}

/** The name of a series, as Grafana makes it from the labels. @throws Error if the series lacks a label */
export function legendOf(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/{{(\w+)}}/g, (_, name: string) => {
    const value = labels[name];
    if (value === undefined || value === '') throw new Error(`there is no label ${name} for ${format}`);
    return value;
  });
}
