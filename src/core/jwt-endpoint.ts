// The endpoint of an http source: which URLs are allowed, and what a reply means. It is pure; sources/http.ts transports.

import type { Failure } from './errors.ts';
import { isLoopback, isMetadataHost } from './hosts.ts';
import { Secret, scrubbedLine } from './secret.ts';
import { objectOf, parseObject, parseRetryAfter, textsOf, type VaultReply } from './vault-protocol.ts';
import { claimAt } from './workload-jwt.ts';

export type UrlProblem = 'not-a-url' | 'credentials' | 'not-https';

/** Parses a URL of an endpoint. Its headers may hold credentials, so http is allowed only to this machine and its hypervisor. */
export function parseEndpointUrl(text: string): URL | UrlProblem {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'not-a-url';
  if (url.username !== '' || url.password !== '') return 'credentials';
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !isMetadataHost(url.hostname)) return 'not-https';
  return url;
}

export interface Endpoint {
  readonly host: string;
  /** where the JWT is in a JSON reply (RFC 6901); empty if the reply is the JWT */
  readonly jsonPointer: string;
}

/** Statuses that may be temporary. Azure's metadata service answers 404 and 410 while it is updated. */
const TEMPORARY: ReadonlySet<number> = new Set([404, 408, 410, 425, 429]);

/** Judges a reply: returns the JWT or a failure. Redacts `sent`, the secrets of the request. */
export function judgeEndpoint(
  { host, jsonPointer }: Endpoint,
  reply: Pick<VaultReply, 'status' | 'headers' | 'body'>,
  sent: readonly Secret[],
): Secret | Failure {
  const { status, body } = reply;
  if (status !== 200) {
    const facts = { kind: 'reply', status, words: scrubbedLine(wordsOf(body), sent), path: host } as const;
    const retryAfterMs = parseRetryAfter(reply);
    const isTemporary = status >= 500 || TEMPORARY.has(status);
    return {
      code: isTemporary ? 'jwt_endpoint_failing' : 'jwt_endpoint_refused',
      facts,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }
  const text = jsonPointer === '' ? body.reveal() : claimAt(parseObject(body) ?? {}, jsonPointer);
  if (typeof text === 'string' && text.trim() !== '') return new Secret(text.trim());
  const problem = jsonPointer === '' ? 'empty' : 'no-member';
  return { code: 'jwt_endpoint_unusable', facts: { kind: 'reply-unusable', problem, path: host } };
}

/** Returns the error message in a reply: of an OAuth 2.0 server (Azure), a REST API (GitHub, Forgejo), Vault, or plain text (GCE). */
function wordsOf(body: Secret): string {
  const answer = parseObject(body);
  if (answer === undefined) return /^\s*[<{[]/.test(body.reveal()) ? '' : body.reveal();
  const { error_description: description, message, error, errors } = answer;
  const words = [description, message, error, objectOf(error)?.['message']].find((one) => typeof one === 'string');
  return words === undefined ? textsOf(errors).join('; ') : String(words);
}
