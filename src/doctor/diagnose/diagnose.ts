// From evidence to findings, the cause first: a finding whose cause was found too is folded under it.

import type { Failure } from '../../core/errors.ts';
import { withoutControls } from '../../core/secret.ts';
import type { BoundClaims } from '../../core/settings.ts';
import { isExpired, isStale, printable } from '../../core/workload-jwt.ts';
import { trustsTooMuch } from '../../setup/trust.ts';
import { bothSides } from './both-sides.ts';
import type { FindingCode } from './codes.ts';
import { currentOf, type Evidence, type ListenerFacts } from './evidence.ts';
import { baseFinding, type Finding, fold, toFinding, type UnfoldedFinding } from './finding.ts';

/** Errors first, in the order in which a login goes; empty when all is well. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  return fold([
    ...jwtFindings(evidence),
    ...vaultFindings(evidence),
    ...issuerFindings(evidence),
    ...loginFindings(evidence),
    ...tokenFindings(evidence),
    ...heldTokenFindings(evidence),
    ...setupFindings(evidence),
    ...sinkFindings(evidence),
    ...unfinishedFindings(evidence),
    ...(evidence.broken ?? []).map(brokenFinding),
  ]);
}

const unfinishedFindings = ({ unfinished = [] }: Pick<Evidence, 'unfinished'>): UnfoldedFinding[] =>
  unfinished.length === 0 ? [] : [baseFinding({ code: 'check_unfinished', evidence: unfinished })];

/** For a check of doctor's own that threw. */
export const brokenFinding = (words: string): UnfoldedFinding => baseFinding({ code: 'internal', evidence: words });

export function diagnoseListeners(
  listeners: readonly ListenerFacts[],
  { broken = [], unfinished = [] }: Pick<Evidence, 'broken' | 'unfinished'> = {},
): readonly Finding[] {
  return fold([
    ...unfinishedFindings({ unfinished }),
    ...broken.map(brokenFinding),
    ...listeners.flatMap(({ key, address, state, failure }) => {
      const refusal = failure === undefined ? [] : [baseFinding(failure)];
      if (state === 'free' || state === 'ours') return refusal;
      const why = state === 'taken' ? 'another process has it' : "this machine doesn't have it, or it isn't allowed";
      return [baseFinding({ code: 'listen_failed', evidence: `${key} ${address}: ${why}` }), ...refusal];
    }),
  ]);
}

/** Config problems, one finding each. */
export const diagnoseConfig = (problems: readonly string[]): readonly Finding[] =>
  problems.map((evidence) => ({ ...baseFinding({ code: 'config_invalid', evidence }), consequences: [] }));

function jwtFindings(evidence: Evidence): UnfoldedFinding[] {
  const { jwt, file, wall } = evidence;
  const findings: UnfoldedFinding[] = [];
  if (jwt?.failure !== undefined) findings.push(toFinding(withOwner(jwt.failure, evidence), evidence));
  if (file?.isMount)
    findings.push(toFinding({ code: 'jwt_never_changes', evidence: file.path, severity: rotting(evidence) }, evidence));
  if (jwt?.seen === undefined) return findings;
  if (isStale(jwt.seen, wall)) {
    const changed = file === undefined ? '' : `; the file last changed ${ago(wall - file.modifiedAt)} ago`;
    findings.push(
      toFinding(
        { code: 'jwt_unrotated', evidence: `${lifeLeft(jwt.seen.expiresAt, wall)}${changed}`, severity: 'warning' },
        evidence,
      ),
    );
  }
  const life = lifeOf(evidence);
  if (life !== undefined && life > DAY_MS)
    findings.push(
      toFinding({ code: 'jwt_long_lived', evidence: `it lives ${ago(life)}`, severity: 'warning' }, evidence),
    );
  return findings;
}

/** A file that can't change is an error as soon as its JWT has ended. */
function rotting({ jwt, wall }: Evidence): 'error' | 'warning' {
  return jwt?.seen !== undefined && isExpired(jwt.seen, wall) ? 'error' : 'warning';
}

function withOwner(failure: Failure, { file, self }: Evidence): Failure {
  if (failure.code !== 'jwt_unreadable' || file === undefined) return failure;
  return { ...failure, evidence: `${failure.evidence}; it belongs to ${file.owner}, the sidecar is ${self}` };
}

function vaultFindings(evidence: Evidence): UnfoldedFinding[] {
  const { health, login, certificate } = evidence;
  const findings: UnfoldedFinding[] = [];
  const ofLogin = login?.failure?.code.startsWith('vault_') && !isOfMount(evidence) ? login.failure : undefined;
  // who lets logins through, and not this question, needn't be told of
  const isVault = login?.seen !== undefined || /^status 400, /.test(login?.failure?.evidence ?? '');
  const failure = health?.failure?.code === 'bad_response' && isVault ? ofLogin : (health?.failure ?? ofLogin);
  if (failure !== undefined) {
    const names = certificate === undefined ? '' : `; it is made out to ${certificate.names}, by ${certificate.issuer}`;
    const more = failure.code === 'vault_tls' ? names : '';
    findings.push(toFinding({ ...failure, evidence: `${failure.evidence ?? ''}${more}` }, evidence));
  }
  const skewMs = health?.seen?.skewMs ?? 0;
  if (Math.abs(skewMs) > TOLERATED_SKEW_MS) {
    const by = `${ago(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} Vault's`;
    const harmful = login?.failure?.code === 'jwt_expired' || login?.failure?.code === 'jwt_not_yet_valid';
    findings.push(
      toFinding({ code: 'clock_wrong', evidence: `ours is ${by}`, severity: harmful ? 'error' : 'warning' }, evidence),
    );
  }
  return findings;
}

const BY_ISSUER: ReadonlySet<FindingCode> = new Set([
  'signature_invalid',
  'issuer_unreachable',
  'mount_misconfigured',
  'mount_unconfigured',
  'jwt_refused',
]);

const inQuotes = (text: string): string => JSON.stringify(printable(text));

/** What is wrong with the issuer as seen from here matters as far as Vault sees it too. */
function issuerFindings(evidence: Evidence): UnfoldedFinding[] {
  const { issuer, login } = evidence;
  if (issuer === undefined || issuer.state === 'verified' || issuer.state === 'unfetched') return [];
  const trust = currentOf(evidence, 'trust');
  // by its keys alone Vault has no use for what the issuer publishes
  if (trust !== undefined && !trust['oidc_discovery_url'] && login?.seen !== undefined) return [];
  const severity = login === undefined || BY_ISSUER.has(login.failure?.code ?? 'internal') ? 'error' : 'warning';
  const see = (code: FindingCode, words: string) => [toFinding({ code, evidence: words, severity }, evidence)];
  switch (issuer.state) {
    case 'unreachable':
      return see('issuer_unreachable_here', `${issuer.url}: ${issuer.words}`);
    case 'unpublished':
      return see('issuer_unpublished', `${issuer.url}: ${issuer.words}`);
    case 'renamed':
      return see('issuer_renamed', `${issuer.url} says that it is ${inQuotes(issuer.published)}`);
    case 'key-missing':
      return see('issuer_key_missing', `key ${inQuotes(issuer.keyId)} isn't at ${issuer.url}`);
    case 'forged':
      return see('issuer_signature', `key ${inQuotes(issuer.keyId)} of ${issuer.url} doesn't fit`);
  }
}

function loginFindings(evidence: Evidence): UnfoldedFinding[] {
  const { login, mount, issuer } = evidence;
  const failure = login?.failure;
  const isOfAll = failure?.code.startsWith('vault_') && !isOfMount(evidence);
  if (failure === undefined || isOfAll) return [];
  if (BY_MOUNT.has(failure.code) && mount?.answers === false) return [missingMount(failure, evidence)];
  const isFineHere = issuer?.state === 'verified' && BY_ISSUER.has(failure.code);
  const words = `${failure.evidence ?? ''}${bothSides(failure, evidence)}`;
  const finding = toFinding(
    { ...failure, evidence: isFineHere ? `${words}; from here all is well with it` : words },
    evidence,
  );
  return [isFineHere && failure.code === 'signature_invalid' ? { ...finding, remedy: OTHER_KEYS } : finding];
}

/** Auth methods of other types refuse a JWT's login in ways of their own. */
const BY_MOUNT: ReadonlySet<FindingCode> = new Set([
  'login_forbidden',
  'mount_missing',
  'login_refused',
  'vault_unavailable',
]);

/** Whether the login fails because what is at the mount is no JWT auth method, while Vault itself is well. */
const isOfMount = ({ login, health, mount }: Evidence): boolean =>
  BY_MOUNT.has(login?.failure?.code ?? 'internal') && health?.seen !== undefined && mount?.answers === false;

const OTHER_KEYS =
  "The mount trusts other keys than the issuer's: give the exchange a mount of its own, or turn this one to its issuer if nobody else logs in by it.";

function missingMount(failure: Failure, evidence: Evidence): UnfoldedFinding {
  const { settings, mount } = evidence;
  const { elsewhere } = mount ?? {};
  const type = currentOf(evidence, 'mount')?.['type'];
  const place = `auth/${settings.login.mount}${inWords(settings.login.namespace)}`;
  const looked = type === undefined ? `no JWT auth method answers at ${place}` : `${place} is of type ${type}`;
  const finding = toFinding({ code: 'mount_missing', evidence: `${failure.evidence}; ${looked}` }, evidence);
  const { command: _, ...rest } = finding;
  if (elsewhere === undefined) return type === undefined ? finding : { ...rest, remedy: OTHER_MOUNT };
  const namespace = elsewhere.namespace === '' ? 'no namespace' : `namespace ${elsewhere.namespace}`;
  return {
    ...rest,
    remedy: withoutControls(
      `It answers at mount ${elsewhere.mount} with ${namespace}: correct login.mount and login.namespace.`,
    ),
  };
}

const OTHER_MOUNT = 'Correct login.mount, or enable a JWT auth method at another path.';

const inWords = (namespace: string | undefined): string =>
  namespace === undefined ? '' : ` in namespace ${namespace}`;

function tokenFindings(evidence: Evidence): UnfoldedFinding[] {
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
    findings.push(warn('lookup_denied', lookup.failure.evidence ?? ''));
  const capped = grant.warnings.find((warning) => /capped|exceeded/.test(warning));
  if (capped !== undefined) findings.push(warn('token_capped', capped));
  const life = lifeOf(evidence);
  if (life !== undefined && grant.leaseMs > life)
    findings.push(warn('token_outlives_jwt', `the lease is ${ago(grant.leaseMs)}, the JWT lives ${ago(life)}`));
  if (grant.policies.every((policy) => policy === 'default')) findings.push(warn('token_powerless', 'policy default'));
  return findings;
}

/** With a token of a role whose own tokens may not look themselves up, a refusal tells nothing. */
function heldTokenFindings({ held, lookup, login }: Evidence): UnfoldedFinding[] {
  const failure = held?.lookup.failure;
  if (held === undefined || failure?.code !== 'renewal_denied') return [];
  const isDead = /invalid token|bad token/.test(failure.evidence ?? '') || (login?.seen && lookup?.seen) === true;
  return isDead ? [baseFinding({ code: 'held_token_dead', evidence: `${held.sink}: ${failure.evidence}` })] : [];
}

function setupFindings(evidence: Evidence): UnfoldedFinding[] {
  const { differences = [], unread = [], setup } = evidence;
  const findings: UnfoldedFinding[] = [];
  const role = currentOf(evidence, 'role');
  const loose = role === undefined ? setup.stated && trustsTooMuch(setup.role) : trustsTooMuch(boundsOf(role));
  if (loose)
    findings.push(
      toFinding(
        {
          code: 'role_trusts_all',
          evidence: role === undefined ? `by the config's setup.role: ${loose}` : loose,
          severity: 'warning',
        },
        evidence,
      ),
    );
  const words = differences.flatMap(({ step, current, changes }) =>
    current === undefined && changes.length > 0
      ? [`${step.path} isn't there`]
      : changes.map(
          ({ member, from, to }) => `${step.path} ${member} ${from ?? 'unset'} -> ${to.split('\n')[0] || 'unset'}`,
        ),
  );
  if (unread.length > 0)
    findings.push(toFinding({ code: 'setup_unseen', evidence: unread, severity: 'warning' }, evidence));
  if (words.length > 0)
    findings.push(toFinding({ code: 'setup_differs', evidence: words, severity: 'warning' }, evidence));
  return findings;
}

/** The bounds of a role as Vault answers them. */
const boundsOf = (role: Readonly<Record<string, unknown>>): Parameters<typeof trustsTooMuch>[0] => ({
  boundSubject: String(role['bound_subject'] ?? ''),
  boundClaims: (role['bound_claims'] ?? {}) as BoundClaims,
  boundClaimsType: role['bound_claims_type'] === 'glob' ? 'glob' : 'string',
});

function sinkFindings(evidence: Evidence): UnfoldedFinding[] {
  return evidence.sinks.flatMap(({ failure }) => {
    if (failure === undefined) return [];
    if (failure.code !== 'sink_directory_unsafe' || !failure.evidence?.includes(' belongs to '))
      return [toFinding(failure, evidence)];
    const finding = toFinding({ ...failure, evidence: `${failure.evidence}, we are ${evidence.self}` }, evidence);
    return [evidence.self.startsWith('0:') ? { ...finding, remedy: AS_ROOT } : finding];
  });
}

const AS_ROOT =
  "If the sidecar runs as that user, let doctor run as that user too; if it runs as root, the directory must be root's.";

const DAY_MS = 86_400_000;
/** the leeway of Vault's own check (clock_skew_leeway of a role) */
const TOLERATED_SKEW_MS = 60_000;

function lifeOf({ jwt }: Evidence): number | undefined {
  const { issuedAt, expiresAt } = jwt?.seen ?? {};
  return issuedAt === undefined || expiresAt === undefined ? undefined : expiresAt - issuedAt;
}

function lifeLeft(expiresAt: number | undefined, wall: number): string {
  if (expiresAt === undefined) return 'it never ends';
  return expiresAt <= wall ? `it ended ${ago(wall - expiresAt)} ago` : `it ends in ${ago(expiresAt - wall)}`;
}

/** The largest unit, rounded: 45 s, 12 min, 3 h, 2 d. */
export function ago(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
