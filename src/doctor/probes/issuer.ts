// Checks the issuer's public documents: the discovery document, the keys, and whether they verify the JWT. Vault does the same at
// a login; doctor repeats it to explain failures. https://openid.net/specs/openid-connect-discovery-1_0.html

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
  /** allows requests to hosts that the config doesn't name: the JWT's issuer, and the jwks_uri of its document */
  readonly fetchIssuer: boolean;
}

/**
 * Fetches and checks the issuer's documents. Without `fetchIssuer`, requests go only to hosts that the config names: the JWT is
 * unverified, and its author must not choose where this machine sends requests. Redirects to other hosts aren't followed.
 * @returns undefined if the JWT's algorithm has no public key
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

/** @returns the URL of the keys. @throws IssuerTrouble */
async function findKeys(issuer: unknown, trust: TrustSettings, { timeoutMs, fetchIssuer }: Looking): Promise<string> {
  if (typeof issuer !== 'string' || !/^https?:\/\//.test(issuer) || !URL.canParse(issuer))
    throw new IssuerTrouble({ state: 'unfetched', words: fetchIssuer ? NO_URL : NOT_NAMED });
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { issuer: published, jwks_uri: keysUrl } = await fetchJson(url, trust, timeoutMs);
  if (published !== issuer)
    throw new IssuerTrouble({ state: 'renamed', url, published: String(published).slice(0, 200) });
  if (typeof keysUrl !== 'string' || !/^https?:\/\//.test(keysUrl) || !URL.canParse(keysUrl))
    throw new IssuerTrouble({ state: 'unpublished', url, words: 'it has no valid jwks_uri' });
  if (!fetchIssuer && !originsOf(url, trust).includes(new URL(keysUrl).origin))
    throw new IssuerTrouble({ state: 'unfetched', words: `the jwks_uri of ${url} is ${keysUrl}${ELSEWHERE}` });
  return keysUrl;
}

const NOT_NAMED =
  "doctor didn't fetch the issuer's documents: set expect.issuer or setup.trust, or allow the JWT's own issuer with --fetch-issuer";
const NO_URL = "doctor didn't fetch the issuer's documents: the JWT's issuer is not a URL";
const ELSEWHERE = ", on a host that the config doesn't name: doctor didn't fetch it; --fetch-issuer allows it";

/** The origins of the document and of the URLs in the config. */
const originsOf = (url: string, { discoveryUrl, jwksUrl, boundIssuer }: TrustSettings): string[] =>
  [url, discoveryUrl, jwksUrl, boundIssuer].flatMap((one) =>
    one !== undefined && URL.canParse(one) ? [new URL(one).origin] : [],
  );

async function verify(
  jwt: Secret,
  { url, keyId, keys }: { url: string; keyId: string; keys: JSONWebKeySet },
): Promise<IssuerFacts> {
  const known = Array.isArray(keys.keys) ? keys.keys : [];
  const published = known.flatMap(({ kid }) => (typeof kid === 'string' ? [kid] : []));
  if (keyId !== '' && !published.includes(keyId)) return { state: 'key-missing', url, keyId, published };
  return { state: (await isVerified(jwt, known)) ? 'verified' : 'forged', url, keyId };
}

async function isVerified(jwt: Secret, keys: JWK[]): Promise<boolean> {
  try {
    await compactVerify(jwt.reveal(), createLocalJWKSet({ keys }));
    return true;
  } catch (error) {
    // Without a kid in the JWT, any of the keys may have signed it.
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
  // Use the Vault client, for its deadline and its size limits.
  const client = openVaultClient({ address: url.origin, tls, timeoutMs, redirectHosts: [], useProxyEnv: true });
  try {
    const reply = await client.send({ method: 'GET', path: url.pathname + url.search });
    if (reply.status >= 500)
      throw new IssuerTrouble({ state: 'unreachable', url: text, words: `status ${reply.status}` });
    if (reply.status !== 200)
      throw new IssuerTrouble({ state: 'unpublished', url: text, words: `status ${reply.status}` });
    const body = objectOf(parseObject(reply.body));
    if (body === undefined)
      throw new IssuerTrouble({ state: 'unpublished', url: text, words: 'the response is not a JSON object' });
    return body;
  } catch (error) {
    if (!(error instanceof ExchangeError)) throw error;
    const { code, evidence = code } = explain(error.failure);
    // Vault itself follows the redirect, so this isn't a failure.
    if (code === 'redirect_blocked')
      throw new IssuerTrouble({
        state: 'unfetched',
        words: `${text} redirects (${evidence}); doctor doesn't follow it`,
      });
    throw new IssuerTrouble({ state: code === 'vault_tls' ? 'untrusted' : 'unreachable', url: text, words: evidence });
  } finally {
    await client.close();
  }
}
