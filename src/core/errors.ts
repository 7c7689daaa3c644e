// The table of all failures: retry rule, area, title and hint. A failure is a code with facts; facts.ts renders the facts as
// one line of evidence.

import { defined } from './defined.ts';
import { evidenceText, type Facts } from './facts.ts';
import { isAtOidcPub } from './hosts.ts';
import { LISTENER_PROBLEMS } from './listener-problems.ts';
import { withoutControls } from './secret.ts';
import type { ExchangeSettings } from './settings.ts';

/**
 * How soon to retry after this failure; schedule.ts has the numbers.
 * - `soon`: jittered backoff up to one minute, for failures that may be transient
 * - `slow`: backoff up to five minutes, for failures that need an operator. The retries go on, as Vault reports some
 *   transient failures in the same way.
 * - `new-jwt`: at most one retry per minute with the same JWT, as only a new JWT helps
 * - `clock`: as soon as Vault's clock leeway covers the JWT's "not before"
 * - `log-in`: a permanently refused renewal: log in instead
 */
export type RetryRule = 'soon' | 'slow' | 'new-jwt' | 'clock' | 'log-in';

/** The areas of failures, with the exit code of a one-shot command that fails in that area. */
export const EXIT_CODES = {
  program: 1,
  config: 2,
  readiness: 3,
  /** Vault refuses the request */
  refusal: 4,
  /** Vault refuses a step of the setup */
  setup: 4,
  /** Vault is unreachable, sealed or failing */
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
  /**
   * may hold placeholders: `hintFor` fills in `<address>`, `<mount>`, `<role>` and `<issuer>`; `explain` fills in `<path>` and
   * `<capabilities>`
   */
  readonly hint: string;
}

const row = (retry: RetryRule, area: Area, title: string, hint: string): ErrorEntry => ({ retry, area, title, hint });

// biome-ignore format: one row per line
export const ERRORS = {
  // the program and its config
  internal: row('soon', 'program', 'the sidecar hit a bug', 'Report it as an issue, with the log lines around it.'),
  config_invalid: row('slow', 'config', 'the config is invalid', 'Correct the keys that the message names; "vault-token-sidecar schema" prints the JSON Schema.'),
  not_ready: row('soon', 'readiness', "the sidecar isn't ready", 'Run "vault-token-sidecar status" to see what is missing.'),
  listen_failed: row('soon', 'listener', "the sidecar can't listen on an address", 'Stop the process that holds the address, or change "listen" in api or ops.'),
  caller_token_unusable: row('soon', 'config', "the caller token can't be read", "Make api.caller_token_file a regular file with the secret, readable by the sidecar's user; until then, clients get 401."),

  // the workload JWT, before it leaves the machine
  jwt_missing: row('new-jwt', 'jwt', 'there is no workload JWT', 'Check that the issuer writes the JWT to the configured source, and that its directory is mounted.'),
  jwt_unreadable: row('new-jwt', 'jwt', "the workload JWT can't be read", "Give the sidecar's user read access: set fsGroup in Kubernetes; elsewhere, change the file's group."),
  jwt_read_stuck: row('new-jwt', 'jwt', 'reading the workload JWT hangs', "Check the mount: its file system doesn't respond."),
  jwt_not_a_file: row('new-jwt', 'jwt', "the workload JWT's path is not a regular file", 'Point source.file.path at the token file itself.'),
  jwt_too_large: row('new-jwt', 'jwt', 'the workload JWT is larger than 64 KiB', 'Correct source.file.path: a file of that size is not a JWT.'),
  jwt_empty: row('new-jwt', 'jwt', 'the workload JWT is empty', 'Check the process that writes it: it has not run yet, or it stopped while writing.'),
  jwt_malformed: row('new-jwt', 'jwt', 'the workload JWT is malformed', 'Check the process that writes it: a JWT is three base64url parts separated by dots.'),
  jwt_wrapped: row('new-jwt', 'jwt', 'the workload JWT has other text around it', 'Write the JWT alone, without "Bearer", quotes or a variable name; take it out of a JSON document with a command such as "jq -r .token".'),
  jwt_wrong_issuer: row('new-jwt', 'jwt', 'the workload JWT has the wrong issuer', 'Correct expect.issuer, or get the JWT from that issuer.'),
  jwt_wrong_audience: row('new-jwt', 'jwt', 'the workload JWT has the wrong audience', 'Request the audience in expect.audience from the issuer (in Kubernetes: "audience" of the projected token), or correct expect.audience.'),
  jwt_wrong_subject: row('new-jwt', 'jwt', 'the workload JWT has the wrong subject', 'Correct expect.subject, or run the workload under the right service account.'),
  jwt_request_incomplete: row('new-jwt', 'jwt', "the request for the workload JWT can't be sent", 'Provide the variables and files that source.http names; in GitHub Actions, give the job the permission "id-token: write".'),
  jwt_endpoint_unreachable: row('new-jwt', 'jwt', "the endpoint of the workload JWT can't be reached", 'Check source.http.url and the network path, and with use_proxy_env also HTTPS_PROXY and NO_PROXY; metadata services answer only on their own machines.'),
  jwt_endpoint_tls: row('new-jwt', 'jwt', "the TLS connection to the endpoint of the workload JWT can't be made", 'Set source.http.tls.ca_file to the CA that signed its certificate, and server_name to a name in it; check that each file under source.http.tls is readable PEM.'),
  jwt_endpoint_failing: row('new-jwt', 'jwt', 'the endpoint of the workload JWT fails', 'Check the service behind source.http.url; while a metadata service restarts, the sidecar retries.'),
  jwt_endpoint_refused: row('new-jwt', 'jwt', 'the endpoint refuses to issue a workload JWT', 'Check the url, the query and the headers in source.http, and that the machine has the identity; redirects are not followed.'),
  jwt_endpoint_unusable: row('new-jwt', 'jwt', "the endpoint's reply holds no workload JWT", 'Check source.http.url, and that json_pointer names the member with the JWT (empty if the reply is the JWT).'),
  identity_token_missing: row('new-jwt', 'jwt', 'there is no Vault token to request the identity token with', 'Check source.vault_identity: its token_file, or the exchange that it names.'),
  identity_refused: row('new-jwt', 'jwt', 'the issuing Vault refuses to issue an identity token', 'Check that the token has an entity and may read identity/oidc/token/ for source.vault_identity.role, that this role exists, and that its key allows its client_id.'),

  // Vault is unreachable, sealed or failing
  vault_unreachable: row('soon', 'vault', "Vault can't be reached", 'Check vault.address and the network policy, and that Vault is running.'),
  vault_name_unknown: row('soon', 'vault', "Vault's host name can't be resolved", 'Check the host in vault.address, and DNS.'),
  vault_timeout: row('soon', 'vault', "Vault didn't answer in time", "Check the network path and Vault's load; vault.timeout sets the limit."),
  vault_call_stuck: row('soon', 'vault', 'a call to Vault never returned', 'Report it if it recurs; the sidecar gives the call up and retries.'),
  vault_connection_lost: row('soon', 'vault', 'the connection to Vault was lost', 'Check the load balancers and proxies between the sidecar and Vault.'),
  vault_tls: row('slow', 'vault', "Vault's TLS certificate isn't trusted", 'Set vault.tls.ca_file to the CA that signed it, and vault.tls.server_name to a name in it.'),
  vault_tls_files: row('slow', 'vault', "a file under vault.tls can't be used", 'Check that each file is readable PEM, and that client_cert_file and client_key_file are a pair.'),
  vault_not_http: row('slow', 'vault', "the server at vault.address doesn't speak the expected protocol", 'Check the scheme (http or https) and the port in vault.address.'),
  vault_proxy: row('soon', 'vault', 'the proxy refused the connection to Vault', 'Check HTTPS_PROXY and NO_PROXY, or set vault.use_proxy_env to false.'),
  vault_sealed: row('soon', 'vault', 'Vault is sealed', 'Ask an operator to unseal it: vault operator unseal.'),
  vault_no_leader: row('soon', 'vault', 'Vault has no active node', 'Wait for the election to end; if it lasts, check whether the cluster has lost its quorum.'),
  vault_uninitialized: row('slow', 'vault', "Vault isn't initialised", 'Run vault operator init, or correct vault.address.'),
  vault_rate_limited: row('soon', 'vault', 'Vault limits the rate of requests', "Raise Vault's rate limit quota, or spread the clients."),
  vault_locked: row('soon', 'vault', 'the Vault namespace is locked', 'Ask an administrator to unlock it: vault namespace unlock.'),
  vault_behind: row('soon', 'vault', "this Vault node's replication lags behind", 'Wait until replication catches up.'),
  vault_unavailable: row('soon', 'vault', 'Vault or a proxy in front of it answered with a server error', "Check Vault's and the proxy's logs at this time."),
  redirect_blocked: row('slow', 'vault', "Vault redirected to a host that isn't allowed", "Add the active node's host to vault.redirect_hosts, or let standbys forward requests."),
  bad_response: row('soon', 'vault', 'the response is not a valid Vault response', "Check vault.address: a portal or load balancer may answer in Vault's place."),
  token_wrapped: row('slow', 'vault', 'Vault answered with a wrapped token', 'Disable response wrapping on the path to Vault: the sidecar needs the token itself.'),
  mfa_required: row('slow', 'vault', 'Vault asks for a second factor', 'Exempt this mount from login MFA: the sidecar has no second factor.'),

  // Vault refuses the login
  login_forbidden: row('slow', 'refusal', 'Vault forbids the login', "Check login.mount and the namespace (Vault also answers 403 for an unknown path), then the role's token_bound_cidrs. login.cel needs OpenBao."),
  mount_missing: row('slow', 'refusal', "the auth mount doesn't exist", 'Enable it with "vault auth enable -path=<mount> jwt" on <address>, or correct login.mount or login.namespace.'),
  mount_unconfigured: row('slow', 'refusal', 'the auth mount trusts no issuer yet', 'Run "vault-token-sidecar setup --apply", or write oidc_discovery_url and bound_issuer to auth/<mount>/config on <address>.'),
  mount_misconfigured: row('slow', 'refusal', "the auth mount's trust config doesn't work", 'Compare oidc_discovery_url with the "issuer" of its discovery document: they must be equal.'),
  issuer_unreachable: row('soon', 'refusal', "Vault can't fetch the issuer's keys", 'From the Vault server, fetch the discovery document at oidc_discovery_url of auth/<mount>/config, and its jwks_uri.'),
  issuer_tls: row('slow', 'refusal', "the issuer's TLS certificate isn't trusted", 'If its CA is unknown, set setup.trust.oidc_discovery_ca_pem to the PEM of the CA, and run "vault-token-sidecar setup --apply"; otherwise correct the certificate.'),
  role_missing: row('slow', 'refusal', "the role doesn't exist", 'Create role "<role>" on <address> with "vault write auth/<mount>/role/<role> ...", or correct login.role.'),
  role_type_oidc: row('slow', 'refusal', 'the role is of type oidc', 'Write the role again with role_type=jwt and a bound_subject: Vault refuses one without a bound. If users log in with this role, create another one for the workload.'),
  audience_unbound: row('slow', 'refusal', 'the JWT has an audience, but the role binds none', "Set the role's bound_audiences to the JWT's audience (required since Vault 1.17)."),
  audience_mismatch: row('slow', 'refusal', "the role doesn't accept the JWT's audience", "Add the JWT's audience to the role's bound_audiences, or request a JWT for an audience that is there: it must match exactly."),
  issuer_mismatch: row('slow', 'refusal', "the auth mount doesn't trust the JWT's issuer", "If the mount is for this issuer, set bound_issuer in auth/<mount>/config to the JWT's issuer, trailing slash included; otherwise correct login.mount."),
  subject_mismatch: row('slow', 'refusal', "the role doesn't accept the JWT's subject", "If the role is for this workload, set its bound_subject to the JWT's exact subject; otherwise correct login.role, or run the workload under the role's subject."),
  claims_mismatch: row('slow', 'refusal', "the role doesn't accept the JWT's claims", "Compare the role's bound_claims, user_claim, groups_claim and claim_mappings with the JWT, and correct the side that is wrong."),
  cel_denied: row('slow', 'refusal', 'the CEL role denies the login', "Compare the JWT's claims with the cel_program in auth/<mount>/cel/role/<role>: the evidence has its message."),
  signature_invalid: row('soon', 'refusal', "Vault can't verify the JWT's signature", 'Check that the issuer publishes its current keys, and that it issued this JWT.'),
  algorithm_refused: row('slow', 'refusal', "Vault doesn't accept the JWT's signing algorithm", 'Use RS256, ES256 or EdDSA, or set jwt_supported_algs in auth/<mount>/config.'),
  jwt_expired: row('new-jwt', 'refusal', 'the workload JWT has expired', 'Check the process that rotates the file: its issuer must write a new JWT (a subPath mount never changes).'),
  jwt_not_yet_valid: row('clock', 'refusal', "the workload JWT isn't valid yet", 'Check NTP on the issuer and on Vault: their clocks differ.'),
  jwt_refused: row('new-jwt', 'refusal', 'Vault rejects the workload JWT as malformed', 'Check the process that writes it: Vault needs one signed compact JWT with iat, nbf or exp.'),
  login_refused: row('slow', 'refusal', 'Vault rejected the login', "Read Vault's error message in the evidence."),

  // Vault refuses a call with the Vault token
  renewal_denied: row('log-in', 'refusal', 'Vault denies the renewal', 'Check whether the token was revoked or lost, and whether its policies grant update on auth/token/renew-self.'),
  revocation_denied: row('log-in', 'refusal', 'Vault denies the revocation', 'If the token is still valid, grant update on auth/token/revoke-self in its policies; otherwise it has expired or was revoked already.'),
  renewal_impossible: row('log-in', 'refusal', "the Vault token can't be renewed", "The sidecar logs in instead; for a renewable token, set the role's token_type to service."),
  token_rejected: row('log-in', 'refusal', 'Vault rejects the Vault token', 'The token was revoked, or Vault lost its storage: the sidecar logs in again. If it comes back, grant read on auth/token/lookup-self.'),
  renewal_exhausted: row('log-in', 'refusal', 'the Vault token has reached its maximum TTL', "The sidecar logs in instead; raise the role's token_max_ttl if that is too often."),
  role_deleted: row('log-in', 'refusal', "the Vault token's role was deleted", 'Create it again: vault write auth/<mount>/role/<role> ...'),

  // Vault refuses a step of the setup
  operator_token_unknown: row('slow', 'setup', "Vault doesn't know the operator's token", 'Log in with "vault login", or set VAULT_TOKEN: the token has expired, was revoked, or belongs to another Vault.'),
  setup_denied: row('slow', 'setup', "Vault denies the operator's token a step of the setup", 'Add path "<path>" { capabilities = [<capabilities>] } to a policy of the token in VAULT_TOKEN or ~/.vault-token, or use another token.'),
  setup_redirected: row('slow', 'setup', 'Vault redirects the setup to another host', "Set VAULT_ADDR and vault.address to the active node, or let standbys forward requests: the operator's token is sent only to the host in VAULT_ADDR."),
  setup_namespace_missing: row('slow', 'setup', "the namespace doesn't exist", 'Create it with "vault namespace create", or correct login.namespace or vault.namespace.'),
  setup_issuer_unusable: row('slow', 'setup', "Vault can't use the issuer", 'From the Vault server, fetch the discovery document (or jwks_url): its "issuer" must equal oidc_discovery_url, trailing slash included. If a private CA signed its certificate, set setup.trust.oidc_discovery_ca_pem (or oidc_discovery_ca_file) to that CA. Vault\'s server log has the cause.'),
  setup_refused: row('slow', 'setup', 'Vault refuses a step of the setup', 'Correct the error that Vault reports.'),

  // a sink can't be written
  sink_no_space: row('soon', 'sink', "there is no space left for the sink's file", "Free space on the volume, or raise the emptyDir's sizeLimit."),
  sink_denied: row('soon', 'sink', "the sidecar isn't allowed to write the sink's file", "Mount its directory writable, and give the sidecar's user write access to it."),
  sink_owner: row('soon', 'sink', "the sidecar can't set the owner or mode of the sink's file", "Remove uid and gid from the sink, or add the sidecar's user to that group."),
  sink_directory_missing: row('soon', 'sink', "the sink's directory doesn't exist", 'Create it, or mount the shared volume there.'),
  sink_file_system: row('soon', 'sink', "the file system of the sink's directory holds no files", 'Move the sink to a volume in memory: an emptyDir with medium: Memory in Kubernetes, or a tmpfs.'),
  sink_directory_unsafe: row('soon', 'sink', "other users can change the sink's directory", "Let only root or the sidecar's user own and write that directory and each directory above it."),
  sink_blocked: row('soon', 'sink', "the sink's path is not a file that can be replaced", 'Remove the directory, special file or file mount at that path; mount the directory, not the single file.'),
  sink_write_stuck: row('soon', 'sink', "writing the sink's file hangs", "Check the mount: its file system doesn't respond."),
  sink_failed: row('soon', 'sink', "the sink's file can't be written", 'Read the system error in the evidence.'),

  // a hook of a sink
  hook_failed: row('slow', 'sink', "the hook's command failed", "Run on_change.command by hand as the sidecar's user; with log.level debug, the log has its output."),
  hook_timeout: row('slow', 'sink', "the hook's command took too long and was killed", 'Let the command start long work in the background, or raise on_change.timeout.'),
  hook_pid_missing: row('slow', 'sink', "the hook's pid file is missing", 'Nothing to do if the program is not running: it reads the token when it starts. Otherwise correct on_change.pid_file.'),
  hook_pid_unusable: row('slow', 'sink', "the hook can't signal the process", "Let the program write its pid file at each start, and run as the sidecar's user; in Kubernetes, set shareProcessNamespace."),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure as a value, for events and for the state. */
export interface Failure {
  readonly code: ErrorCode;
  readonly facts?: Facts;
  /** from the Retry-After of Vault or of a JWT's endpoint */
  readonly retryAfterMs?: number;
}

export const isFailure = (outcome: unknown): outcome is Failure =>
  typeof outcome === 'object' && outcome !== null && 'code' in outcome;

/** The error that sources, sinks and the Vault client throw. Its message fits one log line; the runner turns it into an event. */
export class ExchangeError extends Error {
  readonly failure: Failure;

  constructor(code: ErrorCode, facts?: Facts, retryAfterMs?: number) {
    const failure = { code, ...defined({ facts, retryAfterMs }) };
    super(lineOf(explain(failure)));
    this.name = 'ExchangeError';
    this.failure = failure;
  }
}

/** Returns the outcome. @throws ExchangeError if the outcome is a failure */
export function unlessFailure<T>(outcome: T | Failure): T {
  if (isFailure(outcome)) throw new ExchangeError(outcome.code, outcome.facts, outcome.retryAfterMs);
  return outcome;
}

export const entryOf = (failure: Failure): ErrorEntry => ERRORS[failure.code];

/** Reports whether Vault refused the request itself, so that the network and Vault's health aren't the cause. */
export const isRefusal = (failure: Failure): boolean => entryOf(failure).area === 'refusal';

export const exitCodeOf = ({ code }: Pick<Failure, 'code'>): number => EXIT_CODES[ERRORS[code].area];

/** The settings that fill the placeholders of hints. */
export type LoginPlace = Pick<ExchangeSettings, 'vault' | 'login' | 'expect'>;

/** A failure as text. */
export interface Explanation {
  readonly code: ErrorCode;
  readonly title: string;
  readonly evidence: string | undefined;
  readonly hint: string;
}

/** Joins an explanation to one line. */
export const lineOf = ({ title, evidence, hint }: Omit<Explanation, 'code'>): string =>
  evidence === undefined ? `${title}. ${hint}` : `${title}: ${evidence}. ${hint}`;

const VARIABLE_HINT = 'Set the variable; in GitLab CI, add it to the id_tokens of the job.';

/** oidc.pub's sync worker runs every five minutes, and publishing takes one. */
const PUBLISHING_HINT =
  " After a key rotation, oidc.pub's sync worker publishes the new key within six minutes; the sidecar keeps trying.";

/** Returns title, evidence and hint, each one printable line. Without a place, hints keep their placeholders. */
export function explain({ code, facts }: Failure, place?: LoginPlace): Explanation {
  const { title } = ERRORS[code];
  const isSource = facts?.kind === 'variable' && code !== 'jwt_request_incomplete';
  const hint = isSource ? VARIABLE_HINT : hintAbout(ERRORS[code].hint, facts);
  const evidence = facts && withoutControls(evidenceText(facts));
  if (place === undefined) return { code, title, evidence, hint };
  const isAwaited = code === 'signature_invalid' && isAtOidcPub(place.expect.issuer ?? '');
  return { code, title, evidence, hint: `${hintFor(hint, place)}${isAwaited ? PUBLISHING_HINT : ''}` };
}

const NO_SIDECAR_HINT =
  'Start it with "vault-token-sidecar run". If it runs, name its config with --config, or its listener with --ops (token, refresh: --api).';
const DENIED_SOCKET_HINT = 'Run the command as a user that may open the socket.';

/** Fills in the placeholders of a hint about a path in Vault. A listener's problem and a missing sidecar have their own hints. */
function hintAbout(hint: string, facts: Facts | undefined): string {
  if (facts?.kind === 'listener' && facts.problem !== undefined) return LISTENER_PROBLEMS[facts.problem].hint;
  if (facts?.kind === 'no-sidecar') return facts.errno === undefined ? NO_SIDECAR_HINT : DENIED_SOCKET_HINT;
  if (facts?.kind === 'other-server') return NO_SIDECAR_HINT;
  if (facts?.kind !== 'reply' || facts.path === undefined || facts.capabilities === undefined) return hint;
  const values = { path: facts.path, capabilities: facts.capabilities.map((one) => JSON.stringify(one)).join(', ') };
  return hint.replace(/<(path|capabilities)>/g, (_, name: keyof typeof values) => withoutControls(values[name]));
}

/** Fills in the placeholders of a hint about a login. A value with characters that a shell interprets isn't filled in. */
export function hintFor(hint: string, { vault, login, expect }: LoginPlace): string {
  const values = { address: vault.address, mount: login.mount, role: login.role, issuer: expect.issuer };
  const about = login.cel === true ? hint.replaceAll('auth/<mount>/role/', 'auth/<mount>/cel/role/') : hint;
  return about.replace(/<(address|mount|role|issuer)>/g, (placeholder, name: keyof typeof values) => {
    const value = values[name];
    return value !== undefined && /^[\w.:/@-]+$/.test(value) ? value : placeholder;
  });
}
