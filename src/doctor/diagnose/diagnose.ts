// Turns evidence into findings. Findings are folded under their causes.

import { explain, type Failure } from '../../core/errors.ts';
import { withoutControls } from '../../core/secret.ts';
import type { BoundClaims } from '../../core/settings.ts';
import { trustsTooMuch } from '../../setup/trust.ts';
import { bothSides } from './both-sides.ts';
import type { FindingCode } from './codes.ts';
import { currentOf, type Evidence, type ListenerFacts } from './evidence.ts';
import { baseFinding, type Finding, fold, toFinding, type UnfoldedFinding } from './finding.ts';
import { ISSUER_RELATED, issuerFindings } from './issuer-findings.ts';
import { jwtFindings } from './jwt-findings.ts';
import { ago, lifeOf } from './life.ts';

/** Returns the findings in the order of a login's steps, errors before warnings. */
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

const evidenceLineOf = (failure: Failure): string => explain(failure).evidence ?? '';

/** Reports whether the refusal is Vault's own: a 400 without an error message comes from a proxy in front of Vault. */
const isVaultMessage = (failure: Failure | undefined): boolean =>
  failure?.facts?.kind === 'reply' && failure.facts.status === 400 && failure.facts.words !== '';

const isUnknownToken = ({ facts }: Failure): boolean =>
  facts?.kind === 'reply' && /invalid token|bad token/.test(facts.words);

const unfinishedFindings = ({ unfinished = [] }: Pick<Evidence, 'unfinished'>): UnfoldedFinding[] =>
  unfinished.length === 0 ? [] : [baseFinding({ code: 'check_unfinished', evidence: unfinished })];

/** Returns the finding for a doctor check that threw. */
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
      const why =
        state === 'taken'
          ? 'another process listens on it'
          : "the address isn't on this machine, or the port isn't allowed";
      return [baseFinding({ code: 'listen_failed', evidence: `${key} ${address}: ${why}` }), ...refusal];
    }),
  ]);
}

/** Returns one finding per config problem. */
export const diagnoseConfig = (problems: readonly string[]): readonly Finding[] =>
  problems.map((evidence) => ({ ...baseFinding({ code: 'config_invalid', evidence }), consequences: [] }));

function vaultFindings(evidence: Evidence): UnfoldedFinding[] {
  const { health, login, certificate } = evidence;
  const findings: UnfoldedFinding[] = [];
  const ofLogin = login?.failure?.code.startsWith('vault_') && !isMountProblem(evidence) ? login.failure : undefined;
  // If logins work, ignore a failing sys/health.
  const isVault = login?.seen !== undefined || isVaultMessage(login?.failure);
  const failure = health?.failure?.code === 'bad_response' && isVault ? ofLogin : (health?.failure ?? ofLogin);
  if (failure !== undefined) {
    const names = certificate === undefined ? '' : `; it is for ${certificate.names}, issued by ${certificate.issuer}`;
    const more = failure.code === 'vault_tls' ? names : '';
    findings.push(toFinding({ ...failure, evidence: `${evidenceLineOf(failure)}${more}` }, evidence));
  }
  const skewMs = health?.seen?.skewMs ?? 0;
  if (Math.abs(skewMs) > TOLERATED_SKEW_MS) {
    const by = `${ago(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} Vault's`;
    const harmful = login?.failure?.code === 'jwt_expired' || login?.failure?.code === 'jwt_not_yet_valid';
    findings.push(
      toFinding(
        { code: 'clock_wrong', evidence: `this machine's clock is ${by}`, severity: harmful ? 'error' : 'warning' },
        evidence,
      ),
    );
  }
  return findings;
}

function loginFindings(evidence: Evidence): UnfoldedFinding[] {
  const { login, mount, issuer } = evidence;
  const failure = login?.failure;
  const isVaultProblem = failure?.code.startsWith('vault_') && !isMountProblem(evidence);
  if (failure === undefined || isVaultProblem) return [];
  if (MOUNT_RELATED.has(failure.code) && mount?.answers === false) return [missingMount(failure, evidence)];
  const isVerifiedHere = issuer?.state === 'verified' && ISSUER_RELATED.has(failure.code);
  const words = `${evidenceLineOf(failure)}${bothSides(failure, evidence)}`;
  const finding = toFinding(
    { ...failure, evidence: isVerifiedHere ? `${words}; from this machine, the issuer's keys verify the JWT` : words },
    evidence,
  );
  return [isVerifiedHere && failure.code === 'signature_invalid' ? { ...finding, remedy: OTHER_KEYS } : finding];
}

/** The codes that an auth method of another type may produce for a JWT login. */
const MOUNT_RELATED: ReadonlySet<FindingCode> = new Set([
  'login_forbidden',
  'mount_missing',
  'login_refused',
  'vault_unavailable',
]);

/** Reports whether the login fails because no JWT auth method is at the mount, while Vault itself is healthy. */
const isMountProblem = ({ login, health, mount }: Evidence): boolean =>
  MOUNT_RELATED.has(login?.failure?.code ?? 'internal') && health?.seen !== undefined && mount?.answers === false;

const OTHER_KEYS =
  "Point the mount at this issuer, or give the exchange a mount of its own if other workloads use this one: the mount trusts another issuer's keys.";

function missingMount(failure: Failure, evidence: Evidence): UnfoldedFinding {
  const { settings, mount } = evidence;
  const { elsewhere } = mount ?? {};
  const type = currentOf(evidence, 'mount')?.['type'];
  const place = `auth/${settings.login.mount}${namespaceSuffix(settings.login.namespace)}`;
  const looked = type === undefined ? `no JWT auth method answers at ${place}` : `${place} is of type ${type}`;
  const finding = toFinding({ code: 'mount_missing', evidence: `${evidenceLineOf(failure)}; ${looked}` }, evidence);
  const { command: _, ...rest } = finding;
  if (elsewhere === undefined) return type === undefined ? finding : { ...rest, remedy: OTHER_MOUNT };
  const namespace = elsewhere.namespace === '' ? 'no namespace' : `namespace ${elsewhere.namespace}`;
  return {
    ...rest,
    remedy: withoutControls(
      `Correct login.mount and login.namespace: a JWT auth method answers at mount ${elsewhere.mount} with ${namespace}.`,
    ),
  };
}

const OTHER_MOUNT = 'Correct login.mount, or enable a JWT auth method at another path.';

const namespaceSuffix = (namespace: string | undefined): string =>
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
    findings.push(warn('lookup_denied', evidenceLineOf(lookup.failure)));
  const capped = grant.warnings.find((warning) => /capped|exceeded/.test(warning));
  if (capped !== undefined) findings.push(warn('token_capped', capped));
  const life = lifeOf(evidence);
  if (life !== undefined && grant.leaseMs > life)
    findings.push(warn('token_outlives_jwt', `the lease is ${ago(grant.leaseMs)}, the JWT lives ${ago(life)}`));
  if (grant.policies.every((policy) => policy === 'default')) findings.push(warn('token_powerless', 'policy default'));
  return findings;
}

/** A denied lookup proves a dead token only if Vault calls it unknown, or if the role's tokens may look themselves up. */
function heldTokenFindings({ held, lookup, login }: Evidence): UnfoldedFinding[] {
  const failure = held?.lookup.failure;
  if (held === undefined || failure?.code !== 'renewal_denied') return [];
  const isDead = isUnknownToken(failure) || (login?.seen && lookup?.seen) === true;
  return isDead ? [baseFinding({ code: 'held_token_dead', evidence: `${held.sink}: ${evidenceLineOf(failure)}` })] : [];
}

function setupFindings(evidence: Evidence): UnfoldedFinding[] {
  const { differences = [], unread = [], setup, settings } = evidence;
  const findings: UnfoldedFinding[] = [];
  const role = currentOf(evidence, 'role');
  const loose =
    role === undefined
      ? setup.stated && settings.login.cel !== true && trustsTooMuch(setup.role)
      : trustsTooMuch(boundsOf(role));
  if (loose)
    findings.push(
      toFinding(
        {
          code: 'role_trusts_all',
          evidence: role === undefined ? `setup.role in the config: ${loose}` : loose,
          severity: 'warning',
        },
        evidence,
      ),
    );
  const words = differences.flatMap(({ step, current, changes }) =>
    current === undefined && changes.length > 0
      ? [`${step.path} doesn't exist`]
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

/** The bounds of a role in a reply from Vault. */
const boundsOf = (role: Readonly<Record<string, unknown>>): Parameters<typeof trustsTooMuch>[0] => ({
  boundSubject: String(role['bound_subject'] ?? ''),
  boundClaims: (role['bound_claims'] ?? {}) as BoundClaims,
  boundClaimsType: role['bound_claims_type'] === 'glob' ? 'glob' : 'string',
});

function sinkFindings(evidence: Evidence): UnfoldedFinding[] {
  return evidence.sinks.flatMap(({ failure }) => {
    if (failure === undefined) return [];
    if (failure.facts?.kind !== 'ownership' || failure.facts.problem !== 'owner') return [toFinding(failure, evidence)];
    const finding = toFinding(
      { ...failure, evidence: `${evidenceLineOf(failure)}; doctor runs as ${evidence.self}` },
      evidence,
    );
    return [evidence.self.startsWith('0:') ? { ...finding, remedy: AS_ROOT } : finding];
  });
}

const AS_ROOT =
  "If the sidecar runs as that user, run doctor as that user too; if it runs as root, make root the directory's owner.";

/** Vault's own leeway, clock_skew_leeway of a role. */
const TOLERATED_SKEW_MS = 60_000;
