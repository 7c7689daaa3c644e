// The setup section of an exchange as settings. Members that it leaves out default to those of `expect`.

import { defined } from '../core/defined.ts';
import type { RoleSettings, SetupSettings, TrustSettings } from '../core/settings.ts';
import { parseCidr, parseIssuerUrl } from './address.ts';
import { parseDuration } from './duration.ts';
import { type Notes, orProblem } from './notes.ts';
import { defaultAt, type ExchangeFile } from './schema.ts';

export function buildSetup(at: string, { setup, login, expect = {} }: ExchangeFile, notes: Notes): SetupSettings {
  if (login.cel === true && setup?.role !== undefined)
    notes.problems.push({
      pointer: `${at}/role`,
      message: "must not be set with login.cel: setup can't write a CEL role",
    });
  return {
    stated: setup !== undefined,
    trust: buildTrust(`${at}/trust`, { trust: setup?.trust ?? {}, expect }, notes),
    role: buildRole(`${at}/role`, { role: setup?.role ?? {}, expect }, notes),
    policies: setup?.policies ?? {},
  };
}

type SetupFile = NonNullable<ExchangeFile['setup']>;
type Expect = NonNullable<ExchangeFile['expect']>;

function buildTrust(
  at: string,
  { trust, expect }: { trust: NonNullable<SetupFile['trust']>; expect: Expect },
  notes: Notes,
): TrustSettings {
  for (const members of [
    ['oidc_discovery_url', 'jwks_url'],
    ['oidc_discovery_ca_pem', 'oidc_discovery_ca_file'],
  ] as const)
    if (members.every((member) => trust[member] !== undefined))
      notes.problems.push({ pointer: at, message: `must have at most one of ${members.join(', ')}` });
  for (const member of ['oidc_discovery_url', 'jwks_url'] as const) {
    const url = trust[member];
    if (url !== undefined) orProblem(`${at}/${member}`, parseIssuerUrl(url), notes);
  }
  const discoveryUrl = trust.oidc_discovery_url ?? (trust.jwks_url === undefined ? expect.issuer : undefined);
  const boundIssuer = trust.bound_issuer ?? expect.issuer ?? discoveryUrl;
  return {
    ...defined({ discoveryUrl, jwksUrl: trust.jwks_url, boundIssuer }),
    ...defined({ caPem: trust.oidc_discovery_ca_pem, caFile: trust.oidc_discovery_ca_file }),
  };
}

function buildRole(
  at: string,
  { role, expect }: { role: NonNullable<SetupFile['role']>; expect: Expect },
  notes: Notes,
): RoleSettings {
  const audiences = role.bound_audiences ?? (expect.audience === undefined ? undefined : [expect.audience]);
  const subject = role.bound_subject ?? expect.subject;
  // Defaults of the setup aren't noted, as the daemon doesn't use them.
  const given = (member: 'token_ttl' | 'token_max_ttl' | 'token_period') => {
    const value = role[member] ?? (defaultAt(`${at}/${member}`) as string | undefined);
    return value === undefined ? undefined : (orProblem(`${at}/${member}`, parseDuration(value), notes) ?? 1000);
  };
  const [ttlMs = 1000, maxTtlMs, periodMs] = [given('token_ttl'), given('token_max_ttl'), given('token_period')];
  if (maxTtlMs !== undefined && maxTtlMs < ttlMs)
    notes.problems.push({ pointer: `${at}/token_max_ttl`, message: 'must not be less than token_ttl' });
  if (role.token_type === 'batch' && periodMs !== undefined)
    notes.problems.push({
      pointer: `${at}/token_period`,
      message: "must not be set with token_type batch: batch tokens can't be renewed",
    });
  const boundCidrs = role.token_bound_cidrs?.map(
    (text, index) => orProblem(`${at}/token_bound_cidrs/${index}`, parseCidr(text), notes) ?? '',
  );
  const hasClaims = Object.keys(role.bound_claims ?? {}).length > 0;
  return {
    userClaim: role.user_claim ?? (defaultAt(`${at}/user_claim`) as string),
    ...defined({ boundAudiences: audiences, boundSubject: subject }),
    ...(role.bound_claims === undefined || !hasClaims ? {} : { boundClaims: role.bound_claims }),
    ...defined({ boundClaimsType: role.bound_claims_type }),
    ...defined({ claimMappings: role.claim_mappings, groupsClaim: role.groups_claim }),
    policies: role.token_policies ?? [],
    ttlMs,
    ...defined({ maxTtlMs, periodMs, tokenType: role.token_type, boundCidrs }),
  };
}
