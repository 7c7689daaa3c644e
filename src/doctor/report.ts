// Renders the findings as text: title, evidence, remedy and command, then the titles of the consequences.

import type { Paint } from '../core/paint.ts';
import type { Finding } from './diagnose/finding.ts';

export interface Report {
  /** such as "exchange app" */
  readonly about: string;
  readonly findings: readonly Finding[];
  /** the checks that passed */
  readonly facts: readonly string[];
  /** the skipped checks, with the flag or key that enables each */
  readonly notes: readonly string[];
}

const COLOURS = { error: 'red', warning: 'yellow', ok: 'green', note: 'blue' } as const;
const INDENT = ' '.repeat(11);

const flattened = (finding: Finding): Finding[] => [finding, ...finding.consequences.flatMap(flattened)];

export function renderReports(reports: readonly Report[], paint: Paint): string {
  const label = (kind: keyof typeof COLOURS) => `  ${paint(COLOURS[kind], kind.padEnd(7))}  `;

  function lines({ severity, title, code, evidence, remedy, command, consequences }: Finding): string[] {
    return [
      `${label(severity)}${title} (${code})`,
      ...(evidence === undefined ? [] : evidence.split('\n').map((line) => `${INDENT}${line}`)),
      `${INDENT}${remedy}`,
      ...(command === undefined ? [] : command.split('\n').map((line) => `${INDENT}  ${paint('cyan', line)}`)),
      ...consequences.flatMap(flattened).map((one) => `${INDENT}leads to: ${one.title} (${one.code})`),
    ];
  }

  return reports
    .map(({ about, findings, facts, notes }) =>
      [
        about,
        ...findings.flatMap(lines),
        ...facts.map((fact) => `${label('ok')}${fact}`),
        ...notes.map((note) => `${label('note')}${note}`),
      ].join('\n'),
    )
    .join('\n\n');
}
