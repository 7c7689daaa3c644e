// What Vault needs so that exchanges can log in: mount, trust config, policies and role, in the order in which they must
// be made, each with its why. Pure: from settings to steps. text.ts shows them, diff.ts compares them
// with what is there. https://developer.hashicorp.com/vault/api-docs/auth/jwt

import { defined } from '../core/defined.ts';
import { unprintableIn } from '../core/secret.ts';
import type { ExchangeSettings, LoginSettings, Settings, SetupSettings } from '../core/settings.ts';
import { trustsTooMuch } from './trust.ts';

export type StepValue = string | number | readonly string[] | Readonly<Record<string, string | readonly string[]>>;

export interface SetupStep {
  readonly kind: 'mount' | 'trust' | 'policy' | 'role';
  readonly exchange: string;
  /** of its Vault */
  readonly address: string;
  readonly namespace?: string;
  /** of the API, below /v1/ */
  readonly path: string;
  /** durations are in seconds, as Vault answers them */
  readonly body: Readonly<Record<string, StepValue>>;
  readonly why: string;
}

export interface Plan {
  readonly steps: readonly SetupStep[];
  /** what works, and yet trusts too much or grants nothing */
  readonly warnings: readonly string[];
  /** what keeps the plan from being made: nothing may be applied then */
  readonly problems: readonly string[];
}

export interface PlannedExchange extends Pick<ExchangeSettings, 'name' | 'vault' | 'login'> {
  readonly setup: SetupSettings;
  /** how long its JWTs live, where one is at hand */
  readonly jwtLifeMs?: number;
}

/** @param jwtLives how long the JWTs live, by exchange, in milliseconds */
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
        problems.push(`${step.path}: exchanges ${same.exchange} and ${step.exchange} differ on it; give one its own`);
    }
  }
  return { steps, warnings: exchanges.flatMap(warningsOf), problems };
}

export const trustPath = ({ mount }: LoginSettings): string => `auth/${mount}/config`;
export const rolePath = ({ mount, role }: LoginSettings): string => `auth/${mount}/role/${role}`;

function stepsOf({ name, vault, login, setup }: PlannedExchange): SetupStep[] {
  const { namespace } = login;
  const at = { exchange: name, address: vault.address, ...defined({ namespace }) };
  return [
    {
      ...at,
      kind: 'mount',
      path: `sys/auth/${login.mount}`,
      body: { type: 'jwt' },
      why: 'the JWT auth method, one mount for each issuer',
    },
    {
      ...at,
      kind: 'trust',
      path: trustPath(login),
      body: trustBody(setup),
      why: 'which issuer Vault believes, and where its keys are',
    },
    ...Object.entries(setup.policies).map(
      ([policy, text]): SetupStep => ({
        ...at,
        kind: 'policy',
        path: `sys/policies/acl/${policy}`,
        body: { policy: text },
        why: `what a token of exchange ${name} may do`,
      }),
    ),
    {
      ...at,
      kind: 'role',
      path: rolePath(login),
      body: roleBody(setup),
      why: 'which JWTs may log in, and what their tokens may do',
    },
  ];
}

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
    }),
    token_policies: role.policies,
    token_ttl: Math.round(role.ttlMs / 1000),
    ...(role.maxTtlMs === undefined ? {} : { token_max_ttl: Math.round(role.maxTtlMs / 1000) }),
  };
}

/** Vault takes the name of a role in any case, and makes it lower. */
const placeOf = ({ kind, path }: SetupStep): string => (kind === 'role' ? path.toLowerCase() : path);

const isSamePlace = (one: SetupStep, other: SetupStep): boolean =>
  placeOf(one) === placeOf(other) && one.namespace === other.namespace && one.address === other.address;

function problemsOf({ name, setup: { trust, role } }: PlannedExchange): string[] {
  const problems: string[] = [];
  if ((trust.jwksUrl ?? trust.discoveryUrl) === undefined)
    problems.push(`exchange ${name}: whom to trust isn't said: set expect.issuer, or setup.trust.oidc_discovery_url`);
  else if (trust.boundIssuer === undefined)
    problems.push(`exchange ${name}: with jwks_url alone any issuer would do: set expect.issuer`);
  if (role.boundAudiences === undefined && role.boundSubject === undefined && role.boundClaims === undefined)
    problems.push(`exchange ${name}: the role would be bound to nothing: set expect.audience and expect.subject`);
  return problems;
}

function warningsOf({ name, setup: { role }, jwtLifeMs }: PlannedExchange): string[] {
  const { boundSubject, boundAudiences, policies, ttlMs } = role;
  const warnings: string[] = [];
  const loose = trustsTooMuch(role);
  if (loose !== undefined) warnings.push(`${loose}: set expect.subject, or setup.role.bound_claims`);
  if (boundSubject?.includes('*'))
    warnings.push(
      'bound_subject is compared to the letter: a glob belongs in bound_claims, with bound_claims_type glob',
    );
  if (boundAudiences === undefined)
    warnings.push('a JWT with an audience is refused, whatever bound_claims says of "aud": set expect.audience');
  if (policies.length === 0) warnings.push('the token may do nothing: set setup.role.token_policies');
  if (jwtLifeMs !== undefined && ttlMs > jwtLifeMs)
    warnings.push(
      `token_ttl is longer than the JWT lives (${Math.round(jwtLifeMs / 60_000)} min): who loses the JWT keeps the token`,
    );
  return warnings.map((warning) => `exchange ${name}: ${warning}`);
}

/** What may span several lines: HCL and PEM, which come from the config alone. */
const OF_SEVERAL_LINES: ReadonlySet<string> = new Set(['policy', 'oidc_discovery_ca_pem', 'jwks_ca_pem']);

/** The members whose values can't be shown safely, so that nobody could tell what a command with them does. */
export function unprintableMembers({ path, body }: Pick<SetupStep, 'path' | 'body'>): string[] {
  return Object.entries(body).flatMap(([member, value]) => {
    const [found] = [member, ...textsIn(value)].flatMap((text) => {
      const lines = OF_SEVERAL_LINES.has(member) ? text.replaceAll(/[\r\n\t]/g, ' ') : text;
      return unprintableIn(lines) ?? [];
    });
    return found === undefined ? [] : [`${path} ${member} contains an unprintable character (${found})`];
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)];
  return Object.entries(value).flatMap(([name, one]) => [name, ...textsIn(one)]);
}
