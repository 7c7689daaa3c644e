// The command that mends a finding, made of what the JWT says and the config wants: to be looked at, and pasted.

import type { FindingCode } from './diagnosis-codes.ts';
import { currentOf, type Evidence } from './evidence.ts';
import { planProvision, rolePath, type Step, type StepValue, trustPath } from './provision.ts';
import { bodyToWrite, KEY_SOURCES } from './provision-diff.ts';
import { asCommand, quoted } from './provision-text.ts';
import type { SetupSettings } from './settings.ts';
import { claimAt } from './workload-jwt.ts';

/**
 * @param words the evidence of the finding, in which Vault may name a claim
 * @returns undefined where no command helps, or none is safe: what a JWT lacks must not open a role
 */
export function commandFor(code: FindingCode, evidence: Evidence, words = ''): string | undefined {
  const command = COMMANDS[code]?.(evidence, words);
  return command !== undefined && UNPRINTABLE.test(command) ? undefined : command;
}

/** what a claim may hold and no terminal should get; a line or a tab may be a policy's */
const UNPRINTABLE = /[^\P{Cc}\n\t]/u;

type Build = (evidence: Evidence, words: string) => string | undefined;

const COMMANDS: Readonly<Partial<Record<FindingCode, Build>>> = {
  vault_sealed: () => 'vault operator unseal',
  vault_uninitialized: () => 'vault operator init',
  mount_missing: (evidence) => steps(evidence, 'mount', 'trust', 'policy', 'role'),
  mount_unconfigured: (evidence) => steps(evidence, 'trust', 'policy', 'role'),
  mount_misconfigured: (evidence) => steps(evidence, 'trust'),
  issuer_renamed: renamed,
  issuer_mismatch: rebound,
  signature_invalid: (evidence) => (evidence.issuer?.state === 'verified' ? steps(evidence, 'trust') : undefined),
  role_missing: (evidence) => steps(evidence, 'policy', 'role'),
  role_type_oidc: (evidence) => onRole(evidence, {}),
  audience_unbound: bindAudience,
  audience_mismatch: bindAudience,
  subject_mismatch: bindSubject,
  role_trusts_all: bindSubject,
  claims_mismatch: claims,
  token_batch: (evidence) => onRole(evidence, { token_type: 'service' }),
  token_uses_limited: (evidence) => onRole(evidence, { token_num_uses: 0 }),
  token_capped: (evidence) => onRole(evidence, { token_ttl: Math.floor((evidence.login?.seen?.leaseMs ?? 0) / 1000) }),
  renewal_denied: withDefaultPolicy,
  lookup_denied: withDefaultPolicy,
  sink_directory_missing: (_evidence, words) => `mkdir -p -m 0750 ${quoted(pathIn(words))}`,
  sink_directory_unsafe: (_evidence, words) => {
    const writers = / is writable by (all|its group)$/.exec(words)?.[1];
    return writers === undefined ? undefined : `chmod ${writers === 'all' ? 'o-w' : 'g-w'} ${quoted(pathIn(words))}`;
  },
};

/** The path with which the evidence of a sink begins. */
const pathIn = (words: string): string => /^(\/.*?)(?:: \w+$| is | belongs )/.exec(words)?.[1] ?? words;

/** The steps of setup, with what the config leaves open taken from the JWT; what a trust config has beside them stays. */
function steps(evidence: Evidence, ...kinds: readonly Step['kind'][]): string | undefined {
  const { settings, setup } = evidence;
  const { steps: all, problems } = planProvision([{ ...settings, setup: completed(setup, evidence) }]);
  const chosen = all.filter(({ kind }) => kinds.includes(kind));
  const isLoose = chosen.some(({ kind, body }) => kind === 'role' && !body['bound_subject'] && !body['bound_claims']);
  if (problems.length > 0 || isLoose) return undefined;
  return chosen
    .map((step) => asCommand({ ...step, body: bodyToWrite(step, currentOf(evidence, step.kind)) as Step['body'] }))
    .join('\n');
}

/** The trust config as it is, but for the issuer that it binds; unless it was read, only the config's own setup may change it. */
function rebound(evidence: Evidence): string | undefined {
  const { setup, jwt } = evidence;
  const issuer = jwt?.seen?.issuer;
  if (issuer === undefined) return undefined;
  const current = currentOf(evidence, 'trust');
  if (current === undefined)
    return setup.stated && completed(setup, evidence).trust.boundIssuer === issuer
      ? steps(evidence, 'trust')
      : undefined;
  const keys = KEY_SOURCES.filter((member) => String(current[member] ?? '') !== '').map((member) => [
    member,
    current[member],
  ]);
  const body = bodyToWrite({ kind: 'trust', body: { ...Object.fromEntries(keys), bound_issuer: issuer } }, current);
  return onTrust(evidence, body as Step['body']);
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
  const { issuer, jwt } = evidence;
  if (issuer?.state !== 'renamed' || jwt?.seen?.issuer !== issuer.published) return undefined;
  return onTrust(evidence, { oidc_discovery_url: issuer.published, bound_issuer: issuer.published });
}

const onTrust = ({ settings: { login } }: Evidence, body: Step['body']): string =>
  asCommand({ ...at(login.namespace), kind: 'trust', path: trustPath(login), body });

function bindAudience(evidence: Evidence): string | undefined {
  const { settings, jwt } = evidence;
  const audiences = settings.expect.audience === undefined ? (jwt?.seen?.audience ?? []) : [settings.expect.audience];
  return audiences.length === 0 ? undefined : onRole(evidence, { bound_audiences: audiences });
}

function bindSubject(evidence: Evidence): string | undefined {
  const subject = evidence.jwt?.seen?.subject ?? evidence.setup.role.boundSubject;
  return subject === undefined || subject === '' ? undefined : onRole(evidence, { bound_subject: subject });
}

/** Vault names the claim that doesn't fit; its value in the JWT is what would. The others that are bound must stay so. */
function claims(evidence: Evidence, words: string): string | undefined {
  const [, name] = /validating claims: claim "([^"]+)"/.exec(words) ?? [];
  if (name === undefined) {
    if (/"[^"]*" claim (?:not found|could not)/.test(words)) return onRole(evidence, { groups_claim: '' });
    return /claim "[^"]*" (?:not found|could not)/.test(words) ? onRole(evidence, { user_claim: 'sub' }) : undefined;
  }
  const value = claimAt(evidence.claims ?? {}, name);
  const role = currentOf(evidence, 'role');
  const others = role === undefined ? evidence.setup.role.boundClaims : (role['bound_claims'] as Bound);
  if (others === undefined || typeof value !== 'string' || value === '') return undefined;
  return onRole(evidence, { bound_claims: { ...others, [name]: value } });
}

type Bound = SetupSettings['role']['boundClaims'];

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
