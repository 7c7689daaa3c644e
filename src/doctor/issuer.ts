// The issuer as anybody can see it: its discovery document, its keys, and whether they verify the JWT. Vault does the same;
// here it is done to explain. https://openid.net/specs/openid-connect-discovery-1_0.html

import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet, type JWK } from 'jose';
import { ExchangeError } from '../core/errors.ts';
import type { IssuerFacts } from '../core/evidence.ts';
import type { Secret } from '../core/secret.ts';
import type { TrustSettings } from '../core/settings.ts';
import { objectOf, parseObject } from '../core/vault-protocol.ts';
import { readJwt } from '../core/workload-jwt.ts';
import { openVaultClient } from '../vault/client.ts';

/** @returns undefined where the JWT names no issuer, or its algorithm has no public key */
export async function inspectIssuer(
  jwt: Secret,
  trust: TrustSettings,
  timeoutMs: number,
): Promise<IssuerFacts | undefined> {
  const { claims, algorithm, keyId } = readJwt(jwt) ?? { claims: {}, algorithm: '', keyId: '' };
  const issuer = trust.discoveryUrl ?? claims['iss'];
  if (/^HS|^none$|^$/.test(algorithm)) return undefined;
  try {
    const keysUrl = trust.jwksUrl ?? (await findKeys(issuer, trust, timeoutMs));
    if (typeof keysUrl !== 'string') return keysUrl;
    const keys = await fetchJson(keysUrl, trust, timeoutMs);
    return await verify(jwt, { url: keysUrl, keyId, keys: keys as unknown as JSONWebKeySet });
  } catch (error) {
    if (error instanceof IssuerTrouble) return error.facts;
    // Vault follows where nothing is followed from here
    if (error instanceof ExchangeError && error.failure.code === 'redirect_blocked') return undefined;
    throw error;
  }
}

/** @returns where the keys are, or why that can't be known */
async function findKeys(
  issuer: unknown,
  trust: TrustSettings,
  timeoutMs: number,
): Promise<string | IssuerFacts | undefined> {
  if (typeof issuer !== 'string' || !/^https?:\/\//.test(issuer) || !URL.canParse(issuer)) return undefined;
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { issuer: published, jwks_uri: keysUrl } = await fetchJson(url, trust, timeoutMs);
  if (published !== issuer) return { state: 'renamed', url, published: String(published).slice(0, 200) };
  if (typeof keysUrl !== 'string' || !URL.canParse(keysUrl))
    return { state: 'unpublished', url, words: 'it names no jwks_uri' };
  return keysUrl;
}

async function verify(
  jwt: Secret,
  { url, keyId, keys }: { url: string; keyId: string; keys: JSONWebKeySet },
): Promise<IssuerFacts> {
  const known = Array.isArray(keys.keys) ? keys.keys : [];
  if (keyId !== '' && !known.some(({ kid }) => kid === keyId)) return { state: 'key-missing', url, keyId };
  return { state: (await isVerified(jwt, known)) ? 'verified' : 'forged', url, keyId };
}

async function isVerified(jwt: Secret, keys: JWK[]): Promise<boolean> {
  try {
    await compactVerify(jwt.reveal(), createLocalJWKSet({ keys }));
    return true;
  } catch (error) {
    // without a key's name any of them may be meant
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return false;
    for await (const key of error) {
      const fits = await compactVerify(jwt.reveal(), key).catch(() => undefined);
      if (fits !== undefined) return true;
    }
    return false;
  }
}

class IssuerTrouble extends Error {
  readonly facts: IssuerFacts;

  constructor(facts: IssuerFacts) {
    super(facts.state);
    this.facts = facts;
  }
}

/** @throws IssuerTrouble */
async function fetchJson(text: string, { caPem }: TrustSettings, timeoutMs: number): Promise<Record<string, unknown>> {
  const url = new URL(text);
  const tls = caPem === undefined ? {} : { ca: caPem };
  // the client that carries requests to Vault carries this one as well: its deadline and limits are wanted here too
  const client = openVaultClient({ address: url.origin, tls, timeoutMs, redirectHosts: [], useProxyEnv: true });
  try {
    const reply = await client.send({ method: 'GET', path: url.pathname + url.search });
    if (reply.status >= 500)
      throw new IssuerTrouble({ state: 'unreachable', url: text, words: `status ${reply.status}` });
    if (reply.status !== 200)
      throw new IssuerTrouble({ state: 'unpublished', url: text, words: `status ${reply.status}` });
    const body = objectOf(parseObject(reply.body));
    if (body === undefined) throw new IssuerTrouble({ state: 'unpublished', url: text, words: 'no JSON object' });
    return body;
  } catch (error) {
    if (!(error instanceof ExchangeError) || error.failure.code === 'redirect_blocked') throw error;
    const { code, evidence = code } = error.failure;
    throw new IssuerTrouble({ state: 'unreachable', url: text, words: evidence });
  } finally {
    await client.close();
  }
}
