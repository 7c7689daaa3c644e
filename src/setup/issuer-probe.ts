// Fetches the document of an issuer that Vault can't use. Vault names no cause, and this machine often fails for the same one.

import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';
import { objectOf, parseObject, type VaultReply } from '../core/vault-protocol.ts';
import { openVaultClient } from '../vault/client.ts';
import type { SetupStep } from './plan.ts';

const TIMEOUT_MS = 5000;

/** @param trust the body of the trust step. @returns the result of the request from this machine; undefined if it can't judge */
export async function probeIssuer(trust: SetupStep['body']): Promise<Facts | undefined> {
  const text = (member: string) => (typeof trust[member] === 'string' ? trust[member] : undefined);
  const issuer = text('oidc_discovery_url');
  const place = text('jwks_url') ?? `${issuer?.replace(/\/$/, '')}/.well-known/openid-configuration`;
  if (!URL.canParse(place) || !/^https?:/i.test(place)) return undefined;
  const url = new URL(place);
  const ca = text('oidc_discovery_ca_pem') ?? text('jwks_ca_pem');
  // Use the Vault client, for its deadline and its size limits. The request carries no token.
  const client = openVaultClient({
    address: url.origin,
    tls: defined({ ca }),
    timeoutMs: TIMEOUT_MS,
    redirectHosts: [],
    useProxyEnv: true,
  });
  try {
    return judge(issuer, await client.send({ method: 'GET', path: url.pathname + url.search }));
  } catch (error) {
    if (!(error instanceof ExchangeError)) throw error;
    const { code, facts } = error.failure;
    // Vault itself follows redirects.
    if (code === 'redirect_blocked') return undefined;
    return facts?.kind === 'tls-files' ? { ...facts, paths: ['setup.trust.oidc_discovery_ca_pem'] } : facts;
  } finally {
    await client.close();
  }
}

function judge(issuer: string | undefined, { status, body }: VaultReply): Facts {
  if (status !== 200) return { kind: 'reply', status, words: '' };
  const document = objectOf(parseObject(body));
  if (issuer === undefined || document?.['issuer'] === issuer) return { kind: 'issuer-usable' };
  const actual = document?.['issuer'];
  return { kind: 'claim', claim: 'issuer', expected: issuer, actual: typeof actual === 'string' ? actual : undefined };
}
