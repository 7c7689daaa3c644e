// Turns evidence into findings. Findings are folded under their causes.

import { LISTENER_PROBLEMS } from '../../core/listener-problems.ts';
import type { BoundClaims } from '../../core/settings.ts';
import { trustsTooMuch } from '../../setup/trust.ts';
import { currentOf, type Evidence, type ListenerFacts } from './evidence.ts';
import { baseFinding, evidenceLineOf, type Finding, fold, toFinding, type UnfoldedFinding } from './finding.ts';
import { issuerFindings } from './issuer-findings.ts';
import { jwtFindings } from './jwt-findings.ts';
import { loginFindings } from './login-findings.ts';
import { policyFindings } from './name-findings.ts';
import { heldTokenFindings, tokenFindings } from './token-findings.ts';
import { vaultFindings } from './vault-findings.ts';

/** Returns the findings in the order of a login's steps, errors before warnings. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  return fold([
    ...jwtFindings(evidence),
    ...vaultFindings(evidence),
    ...issuerFindings(evidence),
    ...loginFindings(evidence),
    ...tokenFindings(evidence),
    ...heldTokenFindings(evidence),
    ...policyFindings(evidence),
    ...setupFindings(evidence),
    ...sinkFindings(evidence),
    ...unfinishedFindings(evidence),
    ...(evidence.broken ?? []).map(brokenFinding),
  ]);
}

const unfinishedFindings = ({ unfinished = [] }: Pick<Evidence, 'unfinished'>): UnfoldedFinding[] =>
  unfinished.length === 0 ? [] : [baseFinding({ code: 'check_unfinished', evidence: unfinished })];

/** Returns the finding for a doctor check that threw. */
export const brokenFinding = (words: string): UnfoldedFinding => baseFinding({ code: 'internal', evidence: words });

export function diagnoseListeners(
  listeners: readonly ListenerFacts[],
  { broken = [], unfinished = [] }: Pick<Evidence, 'broken' | 'unfinished'> = {},
): readonly Finding[] {
  return fold([
    ...unfinishedFindings({ unfinished }),
    ...broken.map(brokenFinding),
    ...listeners.flatMap(({ key, address, state, failure }) => {
      const refusal = failure === undefined ? [] : [baseFinding(failure)];
      if (state === 'free' || state === 'ours') return refusal;
      const { words, hint } = LISTENER_PROBLEMS[state];
      const finding = baseFinding({ code: 'listen_failed', evidence: `${key} ${address}: ${words}` });
      return [{ ...finding, remedy: hint }, ...refusal];
    }),
  ]);
}

/** Returns one finding per config problem. */
export const diagnoseConfig = (problems: readonly string[]): readonly Finding[] =>
  problems.map((evidence) => ({ ...baseFinding({ code: 'config_invalid', evidence }), consequences: [] }));

function setupFindings(evidence: Evidence): UnfoldedFinding[] {
  const { differences = [], unread = [], setup, settings } = evidence;
  const findings: UnfoldedFinding[] = [];
  const role = currentOf(evidence, 'role');
  const loose =
    role === undefined
      ? setup.stated && settings.login.cel !== true && trustsTooMuch(setup.role)
      : trustsTooMuch(boundsOf(role));
  if (loose)
    findings.push(
      toFinding(
        {
          code: 'role_trusts_all',
          evidence: role === undefined ? `setup.role in the config: ${loose}` : loose,
          severity: 'warning',
        },
        evidence,
      ),
    );
  const words = differences.flatMap(({ step, current, changes }) =>
    current === undefined && changes.length > 0
      ? [`${step.path} doesn't exist`]
      : changes.map(
          ({ member, from, to }) => `${step.path} ${member} ${from ?? 'unset'} -> ${to.split('\n')[0] || 'unset'}`,
        ),
  );
  if (unread.length > 0)
    findings.push(toFinding({ code: 'setup_unseen', evidence: unread, severity: 'warning' }, evidence));
  if (words.length > 0)
    findings.push(toFinding({ code: 'setup_differs', evidence: words, severity: 'warning' }, evidence));
  return findings;
}

/** The bounds of a role in a reply from Vault. */
const boundsOf = (role: Readonly<Record<string, unknown>>): Parameters<typeof trustsTooMuch>[0] => ({
  boundSubject: String(role['bound_subject'] ?? ''),
  boundClaims: (role['bound_claims'] ?? {}) as BoundClaims,
  boundClaimsType: role['bound_claims_type'] === 'glob' ? 'glob' : 'string',
});

function sinkFindings(evidence: Evidence): UnfoldedFinding[] {
  return evidence.sinks.flatMap(({ failure }) => {
    if (failure === undefined) return [];
    if (failure.facts?.kind !== 'ownership' || failure.facts.problem !== 'owner') return [toFinding(failure, evidence)];
    const finding = toFinding(
      { ...failure, evidence: `${evidenceLineOf(failure)}; doctor runs as ${evidence.self}` },
      evidence,
    );
    return [evidence.self.startsWith('0:') ? { ...finding, remedy: AS_ROOT } : finding];
  });
}

const AS_ROOT =
  "If the sidecar runs as that user, run doctor as that user too; if it runs as root, make root the directory's owner.";
