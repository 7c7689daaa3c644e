// An in-memory OIDC issuer on a real loopback socket: discovery document, JWKS, and JWTs with arbitrary claims. Only for the dev
// command and tests.

import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { listenOn, type TlsPair } from './listen.ts';

export interface Issuer {
  /** the URL that it listens at */
  readonly url: string;
  /** the "iss" of its JWTs and the issuer of its discovery document; by default, the URL */
  readonly issuer: string;
  /** Mints a signed JWT; `claims` override sub "app", aud "vault", iat now and exp in `ttlSeconds` (3600). */
  mint(claims?: JwtWish): Promise<string>;
  /** Creates a new signing key; the old one stays published if `keepOld`. */
  rotateKeys(keepOld: boolean): Promise<void>;
  /** Changes the issuer in the discovery document. */
  rename(published: string): void;
  /** While down, answers every request with 503. */
  setDown(down: boolean): void;
  close(): Promise<void>;
}

export interface JwtWish extends Record<string, unknown> {
  readonly ttlSeconds?: number;
}

export interface IssuerOptions {
  readonly port?: number;
  readonly issuer?: string;
  readonly tls?: TlsPair;
}

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

const ALGORITHM = 'ES256';

export async function openIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  let serial = 0;
  let down = false;
  let published = '';
  const makeKey = async (): Promise<SigningKey> => {
    serial += 1;
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM);
    const kid = `dev-${serial}`;
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: ALGORITHM, use: 'sig' } };
  };
  let keys = [await makeKey()];

  const server = await listenOn(options, (request) => {
    if (down) return { status: 503, body: 'down' };
    if (request.path === '/.well-known/openid-configuration') {
      const document = {
        issuer: published,
        jwks_uri: `${issuer}/keys`,
        id_token_signing_alg_values_supported: [ALGORITHM],
      };
      const required = {
        authorization_endpoint: `${issuer}/none`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
      };
      return { status: 200, body: { ...document, ...required } };
    }
    if (request.path === '/keys') return { status: 200, body: { keys: keys.map(({ jwk }) => jwk) } };
    return { status: 404, body: {} };
  });
  const issuer = options.issuer ?? server.url;
  published = issuer;

  return {
    url: server.url,
    issuer,
    async mint({ ttlSeconds = 3600, ...claims } = {}) {
      const [key] = keys;
      if (key === undefined) throw new Error('the issuer has no key');
      const now = Math.floor(Date.now() / 1000);
      const payload = {
        iss: issuer,
        sub: 'app',
        aud: 'vault',
        iat: now,
        exp: now + ttlSeconds,
        jti: crypto.randomUUID(),
        ...claims,
      };
      return new SignJWT(payload).setProtectedHeader({ alg: ALGORITHM, kid: key.kid, typ: 'JWT' }).sign(key.privateKey);
    },
    async rotateKeys(keepOld) {
      keys = [await makeKey(), ...(keepOld ? keys : [])];
    },
    rename(other) {
      published = other;
    },
    setDown(value) {
      down = value;
    },
    close: () => server.close(),
  };
}
