// The guard before every route of the token API. Loopback alone protects nothing: a browser page, a rebound DNS name or a
// proxy of the application can reach it. So a request must name a loopback host, carry a header that no browser or proxy
// adds by itself, show none that they do add, and, where one is set, prove that it knows the callers' secret.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ListenAddress } from '../core/settings.ts';
import { sendError } from './limits.ts';

export interface GuardOptions {
  readonly listen: ListenAddress;
  /** the secret that callers show as a bearer token; without this function none is asked for, and without a value nobody gets in */
  readonly callerToken?: (() => Promise<string | undefined>) | undefined;
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
  caller: [401, 'invalid_token', 'The caller token is missing or wrong.'],
} as const satisfies Record<string, Refusal>;

/** Refuses at the first hook, before routing matters and before anything is read. */
export function addGuard(app: FastifyInstance, { listen, callerToken }: GuardOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    const refusal =
      refusalOf(request, listen) ?? ((await isKnownCaller(request, callerToken)) ? undefined : REFUSALS.caller);
    if (refusal === undefined) return;
    const [status, error, description] = refusal;
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    return sendError(reply, status, [error, description]);
  });
}

function refusalOf({ raw, headers, method }: FastifyRequest, listen: ListenAddress): Refusal | undefined {
  if (raw.httpVersion !== '1.1') return REFUSALS.version;
  if (!raw.url?.startsWith('/')) return REFUSALS.target;
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) return REFUSALS.body;
  const hosts = raw.rawHeaders.filter(
    (_value, index) => index % 2 === 1 && raw.rawHeaders[index - 1]?.toLowerCase() === 'host',
  );
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined || !isOwnHost(host, raw.socket.localPort, listen)) return REFUSALS.host;
  if (method === 'OPTIONS' || Object.keys(headers).some((name) => PROXY_HEADERS.test(name))) return REFUSALS.foreign;
  if ((headers['sec-fetch-site'] ?? 'none') !== 'none') return REFUSALS.foreign;
  return headers['x-vault-request'] === 'true' ? undefined : REFUSALS.header;
}

/** Off loopback the listen address itself is a good host too; on every address only the caller's secret can tell. */
function isOwnHost(host: string, port: number | undefined, listen: ListenAddress): boolean {
  if (ANY_ADDRESS.includes(listen.host)) return true;
  const configured = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return [...LOOPBACK_NAMES, configured].some((name) => host.toLowerCase() === `${name}:${port}`);
}

async function isKnownCaller({ headers }: FastifyRequest, callerToken: GuardOptions['callerToken']): Promise<boolean> {
  if (callerToken === undefined) return true;
  const expected = await callerToken();
  const shown = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (expected === undefined || shown === undefined) return false;
  // digests are of one length whatever was sent, so the comparison tells nothing by its time
  return timingSafeEqual(digest(expected), digest(shown));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
