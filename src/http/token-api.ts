// The token API: serves the Vault token to the application beside the sidecar, at once or as a long poll until it changes. Responds
// from memory and never calls Vault. Member names are those of RFC 8693, section 2.2.1.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { whyUnserved } from '../core/status.ts';
import type { ExchangeView, ServedToken } from '../exchange/view.ts';
import { mostConnections } from './connections.ts';
import { addGuard, type GuardOptions } from './guard.ts';
import { type AppOptions, limitRate, openApp, openGate, sendError } from './limits.ts';

const REFRESH_GAP_MS = 10_000;
const LONGEST_POLL_SECONDS = 300;
const TEXT = { type: 'string' } as const;
const METADATA = {
  token_type: TEXT,
  issued_token_type: TEXT,
  expires_in: { type: 'integer' },
  expires_at: TEXT,
  accessor: TEXT,
  renewable: { type: 'boolean' },
  exchange: TEXT,
} as const;
// The serializer emits only declared members, so the metadata can't leak the token.
const METADATA_REPLY = { response: { 200: { type: 'object', properties: METADATA } } };
const TOKEN_REPLY = { response: { 200: { type: 'object', properties: { access_token: TEXT, ...METADATA } } } };
const REFRESH_REPLY = { response: { 202: { type: 'object', properties: { exchange: TEXT } } } };

export interface TokenApiOptions extends AppOptions, GuardOptions {
  readonly exchanges: () => readonly ExchangeView[];
}

/** The raw query: a repeated parameter is an array. */
type Query = Readonly<Record<string, string | string[] | undefined>>;

interface TokenRoute {
  Params: { exchange?: string };
  Querystring: Query;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** the exchange that the path names, set before the handler of a token route runs */
    view: ExchangeView;
  }
}

export function buildTokenApi(options: TokenApiOptions): FastifyInstance {
  const places = mostConnections();
  const app = openApp(options, places);
  addGuard(app, options);
  limitRate(app, options.now);
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  // A long poll holds its connection for minutes, so half of the connections are reserved for other requests.
  const enter = openGate(Math.floor(places / 2));
  const refreshedAt = new Map<string, number>();

  app.decorateRequest('view');
  const preHandler = async (request: FastifyRequest, reply: FastifyReply) => {
    const found = findView(options.exchanges(), (request.params as TokenRoute['Params']).exchange);
    if (isMissing(found)) return sendMissing(reply, found);
    request.view = found;
    return undefined;
  };

  async function answerToken(request: FastifyRequest<TokenRoute>, reply: FastifyReply): Promise<unknown> {
    const poll = parsePoll(request.query);
    if (typeof poll === 'string') return sendError(reply, 400, ['invalid_request', poll]);
    if (!poll.waits) return sendToken(request.view, request, reply);
    if (!enter(reply)) return reply;
    await waitForChange(request.view, poll, { request, closing: closing.signal });
    // A reload may have removed or replaced the exchange.
    const later = findView(options.exchanges(), request.params.exchange);
    return isMissing(later) ? sendMissing(reply, later) : sendToken(later, request, reply);
  }

  app.get<TokenRoute>('/v1/token', { schema: TOKEN_REPLY, preHandler }, answerToken);
  app.get<TokenRoute>('/v1/token/:exchange', { schema: TOKEN_REPLY, preHandler }, answerToken);
  app.get('/v1/token/:exchange/metadata', { schema: METADATA_REPLY, preHandler }, async ({ view }, reply) => {
    const token = view.token();
    return token === undefined ? sendUnavailable(view, reply) : metadataOf(view, token);
  });

  async function acceptRefresh({ view }: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const waitMs = (refreshedAt.get(view.name) ?? Number.NEGATIVE_INFINITY) + REFRESH_GAP_MS - options.now();
    if (waitMs > 0)
      return sendError(reply.header('retry-after', Math.ceil(waitMs / 1000)), 429, [
        'slow_down',
        'A refresh was requested less than 10 s ago.',
      ]);
    refreshedAt.set(view.name, options.now());
    view.refresh();
    return reply.code(202).send({ exchange: view.name });
  }

  for (const path of ['/v1/token/refresh', '/v1/token/:exchange/refresh'])
    app.post(path, { schema: REFRESH_REPLY, preHandler }, acceptRefresh);
  return app;
}

type Missing = readonly [status: 404 | 409, error: string, description: string];

/** Finds the exchange by name; without a name, the only one. */
function findView(views: readonly ExchangeView[], name: string | undefined): ExchangeView | Missing {
  if (name === undefined && views.length > 1)
    return [409, 'exchange_required', 'There are several exchanges: request /v1/token/{exchange}.'];
  const view = name === undefined ? views[0] : views.find((one) => one.name === name);
  return view ?? [404, 'not_found', 'There is no exchange of that name.'];
}

const isMissing = (found: ExchangeView | Missing): found is Missing => Array.isArray(found);

const sendMissing = (reply: FastifyReply, [status, error, description]: Missing): FastifyReply =>
  sendError(reply, status, [error, description]);

function sendToken(view: ExchangeView, { headers }: FastifyRequest, reply: FastifyReply): unknown {
  const token = view.token();
  if (token === undefined) return sendUnavailable(view, reply);
  reply.header('etag', `"${token.generation}"`);
  if (wantsText(headers)) return reply.type('text/plain').send(token.secret.reveal());
  return { access_token: token.secret.reveal(), ...metadataOf(view, token) };
}

interface Poll {
  readonly waits: boolean;
  /** the generation that the client has: NONE without a token, undefined for the current one */
  readonly known: number | undefined;
  readonly timeoutMs: number;
}

/** No token has this generation, so a client that has none gets the current token at once. */
const NONE = -1;

/** Parses the query without a validator, which would cost 2 MiB. @returns which parameter is wrong, if one is */
function parsePoll({ wait_for_change = 'false', last_etag, timeout_sec = '60' }: Query): Poll | string {
  const [, etag] = /^"?(\d{1,16})"?$/.exec(String(last_etag)) ?? [];
  const seconds = /^\d{1,3}$/.test(String(timeout_sec)) ? Number(timeout_sec) : 0;
  if (wait_for_change !== 'true' && wait_for_change !== 'false') return 'wait_for_change must be true or false.';
  if (last_etag !== undefined && last_etag !== '' && etag === undefined)
    return 'last_etag must be the ETag of an earlier response, or empty.';
  if (seconds < 1 || seconds > LONGEST_POLL_SECONDS)
    return `timeout_sec must be a whole number from 1 to ${LONGEST_POLL_SECONDS}.`;
  const known = last_etag === '' ? NONE : etag === undefined ? undefined : Number(etag);
  return { waits: wait_for_change === 'true', known, timeoutMs: seconds * 1000 };
}

/** Waits until the token's generation differs from the known one, the timeout passes, or the client or the listener is gone. */
async function waitForChange(
  view: ExchangeView,
  { known, timeoutMs }: Poll,
  { request, closing }: { request: FastifyRequest; closing: AbortSignal },
): Promise<void> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  const { socket } = request.raw;
  socket.once('close', onClose);
  const timeout = AbortSignal.timeout(timeoutMs);
  await view.changed(known ?? view.generation(), AbortSignal.any([closing, gone.signal, timeout]));
  socket.off('close', onClose);
}

function metadataOf({ name }: ExchangeView, token: ServedToken) {
  return {
    token_type: 'Bearer',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    expires_in: Math.floor(token.expiresInMs / 1000),
    expires_at: new Date(token.expiresAt).toISOString(),
    accessor: token.accessor,
    renewable: token.renewable,
    exchange: name,
  };
}

function sendUnavailable(view: ExchangeView, reply: FastifyReply): FastifyReply {
  return sendError(reply.header('retry-after', 5), 503, ['temporarily_unavailable', whyUnserved(view.status())]);
}

/** Reports whether the client accepts plain text but not JSON. */
function wantsText({ accept = '' }: FastifyRequest['headers']): boolean {
  return accept.includes('text/plain') && !accept.includes('application/json');
}
