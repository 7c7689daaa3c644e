// From evidence to findings, the cause first: a finding whose cause was found too is folded under it.

import { explain, type Failure } from '../../core/errors.ts';
import { printable, withoutControls } from '../../core/secret.ts';
import type { BoundClaims } from '../../core/settings.ts';
import { trustsTooMuch } from '../../setup/trust.ts';
import { bothSides } from './both-sides.ts';
import type { FindingCode } from './codes.ts';
import { currentOf, type Evidence, type ListenerFacts } from './evidence.ts';
import { baseFinding, type Finding, fold, toFinding, type UnfoldedFinding } from './finding.ts';
import { jwtFindings } from './jwt-findings.ts';
import { ago, lifeOf } from './life.ts';

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

const wordsOf = (failure: Failure): string => explain(failure).evidence ?? '';

/** Vault itself explained the refusal: a 400 without words comes from something before it. */
const isInWords = (failure: Failure | undefined): boolean =>
  failure?.facts?.kind === 'reply' && failure.facts.status === 400 && failure.facts.words !== '';

const isUnknownToken = ({ facts }: Failure): boolean =>
  facts?.kind === 'reply' && /invalid token|bad token/.test(facts.words);

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

function vaultFindings(evidence: Evidence): UnfoldedFinding[] {
  const { health, login, certificate } = evidence;
  const findings: UnfoldedFinding[] = [];
  const ofLogin = login?.failure?.code.startsWith('vault_') && !isOfMount(evidence) ? login.failure : undefined;
  // If logins work, ignore a failing sys/health.
  const isVault = login?.seen !== undefined || isInWords(login?.failure);
  const failure = health?.failure?.code === 'bad_response' && isVault ? ofLogin : (health?.failure ?? ofLogin);
  if (failure !== undefined) {
    const names = certificate === undefined ? '' : `; it is made out to ${certificate.names}, by ${certificate.issuer}`;
    const more = failure.code === 'vault_tls' ? names : '';
    findings.push(toFinding({ ...failure, evidence: `${wordsOf(failure)}${more}` }, evidence));
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
  const words = `${wordsOf(failure)}${bothSides(failure, evidence)}`;
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
  const finding = toFinding({ code: 'mount_missing', evidence: `${wordsOf(failure)}; ${looked}` }, evidence);
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
    findings.push(warn('lookup_denied', wordsOf(lookup.failure)));
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
  const isDead = isUnknownToken(failure) || (login?.seen && lookup?.seen) === true;
  return isDead ? [baseFinding({ code: 'held_token_dead', evidence: `${held.sink}: ${wordsOf(failure)}` })] : [];
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
    if (failure.facts?.kind !== 'ownership' || failure.facts.problem !== 'owner') return [toFinding(failure, evidence)];
    const finding = toFinding({ ...failure, evidence: `${wordsOf(failure)}, we are ${evidence.self}` }, evidence);
    return [evidence.self.startsWith('0:') ? { ...finding, remedy: AS_ROOT } : finding];
  });
}

const AS_ROOT =
  "If the sidecar runs as that user, let doctor run as that user too; if it runs as root, the directory must be root's.";

/** the leeway of Vault's own check (clock_skew_leeway of a role) */
const TOLERATED_SKEW_MS = 60_000;
