// Findings on the token of doctor's login, and on the tokens that the sidecar delivered.

import type { Failure } from '../../core/errors.ts';
import type { FindingCode } from './codes.ts';
import type { Evidence } from './evidence.ts';
import { baseFinding, evidenceLineOf, toFinding, type UnfoldedFinding } from './finding.ts';
import { ago, lifeOf } from './life.ts';

export function tokenFindings(evidence: Evidence): UnfoldedFinding[] {
  const { login, lookup, renewal } = evidence;
  const grant = login?.seen;
  if (grant === undefined) return [];
  const warn = (code: FindingCode, words: string) =>
    toFinding({ code, evidence: words, severity: 'warning' }, evidence);
  const findings: UnfoldedFinding[] = [];
  if (grant.type === 'batch') findings.push(warn('token_batch', 'token type batch'));
  if (grant.numUses > 0) findings.push(warn('token_uses_limited', `${grant.numUses} uses`));
  if (renewal?.failure !== undefined && grant.renewable)
    findings.push(toFinding({ ...renewal.failure, severity: 'warning' }, evidence));
  if (lookup?.failure !== undefined && grant.numUses === 0)
    findings.push(warn('lookup_denied', evidenceLineOf(lookup.failure)));
  const capped = grant.warnings.find((warning) => /capped|exceeded/.test(warning));
  if (capped !== undefined) findings.push(warn('token_capped', capped));
  const life = lifeOf(evidence);
  if (life !== undefined && grant.leaseMs > life)
    findings.push(warn('token_outlives_jwt', `the lease is ${ago(grant.leaseMs)}, the JWT lives ${ago(life)}`));
  if (grant.policies.every((policy) => policy === 'default')) findings.push(warn('token_powerless', 'policy default'));
  return findings;
}

/** A denied lookup proves a dead token only if Vault calls it unknown, or if the role's tokens may look themselves up. */
export function heldTokenFindings({ held = [], lookup, login }: Evidence): UnfoldedFinding[] {
  return held.flatMap(({ name, lookup: { failure } }) => {
    if (failure?.code !== 'token_rejected') return [];
    const isDead = isUnknownToken(failure) || (login?.seen && lookup?.seen) === true;
    return isDead ? [baseFinding({ code: 'held_token_dead', evidence: `${name}: ${evidenceLineOf(failure)}` })] : [];
  });
}

const isUnknownToken = ({ facts }: Failure): boolean =>
  facts?.kind === 'reply' && /invalid token|bad token/.test(facts.words);
