// Maps Vault's messages about a refused login, renewal or step of the setup to error codes. The messages come from
// hashicorp/vault-plugin-auth-jwt (path_login.go, claims.go), hashicorp/cap (jwt/jwt.go, keyset.go), openbao/openbao
// (builtin/credential/jwt/path_cel_login.go) and Vault's core.
// The first match wins, so order matters. The status alone can't decide: an unreachable issuer also leads to a 400.

import type { ErrorCode } from './errors.ts';

type Refusal = readonly [pattern: RegExp, code: ErrorCode];

const LOGIN: readonly Refusal[] = [
  // before all others, as a CEL program chooses the rest of the message
  [/^error executing cel program|^error converting proto auth/, 'cel_denied'],
  [/could not load configuration/, 'mount_unconfigured'],
  [/missing role|role ".*" could not be found/, 'role_missing'],
  [/role with oidc role_type is not allowed/, 'role_type_oidc'],
  [/missing token/, 'jwt_refused'],
  [/issuer did not match the returned issuer|issuer must not be empty|could not parse CA PEM/, 'mount_misconfigured'],
  [/x509: /, 'issuer_tls'],
  [
    /keyset configuration error|fetching keys|failed to fetch JWKS|JWKS endpoint|JWKS caches|decode keys/,
    'issuer_unreachable',
  ],
  [/error configuring token validator/, 'mount_misconfigured'],
  // before "malformed jwt", which the plugin also reports for a JWT with another algorithm
  [
    /unexpected algorithm|unsupported signing algorithm|invalid algorithm|unexpected signature algorithm/,
    'algorithm_refused',
  ],
  [
    /malformed jwt|error parsing token|token must be signed|multiple signatures|missing kid|Audience|NumericDate/,
    'jwt_refused',
  ],
  [/token signature|failed to verify id token|no known key|no key (set )?found|key set/, 'signature_invalid'],
  [/token is expired/, 'jwt_expired'],
  [/not yet valid|issued in the future/, 'jwt_not_yet_valid'],
  [/invalid issuer \(iss\)/, 'issuer_mismatch'],
  [/invalid subject \(sub\)/, 'subject_mismatch'],
  [/no audiences bound to the role/, 'audience_unbound'],
  [/invalid audience \(aud\)/, 'audience_mismatch'],
  [/no issued at \(iat\)|ambiguous claim/, 'jwt_refused'],
  [/\bclaims?\b/, 'claims_mismatch'],
];

const RENEWAL: readonly Refusal[] = [
  [/past the max TTL|max TTL/, 'renewal_exhausted'],
  [/does not exist during renewal|failed to (?:validate|fetch) (?:cel )?role/, 'role_deleted'],
  [/not renewable|cannot be renewed|invalid lease/, 'renewal_impossible'],
];

const SETUP: readonly Refusal[] = [
  [/invalid token|bad token/, 'operator_token_unknown'],
  [/permission denied/, 'setup_denied'],
  // Vault names no cause, and writes it only to its log
  [/error checking (?:oidc discovery URL|jwks)/, 'setup_issuer_unusable'],
];

/** Returns the error code for a refused login; undefined if no pattern matches. */
export const readLoginRefusal = (words: string): ErrorCode | undefined => firstMatch(LOGIN, words);

/** Returns the error code for a refused renewal; undefined if no pattern matches. */
export const readRenewalRefusal = (words: string): ErrorCode | undefined => firstMatch(RENEWAL, words);

/** Returns the error code for a refused step of the setup. */
export const readSetupRefusal = (words: string): ErrorCode => firstMatch(SETUP, words) ?? 'setup_refused';

function firstMatch(refusals: readonly Refusal[], words: string): ErrorCode | undefined {
  return refusals.find(([pattern]) => pattern.test(words))?.[1];
}
