// The token API: the Vault token for the application beside us, one call away, or at the moment it changes. Answers from
// memory and never calls Vault. Member names are those of RFC 8693, section 2.2.1.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExchangeView, ServedToken } from './exchange-view.ts';
import { addGuard, type GuardOptions } from './guard.ts';
import { type AppOptions, openApp, sendError } from './limits.ts';

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
// the serializer emits declared members only: a leak would need a visible line here
const METADATA_REPLY = { response: { 200: { type: 'object', properties: METADATA } } };
const TOKEN_REPLY = { response: { 200: { type: 'object', properties: { access_token: TEXT, ...METADATA } } } };
const POLL = {
  querystring: {
    type: 'object',
    properties: {
      wait_for_change: { enum: ['true', 'false'] },
      last_etag: { type: 'string', pattern: '^"?\\d{1,16}"?$' },
      timeout_sec: { type: 'integer', minimum: 1, maximum: LONGEST_POLL_SECONDS, default: 60 },
    },
  },
} as const;

export interface TokenApiOptions extends AppOptions, GuardOptions {
  readonly exchanges: () => readonly ExchangeView[];
}

type TokenRequest = FastifyRequest<{
  Params: { exchange?: string };
  Querystring: { wait_for_change?: string; last_etag?: string; timeout_sec: number };
}>;

export function buildTokenApi(options: TokenApiOptions): FastifyInstance {
  const app = openApp(options);
  addGuard(app, options);
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  const refreshedAt = new Map<string, number>();

  function find({ params }: TokenRequest, reply: FastifyReply): ExchangeView | undefined {
    const views = options.exchanges();
    if (params.exchange === undefined && views.length > 1) {
      sendError(reply, 409, ['exchange_required', 'There are several exchanges: ask for /v1/token/{exchange}.']);
      return undefined;
    }
    const view = params.exchange === undefined ? views[0] : views.find(({ name }) => name === params.exchange);
    if (view === undefined) sendError(reply, 404, ['not_found', 'There is no exchange of that name.']);
    return view;
  }

  async function answerToken(request: TokenRequest, reply: FastifyReply): Promise<unknown> {
    const view = find(request, reply);
    if (view === undefined) return reply;
    await waitForChange(view, request, closing.signal);
    const token = view.token();
    if (token === undefined) return sendUnavailable(view, reply);
    reply.header('etag', `"${token.generation}"`);
    if (wantsText(request)) return reply.type('text/plain').send(token.secret.reveal());
    return { access_token: token.secret.reveal(), ...metadataOf(view, token) };
  }

  app.get('/v1/token', { schema: { ...POLL, ...TOKEN_REPLY } }, answerToken as never);
  app.get('/v1/token/:exchange', { schema: { ...POLL, ...TOKEN_REPLY } }, answerToken as never);
  app.get('/v1/token/:exchange/metadata', { schema: METADATA_REPLY }, async (request, reply) => {
    const view = find(request as TokenRequest, reply);
    const token = view?.token();
    if (view === undefined) return reply;
    return token === undefined ? sendUnavailable(view, reply) : metadataOf(view, token);
  });
  app.post('/v1/token/:exchange/refresh', async (request, reply) => {
    const view = find(request as TokenRequest, reply);
    if (view === undefined) return reply;
    const waitMs = (refreshedAt.get(view.name) ?? Number.NEGATIVE_INFINITY) + REFRESH_GAP_MS - options.now();
    if (waitMs > 0)
      return sendError(reply.header('retry-after', Math.ceil(waitMs / 1000)), 429, [
        'slow_down',
        'A refresh was asked for just now.',
      ]);
    refreshedAt.set(view.name, options.now());
    view.refresh();
    return reply.code(202).send();
  });
  return app;
}

/** Holds the request until the token's generation differs from the one known, the time is up, or nobody listens any more. */
async function waitForChange(view: ExchangeView, { query, raw }: TokenRequest, closing: AbortSignal): Promise<void> {
  if (query.wait_for_change !== 'true') return;
  const known = query.last_etag === undefined ? view.token()?.generation : Number(query.last_etag.replaceAll('"', ''));
  const gone = new AbortController();
  raw.socket.once('close', () => gone.abort());
  const timeout = AbortSignal.timeout(query.timeout_sec * 1000);
  await view.changed(known, AbortSignal.any([closing, gone.signal, timeout]));
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
  const title = view.status().failure?.title ?? 'there is no Vault token yet';
  return sendError(reply.header('retry-after', 5), 503, ['temporarily_unavailable', title]);
}

/** JSON unless plain text is asked for and JSON is not. */
function wantsText({ headers }: TokenRequest): boolean {
  const accept = headers.accept ?? '';
  return accept.includes('text/plain') && !accept.includes('application/json');
}
