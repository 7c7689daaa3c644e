// The setup section of an exchange as settings. Members that it leaves out default to those of `expect`.

import { defined } from '../core/defined.ts';
import type { SetupSettings } from '../core/settings.ts';
import { parseIssuerUrl } from './address.ts';
import { parseDuration } from './duration.ts';
import { type Notes, orProblem } from './notes.ts';
import { defaultAt, type ExchangeFile } from './schema.ts';

export function buildSetup(at: string, { setup, expect = {} }: ExchangeFile, notes: Notes): SetupSettings {
  const stated = setup !== undefined;
  const { trust = {}, role = {}, policies = {} } = setup ?? {};
  if (trust.jwks_url !== undefined && trust.oidc_discovery_url !== undefined)
    notes.problems.push({ pointer: `${at}/trust`, message: 'must have at most one of oidc_discovery_url, jwks_url' });
  if (trust.oidc_discovery_ca_pem !== undefined && trust.oidc_discovery_ca_file !== undefined)
    notes.problems.push({
      pointer: `${at}/trust`,
      message: 'must have at most one of oidc_discovery_ca_pem, oidc_discovery_ca_file',
    });
  for (const member of ['oidc_discovery_url', 'jwks_url'] as const) {
    const url = trust[member];
    if (url !== undefined) orProblem(`${at}/trust/${member}`, parseIssuerUrl(url), notes);
  }
  const discoveryUrl = trust.oidc_discovery_url ?? (trust.jwks_url === undefined ? expect.issuer : undefined);
  const boundIssuer = trust.bound_issuer ?? expect.issuer ?? discoveryUrl;
  const audiences = role.bound_audiences ?? (expect.audience === undefined ? undefined : [expect.audience]);
  const subject = role.bound_subject ?? expect.subject;
  // Defaults of the setup aren't noted, as the daemon doesn't use them.
  const given = (member: string, value: string | number) =>
    orProblem(`${at}/role/${member}`, parseDuration(value), notes) ?? 1000;
  const ttlMs = given('token_ttl', role.token_ttl ?? (defaultAt(`${at}/role/token_ttl`) as string));
  const maxTtlMs = role.token_max_ttl === undefined ? undefined : given('token_max_ttl', role.token_max_ttl);
  if (maxTtlMs !== undefined && maxTtlMs < ttlMs)
    notes.problems.push({ pointer: `${at}/role/token_max_ttl`, message: 'must not be less than token_ttl' });
  const hasClaims = Object.keys(role.bound_claims ?? {}).length > 0;
  return {
    stated,
    trust: {
      ...defined({ discoveryUrl, jwksUrl: trust.jwks_url, boundIssuer }),
      ...defined({ caPem: trust.oidc_discovery_ca_pem, caFile: trust.oidc_discovery_ca_file }),
    },
    role: {
      userClaim: role.user_claim ?? (defaultAt(`${at}/role/user_claim`) as string),
      ...defined({ boundAudiences: audiences, boundSubject: subject }),
      ...(role.bound_claims === undefined || !hasClaims ? {} : { boundClaims: role.bound_claims }),
      ...defined({ boundClaimsType: role.bound_claims_type }),
      policies: role.token_policies ?? [],
      ttlMs,
      ...defined({ maxTtlMs }),
    },
    policies,
  };
}
