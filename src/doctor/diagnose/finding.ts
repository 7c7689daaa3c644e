// A finding of doctor: title, evidence and remedy. Findings are folded under their causes.

import { defined } from '../../core/defined.ts';
import { EXIT_CODES, explain, type Failure, hintFor } from '../../core/errors.ts';
import { evidenceText, type Facts } from '../../core/facts.ts';
import { shortened, withoutControls } from '../../core/secret.ts';
import { CAUSES, diagnosisOf, type FindingCode } from './codes.ts';
import { commandFor, lackFor } from './commands.ts';
import type { Evidence } from './evidence.ts';

export interface Finding {
  readonly code: FindingCode;
  readonly title: string;
  /** the exit code of doctor if this is its first error; 0 for advice */
  readonly exit: number;
  readonly severity: 'error' | 'warning';
  readonly evidence?: string;
  readonly remedy: string;
  /** a command to paste into a shell; undefined if no command fixes it */
  readonly command?: string;
  /** the codes of possible causes */
  readonly depends_on: readonly FindingCode[];
  /** the findings that this one causes */
  readonly consequences: readonly Finding[];
}

/** A finding before folding. */
export type UnfoldedFinding = Omit<Finding, 'consequences'>;

/** A failure, or an observation that only doctor makes. */
export interface Observation {
  readonly code: FindingCode;
  readonly facts?: Facts;
  /** one line or several; by default, the line that facts.ts renders */
  readonly evidence?: string | readonly string[];
  readonly severity?: 'error' | 'warning';
}

const MOST_CHARACTERS = 800;

/** Makes a finding without a command. Each line of evidence is short and printable. */
export function baseFinding({ code, facts, evidence, severity = 'error' }: Observation): UnfoldedFinding {
  const { title, hint, area } = diagnosisOf(code);
  const lines = [evidence ?? (facts && evidenceText(facts)) ?? []]
    .flat()
    .map((line) => shortened(line, MOST_CHARACTERS));
  const shown = lines.length === 0 ? {} : { evidence: lines.join('\n') };
  const exit = area === undefined ? 0 : EXIT_CODES[area];
  return { code, severity, title, ...shown, remedy: hint, exit, depends_on: CAUSES[code] ?? [] };
}

/** Makes a finding with the placeholders of its hint filled in, and with the command that fixes it, if any. */
export function toFinding(observation: Observation, evidence: Evidence): UnfoldedFinding {
  const finding = baseFinding(observation);
  const command = commandFor(observation.code, evidence, observation.facts);
  const lack = command === undefined ? lackFor(observation.code, evidence) : undefined;
  const remedy = [hintFor(finding.remedy, evidence.settings), lack && withoutControls(lack)].filter(Boolean).join(' ');
  return { ...finding, remedy, ...defined({ command }) };
}

export const evidenceLineOf = (failure: Failure): string => explain(failure).evidence ?? '';

/** Removes duplicates, moves each finding below its cause, and sorts errors before warnings. */
export function fold(raw: readonly UnfoldedFinding[]): readonly Finding[] {
  const findings = raw.filter((one, index) => raw.findIndex((other) => isSame(one, other)) === index);
  const causeOf = (finding: UnfoldedFinding) =>
    findings.find(({ code }) => code !== finding.code && finding.depends_on.includes(code));
  const grow = (finding: UnfoldedFinding): Finding => ({
    ...finding,
    consequences: findings.filter((one) => causeOf(one) === finding).map(grow),
  });
  const roots = findings.filter((finding) => causeOf(finding) === undefined).map(grow);
  const rank = ({ severity }: Finding) => (severity === 'error' ? 0 : 1);
  return roots.sort((a, b) => rank(a) - rank(b));
}

/** Findings with one code are duplicates, unless the code can concern several places. */
const isSame = (one: UnfoldedFinding, other: UnfoldedFinding): boolean =>
  one.code === other.code && (one.evidence === other.evidence || !hasSeveralPlaces(one.code));

const hasSeveralPlaces = (code: FindingCode): boolean =>
  ['sink', 'listener', 'program'].includes(diagnosisOf(code).area ?? '') ||
  code === 'held_token_dead' ||
  code === 'check_unfinished';
