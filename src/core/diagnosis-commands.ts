// The command that mends a finding, made of what the JWT says and the config wants: to be looked at, and pasted.

import type { FindingCode } from './diagnosis-codes.ts';
import type { Evidence } from './evidence.ts';
import { planProvision, rolePath, type Step, type StepValue, trustPath } from './provision.ts';
import { asCommand, quoted } from './provision-text.ts';
import type { SetupSettings } from './settings.ts';
import { claimAt } from './workload-jwt.ts';

/** @param words the evidence of the finding, in which Vault may name a claim. @returns undefined where no command helps */
export function commandFor(code: FindingCode, evidence: Evidence, words = ''): string | undefined {
  return COMMANDS[code]?.(evidence, words);
}

type Build = (evidence: Evidence, words: string) => string | undefined;

const COMMANDS: Readonly<Partial<Record<FindingCode, Build>>> = {
  vault_sealed: () => 'vault operator unseal',
  vault_uninitialized: () => 'vault operator init',
  mount_missing: (evidence) => steps(evidence, 'mount', 'trust', 'policy', 'role'),
  mount_unconfigured: (evidence) => steps(evidence, 'trust', 'policy', 'role'),
  mount_misconfigured: (evidence) => steps(evidence, 'trust'),
  issuer_renamed: renamed,
  issuer_mismatch: (evidence) => steps(evidence, 'trust'),
  signature_invalid: (evidence) => (evidence.issuer?.state === 'verified' ? steps(evidence, 'trust') : undefined),
  role_missing: (evidence) => steps(evidence, 'policy', 'role'),
  role_type_oidc: (evidence) => onRole(evidence, {}),
  audience_unbound: (evidence) => onRole(evidence, { bound_audiences: audiencesOf(evidence) }),
  audience_mismatch: (evidence) => onRole(evidence, { bound_audiences: audiencesOf(evidence) }),
  subject_mismatch: (evidence) => onRole(evidence, { bound_subject: evidence.jwt?.seen?.subject ?? '' }),
  role_trusts_all: (evidence) => onRole(evidence, { bound_subject: evidence.jwt?.seen?.subject ?? '' }),
  claims_mismatch: claims,
  token_batch: (evidence) => onRole(evidence, { token_type: 'service' }),
  token_uses_limited: (evidence) => onRole(evidence, { token_num_uses: 0 }),
  token_capped: (evidence) => onRole(evidence, { token_ttl: Math.floor((evidence.login?.seen?.leaseMs ?? 0) / 1000) }),
  renewal_denied: withDefaultPolicy,
  lookup_denied: withDefaultPolicy,
  sink_directory_missing: (_evidence, words) => `mkdir -p -m 0750 ${quoted(pathIn(words))}`,
  sink_directory_unsafe: (_evidence, words) =>
    /writable/.test(words) ? `chmod o-w ${quoted(pathIn(words))}` : undefined,
};

/** The path with which the evidence of a sink begins. */
const pathIn = (words: string): string => /^(\/.*?)(?:: \w+$| is | belongs )/.exec(words)?.[1] ?? words;

/** The steps of setup, with what the config leaves open taken from the JWT. */
function steps(evidence: Evidence, ...kinds: readonly Step['kind'][]): string {
  const { settings, setup } = evidence;
  const plan = planProvision([{ ...settings, setup: completed(setup, evidence) }]);
  return plan.steps
    .filter(({ kind }) => kinds.includes(kind))
    .map(asCommand)
    .join('\n');
}

function completed({ stated, trust, role, policies }: SetupSettings, { jwt }: Evidence): SetupSettings {
  const { issuer, subject, audience = [] } = jwt?.seen ?? {};
  const known = issuer === undefined ? {} : { discoveryUrl: issuer, boundIssuer: issuer };
  const audiences = audience.length === 0 ? {} : { boundAudiences: [...audience] };
  const subjects = subject === undefined ? {} : { boundSubject: subject };
  // by its keys, the issuer's own name is all that is missing
  const { discoveryUrl: _, ...byKeys } = known as { discoveryUrl?: string };
  return {
    stated,
    trust: { ...(trust.jwksUrl === undefined ? known : byKeys), ...trust },
    role: { ...audiences, ...subjects, ...role },
    policies,
  };
}

/** A document that says another name: it is the one to trust, as far as the JWT says it too. */
function renamed(evidence: Evidence): string | undefined {
  const { issuer, jwt, settings } = evidence;
  if (issuer?.state !== 'renamed' || jwt?.seen?.issuer !== issuer.published) return undefined;
  const body = { oidc_discovery_url: issuer.published, bound_issuer: issuer.published };
  return asCommand({ ...at(settings.login.namespace), kind: 'trust', path: trustPath(settings.login), body });
}

function audiencesOf({ settings, jwt }: Evidence): readonly string[] {
  return settings.expect.audience === undefined ? (jwt?.seen?.audience ?? []) : [settings.expect.audience];
}

/** Vault names the claim that doesn't fit; its value in the JWT is what would. */
function claims(evidence: Evidence, words: string): string | undefined {
  const [, name = ''] = /claim "([^"]+)"/.exec(words) ?? [];
  const value = claimAt(evidence.claims ?? {}, name);
  if (/groups/.test(words)) return onRole(evidence, { groups_claim: '' });
  if (/not found in token|could not be converted/.test(words)) return onRole(evidence, { user_claim: 'sub' });
  const role = evidence.differences?.find(({ step }) => step.kind === 'role')?.current;
  const others = (role?.['bound_claims'] ?? {}) as Record<string, string>;
  return typeof value === 'string' ? onRole(evidence, { bound_claims: { ...others, [name]: value } }) : undefined;
}

function withDefaultPolicy(evidence: Evidence): string | undefined {
  if (evidence.login?.seen?.policies.includes('default') !== false) return undefined;
  return onRole(evidence, { token_no_default_policy: 'false' });
}

/** The other members of a role stay as they are, but for its type, which Vault takes for oidc where it isn't said anew. */
function onRole({ settings }: Evidence, members: Readonly<Record<string, StepValue>>): string {
  const body = { role_type: 'jwt', ...members };
  return asCommand({ ...at(settings.login.namespace), kind: 'role', path: rolePath(settings.login), body });
}

const at = (namespace: string | undefined) => (namespace === undefined ? {} : { namespace });
