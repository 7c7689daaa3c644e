// Adds to a refusal the two values that Vault compared but doesn't report: the JWT's claim, and the bound value in Vault if an
// operator's token could read it.

import type { Failure } from '../../core/errors.ts';
import { printable } from '../../core/secret.ts';
import { claimAt } from '../../core/workload-jwt.ts';
import type { SetupStep } from '../../setup/plan.ts';
import { currentOf, type Evidence } from './evidence.ts';

interface Sides {
  readonly claim: string;
  readonly kind: SetupStep['kind'];
  readonly member: string;
}

const SIDES: Readonly<Partial<Record<Failure['code'], Sides>>> = {
  audience_mismatch: { claim: 'aud', kind: 'role', member: 'bound_audiences' },
  audience_unbound: { claim: 'aud', kind: 'role', member: 'bound_audiences' },
  subject_mismatch: { claim: 'sub', kind: 'role', member: 'bound_subject' },
  issuer_mismatch: { claim: 'iss', kind: 'trust', member: 'bound_issuer' },
};

/** @returns text to append to the evidence; empty if there is nothing to compare */
export function bothSides({ code, facts }: Failure, evidence: Evidence): string {
  const words = facts?.kind === 'reply' ? facts.words : '';
  const { claims } = evidence;
  const sides = SIDES[code] ?? boundClaim(code, words);
  if (claims === undefined || sides === undefined) return '';
  const { claim, kind, member } = sides;
  const current = currentOf(evidence, kind);
  const held = member === 'bound_claims' ? (current?.[member] as typeof current)?.[claim] : current?.[member];
  const theirs =
    current === undefined ? '' : `, the ${kind === 'role' ? "role's" : "mount's"} ${member} ${shown(held)}`;
  return `; the JWT's ${printable(claim)} is ${shown(claimAt(claims, claim))}${theirs}`;
}

/** The bound claim that Vault names in its error message; undefined for user_claim, groups_claim and claim_mappings. */
function boundClaim(code: Failure['code'], words: string): Sides | undefined {
  const [, claim] = /validating claims: claim "([^"]+)"/.exec(words) ?? [];
  return code === 'claims_mismatch' && claim !== undefined
    ? { claim, kind: 'role', member: 'bound_claims' }
    : undefined;
}

function shown(value: unknown): string {
  const text = [value ?? []]
    .flat()
    .map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
    .join(' ');
  return text === '' ? 'missing' : printable(text);
}
