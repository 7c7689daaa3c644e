// Reports whether the bounds of a JWT role, planned or existing, accept too many workloads.
// https://developer.hashicorp.com/vault/api-docs/auth/jwt#create-update-role

import type { RoleSettings } from '../core/settings.ts';

/** Claims that don't identify a workload, as all JWTs of an issuer may share them. */
const SHARED_CLAIMS: ReadonlySet<string> = new Set(['iss', 'aud', 'exp', 'iat', 'nbf', 'typ', '/iss', '/aud']);

/** The prefixes of subjects and claims that common issuers use for every workload. */
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

/** Returns why the role accepts too many workloads; undefined if its bounds identify a workload. */
export function trustsTooMuch({
  boundSubject,
  boundClaims = {},
  boundClaimsType,
}: Pick<RoleSettings, 'boundSubject' | 'boundClaims' | 'boundClaimsType'>): string | undefined {
  if (boundSubject !== undefined && boundSubject !== '') return undefined;
  const claims = Object.entries(boundClaims).filter(([name]) => !SHARED_CLAIMS.has(name));
  const loose = claims.filter(([, values]) => boundClaimsType === 'glob' && [values].flat().some(matchesTooMuch));
  // All bound claims must match, so one that identifies the workload is enough.
  if (claims.length > loose.length) return undefined;
  const [first] = loose;
  return first === undefined
    ? 'every subject of the issuer may log in'
    : `the glob for ${first[0]} matches nearly everything (${[first[1]].flat().find(matchesTooMuch)})`;
}

/** Reports whether a glob has fewer than four characters before its first star, or only a prefix that all workloads share. */
function matchesTooMuch(glob: string): boolean {
  const star = glob.indexOf('*');
  const fixed = glob.slice(0, star);
  return star !== -1 && (fixed.length < 4 || COMMON_BEGINNINGS.some((beginning) => beginning.startsWith(fixed)));
}
