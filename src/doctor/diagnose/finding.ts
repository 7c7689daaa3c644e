// A finding of doctor's: what is wrong, why one thinks so, what to do; and how findings are folded under their causes.

import { defined } from '../../core/defined.ts';
import { EXIT_CODES, hintFor } from '../../core/errors.ts';
import { evidenceText, type Facts } from '../../core/facts.ts';
import { shortened } from '../../core/secret.ts';
import { CAUSES, diagnosisOf, type FindingCode } from './codes.ts';
import { commandFor } from './commands.ts';
import type { Evidence } from './evidence.ts';

export interface Finding {
  readonly code: FindingCode;
  readonly title: string;
  /** the exit code of doctor if this is its first error; 0 where it is only advice */
  readonly exit: number;
  readonly severity: 'error' | 'warning';
  readonly evidence?: string;
  readonly remedy: string;
  /** to paste into a shell; undefined where the remedy is no command */
  readonly command?: string;
  /** the codes that explain this one, where they were found too */
  readonly depends_on: readonly FindingCode[];
  /** what this one explains */
  readonly consequences: readonly Finding[];
}

/** not folded yet */
export type UnfoldedFinding = Omit<Finding, 'consequences'>;

/** A failure, or what only doctor knows. */
export interface Observation {
  readonly code: FindingCode;
  readonly facts?: Facts;
  /** of one line, or several; the line that the facts make if left out */
  readonly evidence?: string | readonly string[];
  readonly severity?: 'error' | 'warning';
}

const MOST_CHARACTERS = 800;

/** Makes a finding without a command. Each line of evidence is short and safe to show. */
export function baseFinding({ code, facts, evidence, severity = 'error' }: Observation): UnfoldedFinding {
  const { title, hint, area } = diagnosisOf(code);
  const lines = [evidence ?? (facts && evidenceText(facts)) ?? []]
    .flat()
    .map((line) => shortened(line, MOST_CHARACTERS));
  const shown = lines.length === 0 ? {} : { evidence: lines.join('\n') };
  const exit = area === undefined ? 0 : EXIT_CODES[area];
  return { code, severity, title, ...shown, remedy: hint, exit, depends_on: CAUSES[code] ?? [] };
}

/** The same with the hint's placeholders filled in, and with the command that mends it where there is one. */
export function toFinding(observation: Observation, evidence: Evidence): UnfoldedFinding {
  const finding = baseFinding(observation);
  const remedy = hintFor(finding.remedy, evidence.settings);
  const command = commandFor(observation.code, evidence, observation.facts);
  return { ...finding, remedy, ...defined({ command }) };
}

/** Errors first; what another finding explains goes below it, and the same thing is told once. */
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

/** The same code twice is one finding, unless it can concern several places. */
const isSame = (one: UnfoldedFinding, other: UnfoldedFinding): boolean =>
  one.code === other.code && (one.evidence === other.evidence || !hasSeveralPlaces(one.code));

const hasSeveralPlaces = (code: FindingCode): boolean =>
  ['sink', 'listener', 'program'].includes(diagnosisOf(code).area ?? '') ||
  code === 'held_token_dead' ||
  code === 'check_unfinished';
