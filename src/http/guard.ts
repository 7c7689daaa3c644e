// The guards before every route. Loopback alone doesn't protect the token API: a web page, a rebound DNS name or a proxy
// of the application can reach it. So a request must name a loopback host, carry a header that no browser or proxy adds,
// carry none that they do add, and, if one is configured, show the caller token. The ops API keeps web pages out.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Secret } from '../core/secret.ts';
import type { ListenAddress } from '../core/settings.ts';
import type { CallerToken } from './caller-token.ts';
import { sendError } from './limits.ts';

export interface GuardOptions {
  readonly listen: ListenAddress;
  /** the secret that clients show as a bearer token; unset: none is asked for */
  readonly callerToken?: CallerToken | undefined;
}

type Refusal = readonly [status: number, error: string, description: string];

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];
const ANY_ADDRESS = ['0.0.0.0', '::'];
const PROXY_HEADERS = /^(?:origin|forwarded|via|x-real-ip|x-forwarded-.*)$/;

const REFUSALS = {
  version: [400, 'invalid_request', 'HTTP/1.1 is required.'],
  target: [400, 'invalid_request', 'The request target must be a path.'],
  body: [400, 'invalid_request', 'A request must have no body.'],
  host: [403, 'access_denied', 'The Host header must name loopback and the port.'],
  header: [412, 'precondition_failed', 'The header "X-Vault-Request: true" is required.'],
  foreign: [403, 'access_denied', 'Requests from browsers and through proxies are refused.'],
  name: [403, 'access_denied', 'The Host header must be an address.'],
  page: [403, 'access_denied', 'Requests from web pages are refused.'],
  caller: [401, 'invalid_token', 'The caller token is missing or wrong.'],
} as const satisfies Record<string, Refusal>;

/** Refuses at the first hook, before routing matters and before anything is read. */
export function addGuard(app: FastifyInstance, { listen, callerToken }: GuardOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    const refusal =
      refusalOf(request, listen) ?? ((await isKnownCaller(request, callerToken)) ? undefined : REFUSALS.caller);
    return refusal === undefined ? undefined : refuse(reply, refusal);
  });
}

/**
 * The ops API holds no token, but it names identities and policies: a web page must not read it. Probes and scrapes use
 * an address, so its Host reveals a rebound DNS name.
 */
export function addOpsGuard(app: FastifyInstance, listen: ListenAddress): void {
  app.addHook('onRequest', async ({ raw, headers }, reply) => {
    const hosts = hostsOf(raw);
    if (hosts.length > 1 || !isAddress(hosts[0] ?? '', listen)) return refuse(reply, REFUSALS.name);
    if (headers.origin !== undefined || isCrossSite(headers)) return refuse(reply, REFUSALS.page);
    return undefined;
  });
}

function refuse(reply: FastifyReply, [status, error, description]: Refusal): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return sendError(reply, status, [error, description]);
}

function refusalOf({ raw, headers, method }: FastifyRequest, listen: ListenAddress): Refusal | undefined {
  if (raw.httpVersion !== '1.1') return REFUSALS.version;
  if (!raw.url?.startsWith('/')) return REFUSALS.target;
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) return REFUSALS.body;
  const hosts = hostsOf(raw);
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined || !isOwnHost(host, raw.socket.localPort, listen)) return REFUSALS.host;
  if (method === 'OPTIONS' || Object.keys(headers).some((name) => PROXY_HEADERS.test(name))) return REFUSALS.foreign;
  if (isCrossSite(headers)) return REFUSALS.foreign;
  return headers['x-vault-request'] === 'true' ? undefined : REFUSALS.header;
}

const hostsOf = ({ rawHeaders }: FastifyRequest['raw']): string[] =>
  rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host');

/** Browsers say where a request comes from: "none" is the address bar. */
const isCrossSite = (headers: FastifyRequest['headers']): boolean => (headers['sec-fetch-site'] ?? 'none') !== 'none';

/** An IP address, localhost or the listen address, with any port or none; HTTP/1.0 probes may send no name at all. */
function isAddress(host: string, listen: ListenAddress): boolean {
  const [, bracketed, bare = ''] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::\d{1,5})?$/.exec(host) ?? [];
  if (host === '' || (bracketed !== undefined && isIP(bracketed) === 6)) return true;
  return isIP(bare) === 4 || ['localhost', listen.host.toLowerCase()].includes(bare.toLowerCase());
}

/** Off loopback the listen address itself is a good host too; on every address only the caller's secret can tell. */
function isOwnHost(host: string, port: number | undefined, listen: ListenAddress): boolean {
  if (ANY_ADDRESS.includes(listen.host)) return true;
  const configured = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return [...LOOPBACK_NAMES, configured].some((name) => host.toLowerCase() === `${name}:${port}`);
}

async function isKnownCaller({ headers }: FastifyRequest, callerToken: GuardOptions['callerToken']): Promise<boolean> {
  if (callerToken === undefined) return true;
  const shown = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (shown === undefined) return false;
  const expected = await callerToken();
  // Compare digests, in constant time.
  return expected instanceof Secret && timingSafeEqual(digest(expected.reveal()), digest(shown));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
