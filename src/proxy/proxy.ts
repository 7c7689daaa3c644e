// The API proxy: passes requests of clients to Vault with the token of an exchange, so that clients which read a token once, or
// know of none, keep working. What Vault answers is passed on as it is: no cache, no lease tracking, no retries.

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ExchangeError, explain } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ProxySettings, VaultSettings } from '../core/settings.ts';
import { whyUnserved } from '../core/status.ts';
import type { ExchangeView, ServedToken } from '../exchange/view.ts';
import { proxyRefusal } from '../http/guard.ts';
import type { Forwarder } from '../network/forward.ts';
import { bodyOf } from './body.ts';
import { headersForVault, tokenOfClient } from './headers.ts';
import { LIST_STAND_IN } from './list-method.ts';
import { effectOn, renewalReply, tokenRequestOf } from './shared-token.ts';

export interface ProxyTools {
  readonly settings: ProxySettings;
  /** undefined once a reload has removed the exchange */
  readonly view: () => ExchangeView | undefined;
  /** returns the forwarder to the Vault of the settings in force */
  readonly forwarderTo: (vault: VaultSettings) => Forwarder;
  readonly nextCorrelationId: () => string;
  /** called once per request. @param status of the reply; 499, as in the log of nginx, if it was cut off by either side */
  readonly onRequest: (method: string, status: number, durationMs: number) => void;
}

type Refusal = readonly [status: number, text: string];

/** How a request goes to Vault. */
interface Route {
  readonly view: ExchangeView;
  readonly vault: VaultSettings;
  /** the token of the exchange; undefined without a live one */
  readonly held: ServedToken | undefined;
  /** the token to send */
  readonly secret: Secret;
  readonly isHeld: boolean;
}

const GONE = 499;
const RETRY_AFTER_SECONDS = 5;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'LIST']);
const NOT_VAULT: Refusal = [404, 'only paths below /v1/ are forwarded to Vault'];
const METHOD: Refusal = [405, 'Vault has no such method'];
const REVOKES: Refusal = [403, 'this token is shared by the clients of the sidecar, so it must not be revoked'];
const UNCLEAR: Refusal = [400, 'the body of a request about a token must be one JSON object or a form'];
const TOO_LARGE: Refusal = [413, 'the body is too large for a request about a token'];

/** Creates the handler of the proxy's requests. */
export function createProxy(tools: ProxyTools): RequestListener {
  return (request, response) => {
    const startedAt = performance.now();
    const method = request.method === LIST_STAND_IN ? 'LIST' : (request.method ?? '');
    response.once('close', () => {
      const status = response.writableFinished ? response.statusCode : GONE;
      tools.onRequest(method, status, performance.now() - startedAt);
    });
    answer(method, request, response, tools).catch((error: unknown) => sendFailure(response, error));
  };
}

async function answer(method: string, request: IncomingMessage, response: ServerResponse, tools: ProxyTools) {
  const { url = '', headers } = request;
  const route = refusalOf(method, request, tools) ?? routeOf(request, tools);
  if (isRefusal(route)) return refuse(response, route);
  const { vault, view, held, secret, isHeld } = route;
  const [path = ''] = url.split(/[?#]/, 1);
  const about = tokenRequestOf(method, path);
  const body = await bodyOf(request, about !== undefined);
  if (body === undefined) return refuse(response, TOO_LARGE);
  if (about !== undefined && held !== undefined) {
    const effect = effectOn(held, about, { isSent: isHeld, body: Buffer.isBuffer(body) ? body.toString() : '' });
    if (effect === 'unclear') return refuse(response, UNCLEAR);
    if (effect === 'revokes') return refuse(response, REVOKES);
    if (effect === 'renews') return send(response, 200, renewalReply(held, tools.nextCorrelationId()));
  }
  const length = Buffer.isBuffer(body) ? undefined : headers['content-length'];
  const sent = headersForVault(headers, { token: secret, vault, correlationId: tools.nextCorrelationId(), length });
  const status = await tools.forwarderTo(vault).forward({ method, path: url, headers: sent, body }, response);
  if (status === 403 && isHeld && held !== undefined) view.suspect(held.generation);
}

function refusalOf(method: string, request: IncomingMessage, { settings }: ProxyTools): Refusal | undefined {
  const guarded = proxyRefusal(request, settings);
  if (guarded !== undefined) return [guarded[0], guarded[2]];
  if (!METHODS.has(method)) return METHOD;
  return request.url?.startsWith('/v1/') === true ? undefined : NOT_VAULT;
}

function routeOf({ headers }: IncomingMessage, { settings, view: viewNow }: ProxyTools): Route | Refusal {
  const view = viewNow();
  if (view === undefined) return [503, 'the config has no such exchange any more'];
  const vault = view.vault();
  const token = view.token();
  // After a reload, the token may be from another Vault.
  const held = token?.origin.address === vault.address ? token : undefined;
  const own = settings.token === 'if-absent' ? tokenOfClient(headers) : undefined;
  const isHeld = own === undefined || own === held?.secret.reveal();
  const secret = isHeld ? held?.secret : new Secret(own);
  return secret === undefined ? [503, whyUnserved(view.status())] : { view, vault, held, secret, isHeld };
}

const isRefusal = (route: Route | Refusal): route is Refusal => Array.isArray(route);

/** Answers in Vault's shape, so that clients show the text. The connection ends, as the body may not have been read. */
function refuse(response: ServerResponse, [status, text]: Refusal): void {
  response.setHeader('connection', 'close');
  if (status === 503) response.setHeader('retry-after', RETRY_AFTER_SECONDS);
  send(response, status, JSON.stringify({ errors: [`vault-token-sidecar: ${text}`] }));
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body);
}

/** Answers that Vault can't be reached. A reply that has begun is cut, so that the client doesn't take it for whole. */
function sendFailure(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const failure = error instanceof ExchangeError ? error.failure : { code: 'internal' as const };
  const { code, title, evidence } = explain(failure);
  refuse(response, [STATUSES[code] ?? 502, evidence === undefined ? title : `${title}: ${evidence}`]);
}

const STATUSES: Readonly<Record<string, number>> = { vault_timeout: 504, internal: 500 };
