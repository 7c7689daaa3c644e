// The issuer as anybody can see it: its discovery document, its keys, and whether they verify the JWT. Vault does the same;
// here it is done to explain. https://openid.net/specs/openid-connect-discovery-1_0.html

import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet, type JWK } from 'jose';
import { defined } from '../../core/defined.ts';
import { ExchangeError, explain } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import type { TrustSettings } from '../../core/settings.ts';
import { objectOf, parseObject } from '../../core/vault-protocol.ts';
import { readJwt } from '../../core/workload-jwt.ts';
import { openVaultClient } from '../../vault/client.ts';
import type { IssuerFacts } from '../diagnose/evidence.ts';

interface Looking {
  readonly timeoutMs: number;
  /** hosts that the config doesn't name may be asked: the JWT's own issuer, and wherever its document points to */
  readonly fetchIssuer: boolean;
}

/**
 * Asks only hosts that the config names, unless `fetchIssuer`: a JWT is unverified here, and whoever wrote it must not choose
 * where this machine sends requests. Redirects aren't followed to another host.
 * @returns undefined where the JWT's algorithm has no public key
 */
export async function inspectIssuer(
  jwt: Secret,
  trust: TrustSettings,
  looking: Looking,
): Promise<IssuerFacts | undefined> {
  const { claims, algorithm, keyId } = readJwt(jwt) ?? { claims: {}, algorithm: '', keyId: '' };
  const issuer = trust.discoveryUrl ?? (looking.fetchIssuer ? claims['iss'] : undefined);
  if (/^HS|^none$|^$/.test(algorithm)) return undefined;
  try {
    const keysUrl = trust.jwksUrl ?? (await findKeys(issuer, trust, looking));
    const keys = await fetchJson(keysUrl, trust, looking.timeoutMs);
    return await verify(jwt, { url: keysUrl, keyId, keys: keys as unknown as JSONWebKeySet });
  } catch (error) {
    if (error instanceof IssuerTrouble) return error.facts;
    throw error;
  }
}

/** @returns where the keys are. @throws IssuerTrouble */
async function findKeys(issuer: unknown, trust: TrustSettings, { timeoutMs, fetchIssuer }: Looking): Promise<string> {
  if (typeof issuer !== 'string' || !/^https?:\/\//.test(issuer) || !URL.canParse(issuer))
    throw new IssuerTrouble({ state: 'unfetched', words: fetchIssuer ? NO_URL : NOT_NAMED });
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { issuer: published, jwks_uri: keysUrl } = await fetchJson(url, trust, timeoutMs);
  if (published !== issuer)
    throw new IssuerTrouble({ state: 'renamed', url, published: String(published).slice(0, 200) });
  if (typeof keysUrl !== 'string' || !/^https?:\/\//.test(keysUrl) || !URL.canParse(keysUrl))
    throw new IssuerTrouble({ state: 'unpublished', url, words: 'it names no jwks_uri' });
  if (!fetchIssuer && !originsOf(url, trust).includes(new URL(keysUrl).origin))
    throw new IssuerTrouble({ state: 'unfetched', words: `${url} says that its keys are at ${keysUrl}${ELSEWHERE}` });
  return keysUrl;
}

const NOT_NAMED =
  "the issuer's documents weren't looked at: set expect.issuer or setup.trust, or allow the JWT's own issuer with --fetch-issuer";
const NO_URL = "the issuer's documents weren't looked at: the JWT's issuer is no URL";
const ELSEWHERE = ", a host that the config doesn't name: not looked at; --fetch-issuer allows it";

/** The document's own, and those that the config names. */
const originsOf = (url: string, { discoveryUrl, jwksUrl, boundIssuer }: TrustSettings): string[] =>
  [url, discoveryUrl, jwksUrl, boundIssuer].flatMap((one) =>
    one !== undefined && URL.canParse(one) ? [new URL(one).origin] : [],
  );

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
  const tls = defined({ ca: caPem });
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
    if (!(error instanceof ExchangeError)) throw error;
    const { code, evidence = code } = explain(error.failure);
    // Vault follows it
    if (code === 'redirect_blocked')
      throw new IssuerTrouble({ state: 'unfetched', words: `${text} redirects (${evidence}): not followed from here` });
    throw new IssuerTrouble({ state: 'unreachable', url: text, words: evidence });
  } finally {
    await client.close();
  }
}
