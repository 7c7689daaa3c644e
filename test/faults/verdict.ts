// Renders the fault matrix with a verdict on each row, from the results of the tests, and lists the rows that fail.

import { relative } from 'node:path';
import type { Group } from './matrix.ts';

export interface TestResult {
  readonly file: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
}

type Verdict = 'passed' | 'failed' | 'no test';

const VERDICTS: readonly Verdict[] = ['passed', 'failed', 'no test'];

/** The ids in brackets at the end of a test's name: '... (C5)', '... (A4, A24)', '... (V12, I1)'. V ids aren't rows. */
export function rowsOf(name: string): readonly string[] {
  const [, ids = ''] = / \(([A-LV]\d+(?:, [A-LV]\d+)*)\)$/.exec(name) ?? [];
  return ids.split(', ').filter((id) => /^[A-L]/.test(id));
}

/** @returns the lines to print; `problems` is empty if every row has a passing test and no failing one */
export function judge(
  matrix: readonly Group[],
  results: readonly TestResult[],
): { readonly lines: readonly string[]; readonly problems: readonly string[] } {
  const found = resultsByRow(results);
  const ids = matrix.flatMap(({ rows }) => Object.keys(rows));
  const verdicts = new Map(ids.map((id) => [id, verdictOn(found.get(id) ?? [])]));
  const lines = matrix.flatMap(({ title, rows }) => [
    '',
    title,
    ...Object.entries(rows).flatMap(([id, [fault, expected]]) => [
      `  ${id.padEnd(4)}${(verdicts.get(id) ?? '').padEnd(8)}${fault}: ${expected}`,
      ...remarksOn(found.get(id) ?? []).map((remark) => `${' '.repeat(14)}${remark}`),
    ]),
  ]);
  const withVerdict = (verdict: Verdict) => ids.filter((id) => verdicts.get(id) === verdict);
  const problems = [
    ...withVerdict('failed').map((id) => `${id} failed`),
    ...withVerdict('no test').map((id) => `${id} has no passing test`),
    ...[...found.keys()].filter((id) => !verdicts.has(id)).map((id) => `${id} is no row of the matrix`),
  ];
  const counts = VERDICTS.map((verdict) => `${withVerdict(verdict).length} ${verdict}`).join(', ');
  return { lines: [...lines, '', `${ids.length} rows: ${counts}`], problems };
}

function resultsByRow(results: readonly TestResult[]): ReadonlyMap<string, readonly TestResult[]> {
  const byRow = new Map<string, TestResult[]>();
  for (const result of results) {
    for (const id of rowsOf(result.name)) byRow.set(id, [...(byRow.get(id) ?? []), result]);
  }
  return byRow;
}

/** A row passes if all tests that name it pass; a skipped test proves nothing. */
function verdictOn(results: readonly TestResult[]): Verdict {
  if (results.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return results.length > 0 && results.every(({ outcome }) => outcome === 'passed') ? 'passed' : 'no test';
}

const remarksOn = (results: readonly TestResult[]): string[] =>
  results
    .filter(({ outcome }) => outcome !== 'passed')
    .map(({ outcome, file, name }) => `${outcome}: ${relative('', file)}: ${name}`);
