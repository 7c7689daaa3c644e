// Whom a role of the JWT auth method lets in, judged by its bounds: for the plan of `setup` and for a role that is there.
// https://developer.hashicorp.com/vault/api-docs/auth/jwt#create-update-role

import type { RoleSettings } from '../core/settings.ts';

/** Claims that all JWTs of an issuer may share: they don't tell one workload from another. */
const SHARED_CLAIMS: ReadonlySet<string> = new Set(['iss', 'aud', 'exp', 'iat', 'nbf', 'typ', '/iss', '/aud']);

/** How subjects and claims of the usual issuers begin, whatever the workload. */
const COMMON_BEGINNINGS = [
  'system:serviceaccount:',
  'project_path:',
  'repo:',
  'repository:',
  'organization:',
  'spiffe://',
  'https://',
  'http://',
];

/** Returns why the role lets in too many; undefined if its bounds name a workload. */
export function trustsTooMuch({
  boundSubject,
  boundClaims = {},
  boundClaimsType,
}: Pick<RoleSettings, 'boundSubject' | 'boundClaims' | 'boundClaimsType'>): string | undefined {
  if (boundSubject !== undefined && boundSubject !== '') return undefined;
  const claims = Object.entries(boundClaims).filter(([name]) => !SHARED_CLAIMS.has(name));
  const loose = claims.filter(([, values]) => boundClaimsType === 'glob' && [values].flat().some(matchesTooMuch));
  // all of the bound claims must match, so one that names the workload is enough
  if (claims.length > loose.length) return undefined;
  const [first] = loose;
  return first === undefined
    ? 'every subject of the issuer may log in'
    : `the glob for ${first[0]} matches nearly everything (${[first[1]].flat().find(matchesTooMuch)})`;
}

/** A glob that fixes fewer than four characters before its first star, or only what all workloads have in common. */
function matchesTooMuch(glob: string): boolean {
  const star = glob.indexOf('*');
  const fixed = glob.slice(0, star);
  return star !== -1 && (fixed.length < 4 || COMMON_BEGINNINGS.some((beginning) => beginning.startsWith(fixed)));
}
