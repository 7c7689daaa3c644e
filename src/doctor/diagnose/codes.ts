// What only doctor can tell, in the same shape as the daemon's failures: a title, a remedy, an exit code.
// `why`: the codes of which this one is a mere consequence; it is folded under the first of them that was found.

import { type Area, ERRORS, type ErrorCode } from '../../core/errors.ts';

export interface DiagnosisEntry {
  /** undefined where it is only advice */
  readonly area: Area | undefined;
  readonly title: string;
  readonly hint: string;
}

const row = (area: Area | undefined, title: string, hint: string): DiagnosisEntry => ({ area, title, hint });

// biome-ignore format: one row a line reads as the table that it is
export const DIAGNOSES = {
  issuer_unreachable_here: row('refusal', "the issuer can't be reached", 'Check its name, DNS, the proxy and the network path; from the Vault server too.'),
  issuer_unpublished: row('refusal', "the issuer's discovery document isn't published", 'Publish it under that name, or correct oidc_discovery_url.'),
  issuer_renamed: row('refusal', 'the discovery document is of another issuer', 'Trust the issuer by the exact name in its document, trailing slash included; the JWT must have the same.'),
  issuer_key_missing: row('refusal', "the issuer doesn't publish the key that signed the JWT", 'Publish the current keys; a JWT that was signed before they changed must be issued again.'),
  issuer_signature: row('refusal', "the JWT isn't signed by the issuer's key", 'Somebody else issued it, or it was cut or changed on its way: check what writes it.'),
  clock_wrong: row('refusal', "this machine's clock and Vault's differ", 'Set the clock that is wrong, here or there: check NTP.'),
  jwt_never_changes: row('jwt', "the JWT's file is a mount of its own, so it will never change", "Mount its directory instead of the file (no subPath)."),
  jwt_unrotated: row('jwt', 'nobody renews the workload JWT', 'Check what rotates it: 90 % of its life are over.'),
  jwt_long_lived: row(undefined, 'the workload JWT lives for more than a day', 'Who copies it can log in until it ends: ask the issuer for an hour or less.'),
  lookup_denied: row(undefined, 'the Vault token may not look itself up', 'Its policies lack read on auth/token/lookup-self: applications that check their token will fail.'),
  token_capped: row(undefined, 'Vault grants a shorter lease than the role asks for', "Lower the role's token_ttl, or raise its token_max_ttl or the mount's max_lease_ttl."),
  token_batch: row(undefined, 'the role gives batch tokens', "They can't be renewed or revoked: set token_type=service unless that is meant."),
  token_uses_limited: row(undefined, 'the Vault token is good for a few requests only', "Renewals would spend them: set the role's token_num_uses to 0."),
  token_outlives_jwt: row(undefined, 'the Vault token lives longer than the JWT', 'Who loses the right to a JWT keeps the token: lower token_ttl if that matters.'),
  token_powerless: row(undefined, 'the Vault token has no policy but "default"', "Set the role's token_policies."),
  role_trusts_all: row(undefined, 'the role lets in every subject of the issuer', 'Bind it: bound_subject, or bound_claims.'),
  held_token_dead: row('refusal', 'Vault refuses the token in the sink', "It was revoked, it expired, or Vault lost it. Ask the sidecar for a new one: kill -USR2 its process, or POST /v1/token/<exchange>/refresh; else it comes at the next renewal."),
  check_unfinished: row('readiness', "a check didn't finish in time", "Nothing is known of what it looks at: the evidence names it. Its host or file system doesn't answer."),
  setup_unseen: row(undefined, "Vault's side can't be compared in full", 'The token in VAULT_TOKEN or ~/.vault-token may not read there, or has ended: log in with "vault login".'),
  setup_differs: row(undefined, "Vault isn't as the config's setup describes it", 'Apply it: vault-token-sidecar setup --apply'),
} as const satisfies Record<string, DiagnosisEntry>;

export type FindingCode = ErrorCode | keyof typeof DIAGNOSES;

export const diagnosisOf = (code: FindingCode): DiagnosisEntry => ({ ...DIAGNOSES, ...ERRORS })[code];

const ISSUER: readonly FindingCode[] = [
  'issuer_unreachable_here',
  'issuer_unpublished',
  'issuer_renamed',
  'issuer_key_missing',
  'issuer_signature',
];
const LOGIN: readonly FindingCode[] = [
  'mount_missing',
  'mount_unconfigured',
  'mount_misconfigured',
  'issuer_mismatch',
  'issuer_unreachable',
  'signature_invalid',
  'role_missing',
  'role_type_oidc',
  'audience_unbound',
  'audience_mismatch',
  'subject_mismatch',
  'claims_mismatch',
  'login_forbidden',
  'renewal_denied',
];

/** A code, and what explains it where both were found. */
export const CAUSES: Readonly<Partial<Record<FindingCode, readonly FindingCode[]>>> = {
  signature_invalid: ISSUER,
  issuer_unreachable: ISSUER,
  mount_misconfigured: ISSUER,
  mount_unconfigured: ISSUER,
  jwt_refused: ['issuer_signature'],
  jwt_expired: ['clock_wrong', 'jwt_never_changes'],
  jwt_not_yet_valid: ['clock_wrong'],
  jwt_unrotated: ['jwt_expired', 'jwt_never_changes', 'clock_wrong'],
  login_forbidden: ['mount_missing', 'bad_response'],
  mount_missing: ['bad_response'],
  renewal_denied: ['token_batch'],
  setup_differs: LOGIN,
  role_trusts_all: ['audience_unbound'],
};
