// Names that don't exist in Vault, and the existing names that were probably meant.

import { nearest } from '../../core/nearest.ts';
import { printable, shortened } from '../../core/secret.ts';
import type { Evidence } from './evidence.ts';
import { toFinding, type UnfoldedFinding } from './finding.ts';

const inQuotes = (name: string): string => `"${printable(name)}"`;

/** Policies that the setup, the role or the token names. */
export function policyFindings(evidence: Evidence): UnfoldedFinding[] {
  const { missingPolicies = [], policies = [] } = evidence.existing ?? {};
  if (missingPolicies.length === 0) return [];
  const words = missingPolicies.map((name) => {
    const meant = nearest(name, policies);
    return meant === undefined ? inQuotes(name) : `${inQuotes(name)}; did you mean ${inQuotes(meant)}?`;
  });
  return [toFinding({ code: 'policy_missing', evidence: words, severity: 'warning' }, evidence)];
}

/** Adds the existing roles to a finding on a missing role. */
export const withRoles = (finding: UnfoldedFinding, { settings: { login }, existing }: Evidence): UnfoldedFinding =>
  withNames(finding, {
    key: 'login.role',
    wish: login.role,
    names: existing?.roles,
    place: `auth/${login.mount} has roles`,
  });

/** Adds the existing mounts to a finding on a missing mount. */
export const withMounts = (finding: UnfoldedFinding, { settings: { login }, existing }: Evidence): UnfoldedFinding =>
  withNames(finding, {
    key: 'login.mount',
    wish: login.mount,
    names: existing?.jwtMounts,
    place: 'JWT auth methods are at',
  });

interface Wish {
  readonly key: string;
  readonly wish: string;
  readonly names: readonly string[] | undefined;
  readonly place: string;
}

const MOST_NAMES = 8;

function withNames(finding: UnfoldedFinding, { key, wish, names = [], place }: Wish): UnfoldedFinding {
  if (names.length === 0) return finding;
  const rest = names.length - MOST_NAMES;
  const some = names.slice(0, MOST_NAMES).map(printable).join(', ');
  const evidence = shortened(`${finding.evidence}; ${place} ${some}${rest > 0 ? `, and ${rest} more` : ''}`, 800);
  const meant = nearest(wish, names);
  if (meant === undefined) return { ...finding, evidence };
  return {
    ...finding,
    evidence,
    remedy: `Did you mean ${inQuotes(meant)}? If so, correct ${key}. Otherwise: ${finding.remedy}`,
  };
}
