// The guards of the listeners. Listening on loopback doesn't protect the token API: a web page, a rebound DNS name or a proxy of the
// application can reach it. So a request must have a loopback Host, a header that browsers and proxies don't add, no header that
// they add, and the caller token if one is configured. The ops API only blocks web pages.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Secret } from '../core/secret.ts';
import { isSocket, type ListenAddress, type ProxySettings } from '../core/settings.ts';
import type { CallerToken } from './caller-token.ts';
import { sendError } from './limits.ts';

export interface GuardOptions {
  readonly listen: ListenAddress;
  /** reads the secret that clients must send as a bearer token; undefined if none is required */
  readonly callerToken?: CallerToken | undefined;
}

export type Refusal = readonly [status: number, error: string, description: string];

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

/** Adds the guard of the token API, in the first hook: before the body is read and before any handler. */
export function addGuard(app: FastifyInstance, { listen, callerToken }: GuardOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    const refusal =
      refusalOf(request, listen) ?? ((await isKnownCaller(request, callerToken)) ? undefined : REFUSALS.caller);
    return refusal === undefined ? undefined : refuse(reply, refusal);
  });
}

/**
 * Adds the guard of the ops API. It serves no token, but identities and policies that a web page must not read. Probes and scrapes
 * use an IP address, so a DNS name in Host reveals DNS rebinding.
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

/** Returns why the token API refuses a request. */
function refusalOf({ raw, headers }: FastifyRequest, listen: ListenAddress): Refusal | undefined {
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) return REFUSALS.body;
  return foreignRefusal(raw, listen) ?? headerRefusal(raw);
}

/** Returns why the API proxy refuses a request; undefined if it may pass. */
export const proxyRefusal = (
  request: IncomingMessage,
  { listen, requireRequestHeader }: Pick<ProxySettings, 'listen' | 'requireRequestHeader'>,
): Refusal | undefined =>
  foreignRefusal(request, listen) ?? (requireRequestHeader ? headerRefusal(request) : undefined);

/** Refuses what no client on this machine sends: the requests of browsers and of other proxies. */
function foreignRefusal(request: IncomingMessage, listen: ListenAddress): Refusal | undefined {
  const { headers, method, url, httpVersion, socket } = request;
  if (httpVersion !== '1.1') return REFUSALS.version;
  if (!url?.startsWith('/')) return REFUSALS.target;
  const hosts = hostsOf(request);
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined || !isOwnHost(host, socket.localPort, listen)) return REFUSALS.host;
  if (method === 'OPTIONS' || Object.keys(headers).some((name) => PROXY_HEADERS.test(name))) return REFUSALS.foreign;
  return isCrossSite(headers) ? REFUSALS.foreign : undefined;
}

const headerRefusal = ({ headers }: IncomingMessage): Refusal | undefined =>
  headers['x-vault-request'] === 'true' ? undefined : REFUSALS.header;

const hostsOf = ({ rawHeaders }: IncomingMessage): string[] =>
  rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host');

/** Reports whether Sec-Fetch-Site, which browsers send, has a value other than "none" (a URL from the address bar). */
const isCrossSite = (headers: FastifyRequest['headers']): boolean => (headers['sec-fetch-site'] ?? 'none') !== 'none';

/**
 * Accepts an IP address, localhost or the listen host, with or without a port; and no Host, for HTTP/1.0 probes. Accepts every
 * Host on a unix socket.
 */
function isAddress(host: string, listen: ListenAddress): boolean {
  if (isSocket(listen)) return true;
  const [, bracketed, bare = ''] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::\d{1,5})?$/.exec(host) ?? [];
  if (host === '' || (bracketed !== undefined && isIP(bracketed) === 6)) return true;
  return isIP(bare) === 4 || ['localhost', listen.host.toLowerCase()].includes(bare.toLowerCase());
}

/**
 * Accepts the loopback names and the listen host, with the listener's port. Accepts every Host on all addresses, which the caller
 * token protects, and on a unix socket, which no web page can reach.
 */
function isOwnHost(host: string, port: number | undefined, listen: ListenAddress): boolean {
  if (isSocket(listen) || ANY_ADDRESS.includes(listen.host)) return true;
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
