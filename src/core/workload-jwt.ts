// Decodes the workload JWT but doesn't verify it: Vault is the verifier. The claims serve scheduling, display, and a
// local check that keeps a wrong JWT from leaving the machine.

import { decodeJwt, decodeProtectedHeader } from 'jose';
import { type Failure, isFailure } from './errors.ts';
import type { Facts } from './facts.ts';
import { printable, type Secret } from './secret.ts';
import type { ExpectedClaims } from './settings.ts';

/** Instants are epoch milliseconds on the issuer's wall clock; undefined if absent or implausible. */
export interface WorkloadJwt {
  readonly secret: Secret;
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly issuedAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly expiresAt: number | undefined;
}

const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** A compact JWT between other text. Its header is base64url of a JSON object, so it begins with "e". */
const WRAPPED_JWS = /(?<![\w.-])e[\w-]+\.[\w-]+\.[\w-]+(?![\w.=-])/;
const WRAPPINGS = [
  [/^(?:authorization:\s*)?bearer\s/i, 'bearer'],
  [/^(["']).*\1$/s, 'quotes'],
  [/^[[{]/, 'json'],
] as const;
const YEAR_2001_SECONDS = 1e9;
const YEAR_2286_SECONDS = 1e10;

/** Decodes a compact JWT (RFC 7519) and checks the expected claims. */
export function decodeWorkloadJwt(secret: Secret, expected: ExpectedClaims): WorkloadJwt | Failure {
  const decoded = decodeClaims(secret);
  if (isFailure(decoded)) return decoded;
  const { issuer, subject, audience } = decoded;
  if (expected.issuer !== undefined && issuer !== expected.issuer) {
    return {
      code: 'jwt_wrong_issuer',
      facts: { kind: 'claim', claim: 'iss', expected: expected.issuer, actual: issuer },
    };
  }
  if (expected.audience !== undefined && !audience.includes(expected.audience)) {
    return {
      code: 'jwt_wrong_audience',
      facts: { kind: 'claim', claim: 'aud', expected: expected.audience, actual: audience.join(' ') },
    };
  }
  if (expected.subject !== undefined && subject !== expected.subject) {
    return {
      code: 'jwt_wrong_subject',
      facts: { kind: 'claim', claim: 'sub', expected: expected.subject, actual: subject },
    };
  }
  return decoded;
}

/** Reports whether `found` was issued before `held`, as after an older file was restored. */
export function isOlder(found: WorkloadJwt, held: WorkloadJwt): boolean {
  if (found.issuedAt !== undefined && held.issuedAt !== undefined && found.issuedAt !== held.issuedAt) {
    return found.issuedAt < held.issuedAt;
  }
  return found.expiresAt !== undefined && held.expiresAt !== undefined && found.expiresAt < held.expiresAt;
}

export function isExpired(jwt: WorkloadJwt, wall: number): boolean {
  return jwt.expiresAt !== undefined && jwt.expiresAt <= wall;
}

/** Reports whether 90 % of the JWT's lifetime is over: the issuer should have rotated it by now. */
export function isStale(jwt: WorkloadJwt, wall: number): boolean {
  const from = jwt.issuedAt ?? jwt.notBefore;
  if (jwt.expiresAt === undefined) return false;
  if (from === undefined || from >= jwt.expiresAt) return jwt.expiresAt <= wall;
  return wall >= from + 0.9 * (jwt.expiresAt - from);
}

/** Returns all claims, the algorithm and the key id, for display; undefined if the JWT is malformed. */
export function readJwt(
  secret: Secret,
):
  | { readonly claims: Readonly<Record<string, unknown>>; readonly algorithm: string; readonly keyId: string }
  | undefined {
  try {
    const { alg = '', kid = '' } = decodeProtectedHeader(secret.reveal());
    return { claims: decodeJwt(secret.reveal()), algorithm: String(alg), keyId: String(kid) };
  } catch {
    return undefined;
  }
}

/**
 * Returns a claim by its name in a Vault role. A name that begins with a slash is a JSON pointer (RFC 6901), such as
 * /kubernetes.io/namespace.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (!name.startsWith('/')) return claims[name];
  const members = name.slice(1).split('/');
  return members.reduce<unknown>((value, member) => {
    const unescaped = member.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[unescaped] : undefined;
  }, claims);
}

function decodeClaims(secret: Secret): WorkloadJwt | Failure {
  const text = secret.reveal();
  if (!COMPACT_JWS.test(text)) return shapeFailure(text);
  try {
    decodeProtectedHeader(text);
    const claims: Record<string, unknown> = decodeJwt(text);
    return {
      secret,
      issuer: textOf(claims['iss']),
      subject: textOf(claims['sub']),
      audience: [claims['aud']].flat().filter((one) => typeof one === 'string'),
      issuedAt: instantOf(claims['iat']),
      notBefore: instantOf(claims['nbf']),
      expiresAt: instantOf(claims['exp']),
    };
  } catch {
    // drop the decoder's message: it may quote the content
    return { code: 'jwt_malformed', facts: { kind: 'jwt-content' } };
  }
}

/** Describes a text that isn't a compact JWT. */
function shapeFailure(text: string): Failure {
  const malformed = (facts: Facts): Failure => ({ code: 'jwt_malformed', facts });
  if (/^e/.test(text) && COMPACT_JWS.test(text.replaceAll(/\s/g, '')))
    return malformed({ kind: 'jwt-text', problem: 'whitespace' });
  if (/^hv[sbr]\./.test(text)) return malformed({ kind: 'jwt-text', problem: 'vault-token' });
  if (!WRAPPED_JWS.test(text)) return malformed({ kind: 'jwt-shape', parts: text.split('.').length });
  const [, problem] = WRAPPINGS.find(([pattern]) => pattern.test(text)) ?? [undefined, 'other-text' as const];
  return { code: 'jwt_wrapped', facts: { kind: 'jwt-text', problem } };
}

const textOf = (claim: unknown): string | undefined => (typeof claim === 'string' ? claim : undefined);

/** Converts a NumericDate (RFC 7519 section 2) to milliseconds; undefined outside the years 2001 to 2286. */
function instantOf(claim: unknown): number | undefined {
  if (typeof claim !== 'number' || !(claim >= YEAR_2001_SECONDS && claim <= YEAR_2286_SECONDS)) return undefined;
  return Math.floor(claim * 1000);
}

const MOST_SHOWN_AUDIENCES = 10;

/** Returns the claims for logs and status: shortened, with at most 10 audiences and a count of the rest. */
export function shownClaims({
  issuer,
  subject,
  audience,
}: Pick<WorkloadJwt, 'issuer' | 'subject' | 'audience'>): Pick<WorkloadJwt, 'issuer' | 'subject' | 'audience'> {
  const rest = audience.length - MOST_SHOWN_AUDIENCES;
  const first = audience.slice(0, MOST_SHOWN_AUDIENCES).map(printable);
  return {
    issuer: issuer === undefined ? undefined : printable(issuer),
    subject: subject === undefined ? undefined : printable(subject),
    audience: rest > 0 ? [...first, `and ${rest} more`] : first,
  };
}
