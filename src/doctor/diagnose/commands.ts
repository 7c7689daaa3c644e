// The shell command that fixes a finding, for an operator to review and paste.
//
// The rule: a command grants nothing that the config doesn't name. The JWT and the issuer's documents are unverified, and even
// a JWT that Vault verified may belong to another workload. So issuers, audiences and subjects come from `expect` and `setup`
// only; values read from Vault are written back unchanged; everything else is a constant. The JWT only decides whether the
// command would help. One exception, which narrows access: a role that accepts every subject is bound to the subject that has
// just logged in. No command contains an unprintable character.

import { defined } from '../../core/defined.ts';
import type { Facts } from '../../core/facts.ts';
import { unprintableIn } from '../../core/secret.ts';
import type { BoundClaims } from '../../core/settings.ts';
import { claimAt } from '../../core/workload-jwt.ts';
import { bodyToWrite, KEY_SOURCES } from '../../setup/diff.ts';
import {
  planProvision,
  rolePath,
  type SetupStep,
  type StepValue,
  trustPath,
  unprintableMembers,
} from '../../setup/plan.ts';
import { asCommand, quoted } from '../../setup/text.ts';
import { trustsTooMuch } from '../../setup/trust.ts';
import type { FindingCode } from './codes.ts';
import { currentOf, type Evidence } from './evidence.ts';

/** @returns undefined if no command helps, or none is safe */
export const commandFor = (code: FindingCode, evidence: Evidence, facts?: Facts): string | undefined =>
  COMMANDS[code]?.(evidence, facts);

type Build = (evidence: Evidence, facts: Facts | undefined) => string | undefined;

const COMMANDS: Readonly<Partial<Record<FindingCode, Build>>> = {
  vault_sealed: () => 'vault operator unseal',
  vault_uninitialized: () => 'vault operator init',
  mount_missing: (evidence) => steps(evidence, 'mount', 'trust', 'policy', 'role'),
  mount_unconfigured: (evidence) => steps(evidence, 'trust', 'policy', 'role'),
  mount_misconfigured: (evidence) => steps(evidence, 'trust'),
  issuer_renamed: renamed,
  issuer_tls: trustCa,
  issuer_mismatch: rebound,
  signature_invalid: (evidence) => (evidence.issuer?.state === 'verified' ? steps(evidence, 'trust') : undefined),
  role_missing: (evidence) => steps(evidence, 'policy', 'role'),
  role_type_oidc: (evidence) => steps(evidence, 'role'),
  audience_unbound: bindAudience,
  audience_mismatch: bindAudience,
  subject_mismatch: bindSubject,
  policy_missing: writePolicies,
  role_trusts_all: bindLooseRole,
  claims_mismatch: bindClaim,
  token_batch: (evidence) => onRole(evidence, { token_type: 'service' }),
  token_uses_limited: (evidence) => onRole(evidence, { token_num_uses: 0 }),
  token_capped: (evidence) => onRole(evidence, { token_ttl: Math.floor((evidence.login?.seen?.leaseMs ?? 0) / 1000) }),
  renewal_denied: withDefaultPolicy,
  lookup_denied: withDefaultPolicy,
  sink_directory_missing: (_evidence, facts) =>
    facts?.kind === 'file' ? onPath('mkdir -p -m 0750', facts.path) : undefined,
  sink_directory_unsafe: (_evidence, facts) => {
    if (facts?.kind !== 'ownership') return undefined;
    if (facts.problem === 'writable-by-all') return onPath('chmod o-w', facts.path);
    return facts.problem === 'writable-by-group' ? onPath('chmod g-w', facts.path) : undefined;
  },
};

/** Returns what the config lacks for the command that writes the role. */
export function lackFor(code: FindingCode, { settings, setup }: Evidence): string | undefined {
  if (!WRITES_ROLE.has(code)) return undefined;
  const loose = trustsTooMuch(setup.role);
  const [lack] = [
    ...planProvision([{ ...settings, setup }]).problems,
    ...(loose === undefined ? [] : [`${loose}: set expect.subject or setup.role.bound_claims`]),
  ];
  return lack === undefined ? undefined : `To get the command, correct the config: ${lack}.`;
}

const WRITES_ROLE: ReadonlySet<FindingCode> = new Set([
  'mount_missing',
  'mount_unconfigured',
  'role_missing',
  'role_type_oidc',
]);

const onPath = (command: string, path: string): string | undefined =>
  unprintableIn(path) === undefined ? `${command} ${quoted(path)}` : undefined;

/** The chosen steps of `setup`, with the other members of an existing trust config preserved. */
function steps(evidence: Evidence, ...kinds: readonly SetupStep['kind'][]): string | undefined {
  const { settings, setup } = evidence;
  const { steps: all, problems } = planProvision([{ ...settings, setup }]);
  const chosen = all.filter(({ kind }) => kinds.includes(kind));
  const makesRole = chosen.some(({ kind }) => kind === 'role');
  if (kinds.includes('role') && !makesRole) return undefined;
  if (problems.length > 0 || (makesRole && trustsTooMuch(setup.role) !== undefined)) return undefined;
  const commands = chosen.map((step) => commandOf({ ...step, body: complete(step, evidence) }));
  return commands.some((command) => command === undefined) ? undefined : commands.join('\n');
}

const complete = (step: Pick<SetupStep, 'kind' | 'body'>, evidence: Evidence): SetupStep['body'] =>
  bodyToWrite(step, currentOf(evidence, step.kind)) as SetupStep['body'];

const commandOf = (step: Pick<SetupStep, 'kind' | 'path' | 'body' | 'namespace'>): string | undefined =>
  unprintableMembers(step).length === 0 ? asCommand(step) : undefined;

/** Rewrites bound_issuer in the existing trust config. If that couldn't be read, writes the config's whole trust step. */
function rebound(evidence: Evidence): string | undefined {
  const { setup, jwt } = evidence;
  const issuer = setup.trust.boundIssuer;
  if (issuer === undefined || issuer !== jwt?.seen?.issuer) return undefined;
  const current = currentOf(evidence, 'trust');
  if (current === undefined) return setup.stated ? steps(evidence, 'trust') : undefined;
  const keys = KEY_SOURCES.filter((member) => String(current[member] ?? '') !== '').map((member) => [
    member,
    current[member],
  ]);
  return onTrust(evidence, { ...Object.fromEntries(keys), bound_issuer: issuer });
}

/** Writes the CA in the config, if it verifies the issuer's certificate. */
function trustCa(evidence: Evidence): string | undefined {
  const helps = evidence.setup.trust.caPem !== undefined && evidence.issuer?.state === 'verified';
  return helps ? steps(evidence, 'trust') : undefined;
}

/** Trusts the issuer that the discovery document names, if the config binds that issuer and the JWT has it. */
function renamed(evidence: Evidence): string | undefined {
  const { issuer, jwt, setup } = evidence;
  if (issuer?.state !== 'renamed' || jwt?.seen?.issuer !== issuer.published) return undefined;
  if (setup.trust.boundIssuer !== issuer.published) return undefined;
  return onTrust(evidence, { oidc_discovery_url: issuer.published, bound_issuer: issuer.published });
}

function onTrust(evidence: Evidence, members: SetupStep['body']): string | undefined {
  const { login } = evidence.settings;
  const body = complete({ kind: 'trust', body: members }, evidence);
  return commandOf({ ...at(login.namespace), kind: 'trust', path: trustPath(login), body });
}

function bindAudience(evidence: Evidence): string | undefined {
  const audiences = evidence.setup.role.boundAudiences ?? [];
  const helps = evidence.jwt?.seen?.audience.some((one) => audiences.includes(one)) === true;
  return helps ? onRole(evidence, { bound_audiences: audiences }) : undefined;
}

function bindSubject(evidence: Evidence): string | undefined {
  const subject = evidence.setup.role.boundSubject;
  const helps = subject !== undefined && subject === evidence.jwt?.seen?.subject;
  return helps ? onRole(evidence, { bound_subject: subject }) : undefined;
}

/** Binds the config's subject, or else the subject that has just logged in: both only narrow the role. */
function bindLooseRole(evidence: Evidence): string | undefined {
  const hasLoggedIn = evidence.login?.seen !== undefined;
  const subject = evidence.setup.role.boundSubject ?? (hasLoggedIn ? evidence.jwt?.seen?.subject : undefined);
  return subject === undefined || subject === '' ? undefined : onRole(evidence, { bound_subject: subject });
}

/** Writes the policies of the setup, if the missing ones are among them. */
function writePolicies(evidence: Evidence): string | undefined {
  const missing = evidence.existing?.missingPolicies ?? [];
  return missing.every((name) => evidence.setup.policies[name] !== undefined) ? steps(evidence, 'policy') : undefined;
}

/** Binds the claim that Vault names to the config's value, and keeps the role's other bound claims. */
function bindClaim(evidence: Evidence, facts: Facts | undefined): string | undefined {
  const words = facts?.kind === 'reply' ? facts.words : '';
  const { userClaim, boundClaims = {}, boundClaimsType } = evidence.setup.role;
  const [, name] = /validating claims: claim "([^"]+)"/.exec(words) ?? [];
  if (name === undefined) {
    if (/"[^"]*" claim (?:not found|could not)/.test(words)) return onRole(evidence, { groups_claim: '' });
    const [, missing] = /claim "([^"]*)" (?:not found|could not)/.exec(words) ?? [];
    return missing !== undefined && missing !== userClaim ? onRole(evidence, { user_claim: userClaim }) : undefined;
  }
  const wanted = boundClaims[name];
  const others = currentOf(evidence, 'role')?.['bound_claims'] as BoundClaims | undefined;
  const isGlob = boundClaimsType === 'glob';
  const helps =
    wanted !== undefined && (isGlob || [wanted].flat().includes(String(claimAt(evidence.claims ?? {}, name))));
  if (!helps) return undefined;
  const type: Readonly<Record<string, StepValue>> = isGlob ? { bound_claims_type: 'glob' } : {};
  return onRole(evidence, { ...type, bound_claims: { ...(others ?? boundClaims), [name]: wanted } });
}

function withDefaultPolicy(evidence: Evidence): string | undefined {
  if (evidence.login?.seen?.policies.includes('default') !== false) return undefined;
  return onRole(evidence, { token_no_default_policy: 'false' });
}

/**
 * Writes members of the role and keeps the others. A write without role_type or bound_claims_type resets them, so the command
 * sets role_type to jwt, and bound_claims_type as in the role, or as in the config if the role could not be read.
 */
function onRole(evidence: Evidence, members: Readonly<Record<string, StepValue>>): string | undefined {
  const { settings, setup } = evidence;
  if (settings.login.cel === true) return undefined;
  const stated = setup.role.boundClaimsType === 'glob' ? { bound_claims_type: 'glob' } : {};
  const body = { role_type: 'jwt', ...stated, ...complete({ kind: 'role', body: {} }, evidence), ...members };
  return commandOf({ ...at(settings.login.namespace), kind: 'role', path: rolePath(settings.login), body });
}

const at = (namespace: string | undefined) => defined({ namespace });
