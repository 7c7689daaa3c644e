// Every failure that the daemon knows, in one table: how it is retried, what it concerns, what a person reads.
// A failure is a code and facts. Title and hint come from this table, the line of evidence from facts.ts.

import { evidenceText, type Facts } from './facts.ts';
import { withoutControls } from './secret.ts';
import type { ExchangeSettings } from './settings.ts';

/**
 * How soon the call may be tried again after this failure; schedule.ts has the numbers.
 * - `soon`: jittered backoff up to a minute: it may pass by itself
 * - `slow`: backoff up to five minutes: somebody must change something, yet Vault's word isn't proof
 * - `new-jwt`: the same JWT at most once a minute: another JWT is what helps
 * - `clock`: as soon as Vault's leeway lets the JWT's "not before" pass: two clocks differ
 * - `log-in`: a renewal that is refused for good: logging in is the remedy
 */
export type RetryRule = 'soon' | 'slow' | 'new-jwt' | 'clock' | 'log-in';

/** What a failure concerns, and the exit code of a one-shot command that ends with it. */
export const EXIT_CODES = {
  program: 1,
  config: 2,
  readiness: 3,
  /** Vault answers, and refuses */
  refusal: 4,
  /** Vault can't be reached, or doesn't serve */
  vault: 5,
  jwt: 6,
  sink: 7,
  listener: 8,
} as const;

export type Area = keyof typeof EXIT_CODES;

export interface ErrorEntry {
  readonly retry: RetryRule;
  readonly area: Area;
  readonly title: string;
  /** `<address>`, `<mount>`, `<role>` and `<issuer>` stand for those of the exchange */
  readonly hint: string;
}

const row = (retry: RetryRule, area: Area, title: string, hint: string): ErrorEntry => ({ retry, area, title, hint });

// biome-ignore format: one row a line reads as the table that it is
export const ERRORS = {
  // the program and its config
  internal: row('soon', 'program', 'a bug in the sidecar', 'Please report it, with the log lines around it.'),
  config_invalid: row('slow', 'config', "the config isn't valid", 'Correct what the message names; "vault-token-sidecar schema" prints the JSON Schema.'),
  not_ready: row('soon', 'readiness', 'not ready within the time', 'See "vault-token-sidecar status" for what is missing.'),
  listen_failed: row('soon', 'listener', "an address can't be listened on", 'Another process may hold the port: change api.listen or ops.listen.'),
  caller_token_unusable: row('soon', 'config', "the caller token can't be read", "Check api.caller_token_file: a regular file with the secret, readable by the sidecar's user; clients get 401."),

  // the workload JWT, before it leaves the machine
  jwt_missing: row('new-jwt', 'jwt', 'there is no workload JWT', 'Check that the issuer writes the JWT to the configured place, and that its directory is mounted.'),
  jwt_unreadable: row('new-jwt', 'jwt', "the workload JWT can't be read", "Give the sidecar's user read access: fsGroup in Kubernetes, the file's group elsewhere."),
  jwt_read_stuck: row('new-jwt', 'jwt', 'reading the workload JWT hangs', "The file system doesn't answer: check the mount."),
  jwt_not_a_file: row('new-jwt', 'jwt', "the workload JWT's path is not a regular file", 'Point source.file.path at the token file itself.'),
  jwt_too_large: row('new-jwt', 'jwt', 'the workload JWT is larger than 64 KiB', 'The path names something else than a JWT.'),
  jwt_empty: row('new-jwt', 'jwt', 'the workload JWT is empty', "The issuer hasn't written it yet, or was stopped while writing."),
  jwt_malformed: row('new-jwt', 'jwt', 'what should be the workload JWT is none', 'A JWT is three base64url parts with dots between them: check what writes the file.'),
  jwt_wrong_issuer: row('new-jwt', 'jwt', 'the workload JWT has another issuer than expected', 'Correct expect.issuer, or have the JWT issued by the right issuer.'),
  jwt_wrong_audience: row('new-jwt', 'jwt', 'the workload JWT is for another audience than expected', 'Ask the issuer for the audience in expect.audience (in Kubernetes: "audience" of the projected token).'),
  jwt_wrong_subject: row('new-jwt', 'jwt', 'the workload JWT has another subject than expected', 'Correct expect.subject, or run the workload under the right account.'),
  identity_token_missing: row('new-jwt', 'jwt', 'there is no Vault token to ask for an identity token with', 'Check source.vault_identity: its token_file, or the exchange that it names.'),
  identity_refused: row('new-jwt', 'jwt', "the source Vault refuses an identity token", "The token needs an entity, and read on identity/oidc/token/<role>; the role must exist, its key must allow its client_id."),

  // Vault can't be reached, or doesn't serve
  vault_unreachable: row('soon', 'vault', "Vault can't be reached", 'Check vault.address, the network policy, and that Vault runs.'),
  vault_name_unknown: row('soon', 'vault', "Vault's host name can't be resolved", 'Check the host in vault.address, and DNS.'),
  vault_timeout: row('soon', 'vault', "Vault didn't answer in time", "Check the network path and Vault's load; vault.timeout sets the limit."),
  vault_call_stuck: row('soon', 'vault', 'a call to Vault brought no result', 'It is given up and made again; report it if it recurs.'),
  vault_connection_lost: row('soon', 'vault', 'the connection to Vault broke off', 'Check load balancers and proxies on the way.'),
  vault_tls: row('slow', 'vault', "Vault's TLS certificate isn't trusted", 'Set vault.tls.ca_file to the CA that signed it, and vault.tls.server_name to a name in it.'),
  vault_tls_files: row('slow', 'vault', "a file under vault.tls can't be used", 'Each must be readable PEM, certificate and key a pair.'),
  vault_not_http: row('slow', 'vault', "what answers at Vault's address doesn't speak its protocol", 'Check http against https, and the port, in vault.address.'),
  vault_proxy: row('soon', 'vault', 'the proxy refused the way to Vault', 'Check HTTPS_PROXY and NO_PROXY, or set vault.use_proxy_env to false.'),
  vault_sealed: row('soon', 'vault', 'Vault is sealed', 'An operator must unseal it: vault operator unseal.'),
  vault_no_leader: row('soon', 'vault', 'Vault has no active node', 'An election is going on, or the cluster has lost its quorum.'),
  vault_uninitialized: row('slow', 'vault', "Vault isn't initialised", 'Run vault operator init, or correct vault.address.'),
  vault_rate_limited: row('soon', 'vault', 'Vault limits the rate of requests', 'Raise the quota, or spread the clients.'),
  vault_locked: row('soon', 'vault', 'the Vault namespace is locked', 'An administrator must unlock it: vault namespace unlock.'),
  vault_behind: row('soon', 'vault', 'this Vault node lags behind', 'It passes when replication catches up.'),
  vault_unavailable: row('soon', 'vault', 'Vault, or something before it, answered with a server error', "Look into Vault's log at this time."),
  redirect_blocked: row('slow', 'vault', "Vault redirected to a host that isn't allowed", "Name the active node's host in vault.redirect_hosts, or let standbys forward requests."),
  bad_response: row('soon', 'vault', 'the answer is not one that Vault gives', "A portal or load balancer may answer in Vault's place: check vault.address."),
  token_wrapped: row('slow', 'vault', 'Vault answered with a wrapped token', 'Take response wrapping off the way to Vault: a daemon needs the token itself.'),
  mfa_required: row('slow', 'vault', 'Vault asks for a second factor', 'Exempt this mount from login MFA: a daemon has no second factor.'),

  // Vault answers, and refuses the login
  login_forbidden: row('slow', 'refusal', 'Vault forbids the login', "Check login.mount and the namespace (an unknown path is answered so), then the role's token_bound_cidrs."),
  mount_missing: row('slow', 'refusal', "the auth mount doesn't exist", 'Enable it with "vault auth enable -path=<mount> jwt" on <address>, or correct login.mount or login.namespace.'),
  mount_unconfigured: row('slow', 'refusal', 'the auth mount trusts no issuer yet', 'Set it: vault write auth/<mount>/config oidc_discovery_url=<issuer> bound_issuer=<issuer>'),
  mount_misconfigured: row('slow', 'refusal', "the auth mount's trust config doesn't work", 'Compare oidc_discovery_url with the "issuer" of its discovery document: they must be equal.'),
  issuer_unreachable: row('soon', 'refusal', "Vault can't fetch the issuer's keys", 'From the Vault server, fetch <issuer>/.well-known/openid-configuration and its jwks_uri.'),
  role_missing: row('slow', 'refusal', "the role doesn't exist", 'Role "<role>" isn\'t at auth/<mount> on <address>: create it with "vault write auth/<mount>/role/<role> ...", or correct login.role.'),
  role_type_oidc: row('slow', 'refusal', 'the role is of type oidc', 'Write the role again with role_type=jwt.'),
  audience_unbound: row('slow', 'refusal', 'the JWT has an audience, but the role names none', "Set the role's bound_audiences to the JWT's audience (required since Vault 1.17)."),
  audience_mismatch: row('slow', 'refusal', "the JWT's audience isn't one of the role's", "Set the role's bound_audiences to the JWT's audience: it must match exactly."),
  issuer_mismatch: row('slow', 'refusal', "the JWT's issuer isn't the one that the mount trusts", "Set bound_issuer in auth/<mount>/config to the JWT's issuer, trailing slash included."),
  subject_mismatch: row('slow', 'refusal', "the JWT's subject isn't the role's", "Set the role's bound_subject to the JWT's subject: it must match exactly."),
  claims_mismatch: row('slow', 'refusal', "the JWT's claims aren't those that the role demands", "Compare the role's bound_claims, user_claim, groups_claim and claim_mappings with the JWT."),
  signature_invalid: row('soon', 'refusal', "Vault can't verify the JWT's signature", "The issuer's published keys may be out of date, or the JWT is of another issuer."),
  algorithm_refused: row('slow', 'refusal', "the JWT's algorithm isn't accepted", 'Use RS256, ES256 or EdDSA, or set jwt_supported_algs in auth/<mount>/config.'),
  jwt_expired: row('new-jwt', 'refusal', 'the workload JWT has expired', 'Its issuer must write a new one: check what rotates the file (a subPath mount never changes).'),
  jwt_not_yet_valid: row('clock', 'refusal', "the workload JWT isn't valid yet", "The issuer's clock and Vault's differ: check NTP on both."),
  jwt_refused: row('new-jwt', 'refusal', 'Vault takes the workload JWT for malformed', 'Check what writes the file: Vault wants one signed compact JWT with iat, nbf or exp.'),
  login_refused: row('slow', 'refusal', 'Vault refuses the login', "Vault's own words are in the evidence."),
  setup_refused: row('slow', 'refusal', 'Vault refuses a step of the setup', 'Correct what Vault names; where it denies permission, the token in VAULT_TOKEN or ~/.vault-token needs it (mounts: sudo).'),

  // Vault answers, and refuses the renewal
  renewal_denied: row('log-in', 'refusal', 'Vault denies the renewal', 'The token was revoked or lost, or its policies lack update on auth/token/renew-self.'),
  renewal_impossible: row('log-in', 'refusal', "the Vault token can't be renewed", 'It is a batch token or not renewable: it is replaced by logging in.'),
  renewal_exhausted: row('log-in', 'refusal', 'the Vault token has reached its maximum TTL', "It is replaced by logging in; raise the role's token_max_ttl if that is too often."),
  role_deleted: row('log-in', 'refusal', "the Vault token's role was deleted", 'Create it again: vault write auth/<mount>/role/<role> ...'),

  // the Vault token can't be put in place
  sink_no_space: row('soon', 'sink', "there is no space for the sink's file", "Free space on the volume, or raise the emptyDir's sizeLimit."),
  sink_denied: row('soon', 'sink', "the sink's file may not be written", 'Mount its directory writable, and give the sidecar\'s user write access to it.'),
  sink_owner: row('soon', 'sink', "the sink's file can't be given its owner or mode", 'Drop uid and gid from the sink, or let the sidecar be in that group.'),
  sink_directory_missing: row('soon', 'sink', "the sink's directory doesn't exist", 'Create it, or mount the shared volume there.'),
  sink_directory_unsafe: row('soon', 'sink', "the sink's directory could be changed by others", "It and each directory above it must belong to root or the sidecar's user; others must not be able to write there."),
  sink_blocked: row('soon', 'sink', "something else stands in the sink's place", 'Remove it; mount the directory, never the single file.'),
  sink_write_stuck: row('soon', 'sink', "writing the sink's file hangs", "The file system doesn't answer: check the mount."),
  sink_failed: row('soon', 'sink', "the sink's file can't be written", 'See the evidence for what the system said.'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure as a value: it travels in events and stays in the state. */
export interface Failure {
  readonly code: ErrorCode;
  readonly facts?: Facts;
  /** from Vault's Retry-After */
  readonly retryAfterMs?: number;
}

export const isFailure = (outcome: unknown): outcome is Failure =>
  typeof outcome === 'object' && outcome !== null && 'code' in outcome;

/** What a leaf throws; its message is fit for one log line. The runner turns it into the matching failure event. */
export class ExchangeError extends Error {
  readonly failure: Failure;

  constructor(code: ErrorCode, facts?: Facts) {
    const failure = facts === undefined ? { code } : { code, facts };
    const { title, evidence, hint } = explain(failure);
    super(evidence === undefined ? `${title}. ${hint}` : `${title}: ${evidence}. ${hint}`);
    this.name = 'ExchangeError';
    this.failure = failure;
  }
}

/** Throws the failure, or returns what isn't one. @throws ExchangeError */
export function unlessFailure<T extends object>(outcome: T | Failure): T {
  if (isFailure(outcome)) throw new ExchangeError(outcome.code, outcome.facts);
  return outcome;
}

export const entryOf = (failure: Failure): ErrorEntry => ERRORS[failure.code];

/** Vault answered, and refused what it was sent: neither the way to it nor its own state is the reason. */
export const isRefusal = (failure: Failure): boolean => entryOf(failure).area === 'refusal';

export const exitCodeOf = ({ code }: Pick<Failure, 'code'>): number => EXIT_CODES[ERRORS[code].area];

/** Where an exchange logs in, for hints that name it. */
export type LoginPlace = Pick<ExchangeSettings, 'vault' | 'login' | 'expect'>;

/** A failure in words. */
export interface Explanation {
  readonly code: ErrorCode;
  readonly title: string;
  readonly evidence: string | undefined;
  readonly hint: string;
}

/** Returns title, evidence and hint, each one line that is safe to show. Without a place, hints keep their placeholders. */
export function explain({ code, facts }: Failure, place?: LoginPlace): Explanation {
  const { title, hint } = ERRORS[code];
  const evidence = facts && withoutControls(evidenceText(facts));
  return { code, title, evidence, hint: place === undefined ? hint : hintFor(hint, place) };
}

/** Fills the placeholders of a hint. A value that a shell could misread leaves its placeholder in place. */
export function hintFor(hint: string, { vault, login, expect }: LoginPlace): string {
  const values = { address: vault.address, mount: login.mount, role: login.role, issuer: expect.issuer };
  return hint.replace(/<(address|mount|role|issuer)>/g, (placeholder, name: keyof typeof values) => {
    const value = values[name];
    return value !== undefined && /^[\w.:/@-]+$/.test(value) ? value : placeholder;
  });
}
