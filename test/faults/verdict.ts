// From what tests found to the matrix with a verdict on each row, as text, and whether that is good enough.

import { relative } from 'node:path';
import type { Group } from './matrix.ts';

export interface TestResult {
  readonly file: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
}

export interface Scoreboard {
  readonly matrix: readonly Group[];
  readonly blocking: readonly string[];
  /** row -> why no test can show it */
  readonly untested: Readonly<Record<string, string>>;
}

type Verdict = 'passed' | 'failed' | 'untestable' | 'no test';

const VERDICTS: readonly Verdict[] = ['passed', 'failed', 'untestable', 'no test'];

/** The rows at the front of a test's name: 'C5: ...', 'A4, A24: ...', 'B10, SIGHUP: ...'. */
export function rowsOf(name: string): readonly string[] {
  const [front = ''] = name.split(':', 1);
  if (front === name || !/^[A-JV]\d+\b/.test(front)) return [];
  return front.split(/[, ]+/).filter((word) => /^[A-J]\d+$/.test(word));
}

/** @returns the lines to print; `problems` is empty when all is well */
export function judge(
  { matrix, blocking, untested }: Scoreboard,
  results: readonly TestResult[],
): { readonly lines: readonly string[]; readonly problems: readonly string[] } {
  const found = resultsByRow(results);
  const ids = matrix.flatMap(({ rows }) => Object.keys(rows));
  const verdicts = new Map(ids.map((id) => [id, verdictOn(found.get(id) ?? [], untested[id])]));
  const lines = matrix.flatMap(({ title, rows }) => [
    '',
    title,
    ...Object.entries(rows).flatMap(([id, [fault, expected]]) => [
      `  ${id.padEnd(4)}${(verdicts.get(id) ?? '').padEnd(11)}${fault}: ${expected}`,
      ...remarksOn(found.get(id) ?? [], untested[id]).map((remark) => `${' '.repeat(17)}${remark}`),
    ]),
  ]);
  const withVerdict = (verdict: Verdict) => ids.filter((id) => verdicts.get(id) === verdict);
  const strangers = [...found.keys(), ...blocking, ...Object.keys(untested)].filter((id) => !verdicts.has(id));
  const problems = [
    ...withVerdict('failed').map((id) => `${id} failed`),
    ...blocking
      .filter((id) => verdicts.get(id) === 'no test' || verdicts.get(id) === 'untestable')
      .map((id) => `${id} blocks a release, and has no passing test`),
    ...[...new Set(strangers)].map((id) => `${id} is no row of the matrix`),
    ...Object.keys(untested)
      .filter((id) => found.has(id))
      .map((id) => `${id} is said to be untestable, and has a test`),
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

/** A row has passed when every test that names it has: one that was skipped shows nothing. */
function verdictOn(results: readonly TestResult[], reason: string | undefined): Verdict {
  if (results.some(({ outcome }) => outcome === 'failed')) return 'failed';
  if (results.length > 0) return results.every(({ outcome }) => outcome === 'passed') ? 'passed' : 'no test';
  return reason === undefined ? 'no test' : 'untestable';
}

function remarksOn(results: readonly TestResult[], reason: string | undefined): string[] {
  const unwell = results.filter(({ outcome }) => outcome !== 'passed');
  const told = unwell.map(({ outcome, file, name }) => `${outcome}: ${relative('', file)}: ${name}`);
  return results.length === 0 && reason !== undefined ? [reason] : told;
}
