// The findings that only doctor makes, in the shape of the daemon's failures: title, hint and area. And CAUSES, the codes that
// explain other codes.

import { type Area, ERRORS, type ErrorCode } from '../../core/errors.ts';

export interface DiagnosisEntry {
  /** undefined for advice, which doesn't affect the exit code */
  readonly area: Area | undefined;
  readonly title: string;
  readonly hint: string;
}

const row = (area: Area | undefined, title: string, hint: string): DiagnosisEntry => ({ area, title, hint });

// biome-ignore format: one row per line
export const DIAGNOSES = {
  not_vault: row('vault', 'the server at vault.address is not Vault', 'Correct vault.address: its host, its port, or the load balancer behind it.'),
  issuer_unreachable_here: row('refusal', "the issuer can't be reached", 'Check its host name, DNS, the proxy and the network path, from the Vault server too.'),
  issuer_unpublished: row('refusal', "the issuer doesn't publish a discovery document", 'Publish it at that URL, or correct oidc_discovery_url.'),
  issuer_renamed: row('refusal', 'the discovery document names another issuer', 'Set oidc_discovery_url and bound_issuer to the exact issuer in the document, trailing slash included; the iss of the JWT must equal it.'),
  issuer_key_missing: row('refusal', "the issuer doesn't publish the key that signed the JWT", 'If the issuer rotated its keys, publish the current ones and issue the JWT again. Otherwise another issuer signed it: check the process that writes the JWT.'),
  issuer_signature: row('refusal', "the issuer's key doesn't verify the JWT's signature", 'Check the process that writes the JWT: another issuer signed it, or it was truncated or altered.'),
  address_refused: row('refusal', "the role's token_bound_cidrs exclude this machine's address", "Add the address that Vault sees (remote_address in its audit log) to the role's token_bound_cidrs, or run the workload in a network that is there."),
  clock_wrong: row('refusal', "this machine's clock and Vault's clock differ", 'Check NTP on both machines, and correct the clock that is wrong.'),
  jwt_never_changes: row('jwt', "the JWT's file is a mount of its own and never changes", 'Mount its directory instead of the file (no subPath).'),
  jwt_unrotated: row('jwt', 'the workload JWT was not rotated in time', 'Check the process that rotates it: 90 % of its lifetime has passed.'),
  jwt_in_leeway: row('jwt', 'the workload JWT has expired, and Vault accepts it only within its leeway', "Check the process that rotates the JWT: logins fail once the role's clock_skew_leeway is over, by default 60 s."),
  jwt_long_lived: row(undefined, 'the workload JWT is valid for more than a day', 'Request a JWT that is valid for an hour or less: a stolen copy can log in until it expires.'),
  lookup_denied: row(undefined, 'the Vault token may not look itself up', 'Grant read on auth/token/lookup-self in its policies: applications that check their token fail without it.'),
  token_capped: row(undefined, 'Vault grants a shorter lease than the role asks for', "Lower the role's token_ttl, or raise its token_max_ttl or the mount's max_lease_ttl."),
  token_batch: row(undefined, 'the role issues batch tokens', "Set the role's token_type to service, unless batch is intended: batch tokens can't be renewed or revoked."),
  token_uses_limited: row(undefined, 'the Vault token has a limited number of uses', "Set the role's token_num_uses to 0: each request with the token spends a use."),
  token_outlives_jwt: row(undefined, 'the Vault token outlives the JWT', "Lower the role's token_ttl if a workload that loses its JWT must lose the token too."),
  token_powerless: row(undefined, 'the Vault token has only the policy "default"', "Set the role's token_policies."),
  policy_missing: row(undefined, "a policy doesn't exist in Vault, so it grants nothing", "Write the policy, or correct its name in the role's token_policies and in setup.role.token_policies."),
  role_trusts_all: row(undefined, 'the role accepts every subject of the issuer', "Set the role's bound_subject, or bound_claims if several workloads share the role."),
  held_token_dead: row('refusal', 'Vault rejects a token that the sidecar delivered', "Run vault-token-sidecar refresh --exchange <exchange> beside the sidecar, or kill -USR2 on its process, to get a new token now; otherwise it comes at the next renewal."),
  check_unfinished: row('readiness', "a check didn't finish in time", "Check the host or file system that the evidence names: it doesn't respond, and doctor can't judge it."),
  setup_unseen: row(undefined, "doctor can't compare all of Vault's side with the config", 'Log in with "vault login": the token in VAULT_TOKEN or ~/.vault-token has expired or lacks read permission.'),
  setup_differs: row(undefined, "Vault differs from the config's setup", 'Apply the setup: vault-token-sidecar setup --apply'),
} as const satisfies Record<string, DiagnosisEntry>;

export type FindingCode = ErrorCode | keyof typeof DIAGNOSES;

export const diagnosisOf = (code: FindingCode): DiagnosisEntry => ({ ...DIAGNOSES, ...ERRORS })[code];

const ISSUER: readonly FindingCode[] = [
  'issuer_tls',
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
  'address_refused',
  'renewal_denied',
];

const NOT_VAULT: readonly FindingCode[] = ['not_vault', 'vault_not_http'];

/** The codes that explain a code: doctor folds a finding under the first of its causes that it also found. */
export const CAUSES: Readonly<Partial<Record<FindingCode, readonly FindingCode[]>>> = {
  signature_invalid: ISSUER,
  issuer_unreachable: ISSUER,
  mount_misconfigured: ISSUER,
  mount_unconfigured: ISSUER,
  jwt_refused: ['issuer_signature'],
  jwt_expired: ['clock_wrong', 'jwt_never_changes'],
  jwt_not_yet_valid: ['clock_wrong'],
  jwt_in_leeway: ['jwt_never_changes', 'clock_wrong'],
  jwt_unrotated: ['jwt_expired', 'jwt_never_changes', 'clock_wrong'],
  bad_response: NOT_VAULT,
  login_forbidden: ['mount_missing', ...NOT_VAULT],
  mount_missing: NOT_VAULT,
  renewal_denied: ['token_batch'],
  setup_differs: LOGIN,
  role_trusts_all: ['audience_unbound', 'role_type_oidc'],
};
