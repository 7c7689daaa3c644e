// Validates endpoint URLs and judges replies. It is pure; sources/http.ts transports.

import { defined } from './defined.ts';
import { type Failure, isFailure } from './errors.ts';
import type { Facts } from './facts.ts';
import { isLoopback, isMetadataHost } from './hosts.ts';
import { Secret, scrubbedLine } from './secret.ts';
import { objectOf, parseObject, parseRetryAfter, textsOf, type VaultReply } from './vault-protocol.ts';
import { claimAt, decodeWorkloadJwt } from './workload-jwt.ts';

export type UrlProblem = 'not-a-url' | 'credentials' | 'not-https';

/** Parses the URL of an endpoint. Headers may hold credentials, so http is allowed only to this machine and metadata services. */
export function parseEndpointUrl(text: string): URL | UrlProblem {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'not-a-url';
  if (url.username !== '' || url.password !== '') return 'credentials';
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !isMetadataHost(url.hostname)) return 'not-https';
  return url;
}

/** Reports whether an HTTP header can carry a printable text. */
export const isHeaderText = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

export interface Endpoint {
  readonly host: string;
  /** where the JWT is in a JSON reply (RFC 6901); empty if the reply is the JWT */
  readonly jsonPointer: string;
}

/** Statuses that may be temporary. Azure's metadata service answers 404 and 410 while it is updated. */
const TEMPORARY: ReadonlySet<number> = new Set([404, 408, 410, 425, 429]);

/** Judges a reply: returns the JWT or a failure. Drops an error message that quotes one of `sent`. */
export function judgeEndpoint(
  { host, jsonPointer }: Endpoint,
  reply: Pick<VaultReply, 'status' | 'headers' | 'body'>,
  sent: readonly Secret[],
): Secret | Failure {
  const { status, body } = reply;
  if (status !== 200) {
    const words = wordsOf(body);
    const shown = sent.some((secret) => isQuoted(secret.reveal(), words)) ? '' : scrubbedLine(words, []);
    const facts = { kind: 'reply', status, words: shown, path: host } as const;
    const retryAfterMs = parseRetryAfter(reply);
    const isTemporary = status >= 500 || TEMPORARY.has(status);
    return {
      code: isTemporary ? 'jwt_endpoint_failing' : 'jwt_endpoint_refused',
      facts,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }
  const unusable = (facts: Facts | undefined) => ({ code: 'jwt_endpoint_unusable', ...defined({ facts }) }) as const;
  const text = jsonPointer === '' ? body.reveal() : claimAt(parseObject(body) ?? {}, jsonPointer);
  if (typeof text !== 'string' || text.trim() === '')
    return unusable({ kind: 'reply-unusable', problem: jsonPointer === '' ? 'empty' : 'no-member', path: host });
  const jwt = new Secret(text.trim());
  const decoded = decodeWorkloadJwt(jwt, {});
  return isFailure(decoded) ? unusable(decoded.facts) : jwt;
}

/** Returns the error message in a reply: of an OAuth 2.0 server (Azure), a REST API (GitHub, Forgejo), Vault, or plain text (GCE). */
function wordsOf(body: Secret): string {
  const answer = parseObject(body);
  if (answer === undefined) return /^\s*[<{[]/.test(body.reveal()) ? '' : body.reveal();
  const { error_description: description, message, error, errors } = answer;
  const words = [description, message, error, objectOf(error)?.['message']].find((one) => typeof one === 'string');
  return words === undefined ? textsOf(errors).join('; ') : String(words);
}

/** What a request holds besides its method and host. */
export interface Sent {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** The parameters, headers and members of a body that hold no secret: error messages may quote them. */
const HARMLESS: ReadonlySet<string> = new Set([
  'accept',
  'api-version',
  'audience',
  'content-type',
  'format',
  'metadata',
  'metadata-flavor',
  'resource',
  'scope',
]);

/** Returns the parts of a request that may be secret, and that an endpoint may quote in an error message. */
export function secretsIn({ url, headers, body }: Sent): Secret[] {
  const parameters = [...url.searchParams].map(([name, value]) => [name, value || name] as const);
  // The last word of "Bearer TOKEN" is in each text that quotes the whole.
  const credentials = Object.entries(headers).map(
    ([name, value]) => [name, value.trim().split(' ').at(-1) ?? ''] as const,
  );
  const members = leavesOf('', body === undefined ? undefined : parsed(body));
  return [...parameters, ...credentials, ...members]
    .filter(([name, value]) => value !== '' && !HARMLESS.has(name.toLowerCase()))
    .map(([, value]) => new Secret(value));
}

/** Returns the JSON value of a body; the body itself if it isn't JSON. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** Returns the texts and numbers in a JSON value, each with the name of its member. */
function leavesOf(name: string, value: unknown): (readonly [string, string])[] {
  if (typeof value === 'string' || typeof value === 'number') return [[name, String(value)]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([own, member]) => leavesOf(Array.isArray(value) ? name : own, member));
}

/** Characters other than letters and digits, as they are or escaped for a URL, JSON or HTML, also twice. */
const ESCAPABLE = /%(?:25)*[0-9a-f]{2}|\\+u[0-9a-f]{4}|&(?:amp;)*(?:amp|quot|lt|gt|apos|#x?[0-9a-f]+);|[^a-z0-9]/gi;

/** Reports whether a text quotes a secret, also with escapes: then only letters and digits are compared. */
function isQuoted(secret: string, text: string): boolean {
  const bare = (one: string) => one.replace(ESCAPABLE, '').toLowerCase();
  return text.includes(secret) || (bare(secret) !== '' && bare(text).includes(bare(secret)));
}
