// A finding of doctor's: what is wrong, why one thinks so, what to do; and how findings are folded under their causes.

import { shortened } from '../../core/secret.ts';
import { CAUSES, type DiagnosisFacts, diagnosisOf, type FindingCode } from './codes.ts';
import { commandFor } from './commands.ts';
import type { Evidence } from './evidence.ts';

export interface Finding extends Pick<DiagnosisFacts, 'title' | 'exit'> {
  readonly code: FindingCode;
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
  /** of one line, or several */
  readonly evidence?: string | readonly string[];
  readonly severity?: 'error' | 'warning';
}

const MOST_CHARACTERS = 800;

/** The one place where evidence becomes text for people: each line short, with nothing in it that a terminal would obey. */
export function baseFinding({ code, evidence, severity = 'error' }: Observation): UnfoldedFinding {
  const { title, hint, exit } = diagnosisOf(code);
  const lines = [evidence ?? []].flat().map((line) => shortened(line, MOST_CHARACTERS));
  const shown = lines.length === 0 ? {} : { evidence: lines.join('\n') };
  return { code, severity, title, ...shown, remedy: hint, exit, depends_on: CAUSES[code] ?? [] };
}

export function toFinding(observation: Observation, evidence: Evidence): UnfoldedFinding {
  const command = commandFor(observation.code, evidence, [observation.evidence ?? ''].flat().join(' '));
  return { ...baseFinding(observation), ...(command === undefined ? {} : { command }) };
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

/** The same code twice is one finding, but for places of which there are several. */
const isSame = (one: UnfoldedFinding, other: UnfoldedFinding): boolean =>
  one.code === other.code &&
  (one.evidence === other.evidence || !/^(sink_|listen_|held_|check_|internal$)/.test(one.code));
