// Plans the Vault setup of exchanges: mount, trust config, policies and role, in the order of their creation. Pure: turns settings
// into steps. text.ts renders them, diff.ts compares them with Vault. https://developer.hashicorp.com/vault/api-docs/auth/jwt

import { defined } from '../core/defined.ts';
import { unprintableIn } from '../core/secret.ts';
import type { ExchangeSettings, LoginSettings, Settings, SetupSettings } from '../core/settings.ts';
import { asCommand } from './text.ts';
import { trustsTooMuch } from './trust.ts';

export type StepValue = string | number | readonly string[] | Readonly<Record<string, string | readonly string[]>>;

export interface SetupStep {
  readonly kind: 'mount' | 'trust' | 'policy' | 'role';
  readonly exchange: string;
  /** the address of the exchange's Vault */
  readonly address: string;
  readonly namespace?: string;
  /** the API path, below /v1/ */
  readonly path: string;
  /** durations in seconds, as Vault returns them */
  readonly body: Readonly<Record<string, StepValue>>;
  readonly why: string;
}

export interface Plan {
  readonly steps: readonly SetupStep[];
  /** warnings about roles that accept too many workloads, or grant nothing */
  readonly warnings: readonly string[];
  /** errors in the plan; if there are any, nothing may be applied */
  readonly problems: readonly string[];
}

export interface PlannedExchange extends Pick<ExchangeSettings, 'name' | 'vault' | 'login'> {
  readonly setup: SetupSettings;
  /** the lifetime of its JWTs, if one is available */
  readonly jwtLifeMs?: number;
}

/** @param jwtLives the lifetimes of the JWTs by exchange, in milliseconds */
export function plannedExchanges(
  exchanges: readonly ExchangeSettings[],
  { setup }: Settings,
  jwtLives: Readonly<Record<string, number>> = {},
): PlannedExchange[] {
  return exchanges.flatMap(({ name, vault, login }) => {
    const [own, life] = [setup[name], jwtLives[name]];
    if (own === undefined) return [];
    return [{ name, vault, login, setup: own, ...defined({ jwtLifeMs: life }) }];
  });
}

export function planProvision(exchanges: readonly PlannedExchange[]): Plan {
  const steps: SetupStep[] = [];
  const problems: string[] = [];
  for (const exchange of exchanges) {
    problems.push(...problemsOf(exchange));
    for (const step of stepsOf(exchange)) {
      problems.push(...unprintableMembers(step).map((words) => `exchange ${exchange.name}: ${words}`));
      const same = steps.find((one) => isSamePlace(one, step));
      if (same === undefined) steps.push(step);
      else if (JSON.stringify(same.body) !== JSON.stringify(step.body))
        problems.push(
          `${step.path}: exchanges ${same.exchange} and ${step.exchange} need different values; give one of them another mount, role or policy`,
        );
    }
  }
  return { steps, warnings: exchanges.flatMap(warningsOf), problems };
}

export const trustPath = ({ mount }: LoginSettings): string => `auth/${mount}/config`;
export const rolePath = ({ mount, role, cel }: LoginSettings): string =>
  `auth/${mount}/${cel === true ? 'cel/' : ''}role/${role}`;

function stepsOf({ name, vault, login, setup }: PlannedExchange): SetupStep[] {
  const { namespace } = login;
  const at = { exchange: name, address: vault.address, ...defined({ namespace }) };
  return [
    {
      ...at,
      kind: 'mount',
      path: `sys/auth/${login.mount}`,
      body: { type: 'jwt' },
      why: 'enable the JWT auth method, with one mount per issuer',
    },
    {
      ...at,
      kind: 'trust',
      path: trustPath(login),
      body: trustBody(setup),
      why: 'trust the issuer and its keys',
    },
    ...Object.entries(setup.policies).map(
      ([policy, text]): SetupStep => ({
        ...at,
        kind: 'policy',
        path: `sys/policies/acl/${policy}`,
        body: { policy: text },
        why: `write a policy for the tokens of exchange ${name}`,
      }),
    ),
    ...(login.cel === true ? [] : [roleStep(at, login, setup)]),
  ];
}

const roleStep = (
  at: Pick<SetupStep, 'exchange' | 'address' | 'namespace'>,
  login: LoginSettings,
  setup: SetupSettings,
): SetupStep => ({
  ...at,
  kind: 'role',
  path: rolePath(login),
  body: roleBody(setup),
  why: 'write the role: which JWTs may log in, and what their tokens may do',
});

function trustBody({ trust }: SetupSettings): Record<string, StepValue> {
  return {
    ...(trust.jwksUrl === undefined ? { oidc_discovery_url: trust.discoveryUrl ?? '' } : { jwks_url: trust.jwksUrl }),
    bound_issuer: trust.boundIssuer ?? '',
    ...(trust.caPem === undefined
      ? {}
      : { [trust.jwksUrl === undefined ? 'oidc_discovery_ca_pem' : 'jwks_ca_pem']: trust.caPem }),
  };
}

function roleBody({ role }: SetupSettings): Record<string, StepValue> {
  return {
    role_type: 'jwt',
    user_claim: role.userClaim,
    ...defined({
      bound_audiences: role.boundAudiences,
      bound_subject: role.boundSubject,
      bound_claims: role.boundClaims,
      bound_claims_type: role.boundClaimsType,
      claim_mappings: role.claimMappings,
      groups_claim: role.groupsClaim,
    }),
    token_policies: role.policies,
    token_ttl: secondsOf(role.ttlMs),
    ...(role.maxTtlMs === undefined ? {} : { token_max_ttl: secondsOf(role.maxTtlMs) }),
    ...(role.periodMs === undefined ? {} : { token_period: secondsOf(role.periodMs) }),
    ...defined({ token_type: role.tokenType, token_bound_cidrs: role.boundCidrs }),
  };
}

const secondsOf = (ms: number): number => Math.round(ms / 1000);

/** Returns the path for comparison: Vault converts role names to lower case. */
const placeOf = ({ kind, path }: SetupStep): string => (kind === 'role' ? path.toLowerCase() : path);

const isSamePlace = (one: SetupStep, other: SetupStep): boolean =>
  placeOf(one) === placeOf(other) && one.namespace === other.namespace && one.address === other.address;

function problemsOf({ name, login, setup: { trust, role } }: PlannedExchange): string[] {
  const problems: string[] = [];
  if ((trust.jwksUrl ?? trust.discoveryUrl) === undefined)
    problems.push(
      `exchange ${name}: the setup has no issuer to trust: set expect.issuer or setup.trust.oidc_discovery_url`,
    );
  else if (trust.boundIssuer === undefined)
    problems.push(`exchange ${name}: jwks_url alone accepts any issuer: set expect.issuer`);
  const bindsNothing =
    role.boundAudiences === undefined && role.boundSubject === undefined && role.boundClaims === undefined;
  if (bindsNothing && login.cel !== true)
    problems.push(`exchange ${name}: the role binds no claim: set expect.audience and expect.subject`);
  return problems;
}

function warningsOf({ name, login, setup: { role }, jwtLifeMs }: PlannedExchange): string[] {
  if (login.cel === true) return [`exchange ${name}: ${celNote(login)}`];
  const { boundSubject, boundAudiences, policies, ttlMs, maxTtlMs, periodMs, boundCidrs = [] } = role;
  const warnings: string[] = [];
  const loose = trustsTooMuch(role);
  if (loose !== undefined) warnings.push(`${loose}: set expect.subject, or setup.role.bound_claims`);
  if (boundSubject?.includes('*'))
    warnings.push('bound_subject must match exactly, but contains "*": use bound_claims with bound_claims_type glob');
  if (boundAudiences === undefined)
    warnings.push(
      'without bound_audiences, Vault rejects every JWT with an audience, even if bound_claims has "aud": set expect.audience',
    );
  if (policies.length === 0) warnings.push('the role grants no policies: set setup.role.token_policies');
  const any = boundCidrs.find((cidr) => cidr.endsWith('/0'));
  if (any !== undefined) warnings.push(`token_bound_cidrs: ${any} matches every address: list the workload's networks`);
  if (periodMs !== undefined)
    warnings.push(
      `with token_period, a token can be renewed indefinitely without a JWT${maxTtlMs === undefined ? '' : ', despite token_max_ttl'}`,
    );
  else if (jwtLifeMs !== undefined && ttlMs > jwtLifeMs)
    warnings.push(
      `token_ttl is longer than the JWT's lifetime (${Math.round(jwtLifeMs / 60_000)} min): a workload that loses the JWT keeps the token`,
    );
  return warnings.map((warning) => `exchange ${name}: ${warning}`);
}

function celNote(login: LoginSettings): string {
  const { namespace } = login;
  const command = asCommand({ kind: 'role', path: rolePath(login), body: {}, ...defined({ namespace }) });
  return `setup can't write a CEL role: write it with "${command.replace(/^vault/, 'bao')} @role.json", with cel_program and bound_audiences in role.json`;
}

/** Members that may have several lines: HCL and PEM, which only come from the config. */
const MULTILINE: ReadonlySet<string> = new Set(['policy', 'oidc_discovery_ca_pem', 'jwks_ca_pem']);

/** Returns a message per member with an unprintable character, as an operator couldn't review a command that contains it. */
export function unprintableMembers({ path, body }: Pick<SetupStep, 'path' | 'body'>): string[] {
  return Object.entries(body).flatMap(([member, value]) => {
    const [found] = [member, ...textsIn(value)].flatMap((text) => {
      const lines = MULTILINE.has(member) ? text.replaceAll(/[\r\n\t]/g, ' ') : text;
      return unprintableIn(lines) ?? [];
    });
    return found === undefined ? [] : [`${path} ${member} contains an unprintable character (${found})`];
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)];
  return Object.entries(value).flatMap(([name, one]) => [name, ...textsIn(one)]);
}
