// Shared by both listeners: limits against slow, large and frequent requests, fixed error bodies, and a close with a deadline.

import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { type Bucket, type BucketLimit, fullBucket, readyAt, refilled, spend } from '../core/bucket.ts';
import { createLimitedServer } from './connections.ts';

/** A request is aborted within 5 s: at the first check after it reaches this age. */
const REQUEST_TIMEOUT_MS = 4000;
const CHECK_MS = 500;
const REQUEST_RATE: BucketLimit = { capacity: 100, refillPerMs: 50 / 1000 };
const KEEP_ALIVE_MS = 5000;
const MOST_REQUESTS_PER_CONNECTION = 100;
/** A client that reads nothing of its response for two consecutive intervals is disconnected. */
const UNREAD_CHECK_MS = 1000;
const BUSY_RETRY_SECONDS = 5;
const DRAIN_MS = 2000;

export interface AppOptions {
  /** milliseconds on any steady clock */
  readonly now: () => number;
  /** called for each response, with the pattern of the route instead of the URL */
  readonly onRequest?: ((route: string, status: number) => void) | undefined;
}

/** Sends an error with a fixed text, which never echoes the request. A status below 500 also closes the connection. */
export function sendError(
  reply: FastifyReply,
  status: number,
  [error, error_description]: readonly [string, string],
): FastifyReply {
  if (status < 500) reply.header('connection', 'close');
  return reply.code(status).type('application/json').send(JSON.stringify({ error, error_description }));
}

/** Node's limits on the size and the duration of requests. */
const SERVER_OPTIONS = {
  insecureHTTPParser: false,
  maxHeaderSize: 8 * 1024,
  headersTimeout: 3000,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  requireHostHeader: true,
} as const;

/** @param places the maximum number of connections */
export function openApp({ onRequest }: Pick<AppOptions, 'onRequest'>, places: number): FastifyInstance {
  let drain = () => {};
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    trustProxy: false,
    bodyLimit: 1,
    return503OnClosing: true,
    serverFactory(handle) {
      const limited = createLimitedServer({ ...SERVER_OPTIONS, most: places }, handle);
      limited.server.maxRequestsPerSocket = MOST_REQUESTS_PER_CONNECTION;
      drain = limited.drain;
      return limited.server;
    },
    routerOptions: { maxParamLength: 100 },
    frameworkErrors: (_error, _request, reply) =>
      void sendError(reply as FastifyReply, 400, ['invalid_request', 'The request is not valid.']),
  });
  app.addHook('preClose', async () => drain());
  app.removeAllContentTypeParsers();
  // Accept any Content-Type: the request has no body.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  });
  // Node resets this timeout whenever the client reads a part of the response.
  app.addHook('onSend', async ({ raw }) => void raw.socket.setTimeout(UNREAD_CHECK_MS));
  app.addHook('onResponse', async (request, reply) =>
    onRequest?.(request.routeOptions.url ?? 'unknown', reply.statusCode),
  );
  const routes = new Set<string>();
  app.addHook('onRoute', ({ url }) => void routes.add(url));
  app.setNotFoundHandler((_request, reply) =>
    sendError(reply, 404, ['not_found', `There is no such route. The routes are ${[...routes].join(', ')}.`]),
  );
  app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode < 500 ? 400 : 500;
    return sendError(
      reply,
      status,
      status === 400 ? ['invalid_request', 'The request is not valid.'] : ['server_error', 'Internal error.'],
    );
  });
  return app;
}

/** Limits the responses in flight to `most`; further requests get 503 with Retry-After. */
export function openGate(most: number): (reply: FastifyReply) => boolean {
  let inFlight = 0;
  return (reply) => {
    if (inFlight >= most) {
      sendError(reply.header('retry-after', BUSY_RETRY_SECONDS), 503, [
        'temporarily_unavailable',
        'Too many requests are in flight.',
      ]);
      return false;
    }
    inFlight += 1;
    reply.raw.once('close', () => {
      inFlight -= 1;
    });
    return true;
  };
}

/** Limits the request rate. Add it after the guard, so that refused requests don't use up the rate. @param exempt patterns of routes */
export function limitRate(app: FastifyInstance, now: () => number, exempt: readonly string[] = []): void {
  let bucket: Bucket = fullBucket(REQUEST_RATE, now());
  app.addHook('onRequest', async (request, reply) => {
    if (exempt.includes(request.routeOptions.url ?? '')) return;
    // A client that was disconnected for pipelining doesn't use up the rate.
    if (request.raw.socket.destroyed) return reply.hijack();
    bucket = refilled(bucket, REQUEST_RATE, now());
    if (bucket.level < 1) {
      const waitMs = readyAt(bucket, REQUEST_RATE, 1) - now();
      return sendError(reply.header('retry-after', Math.max(1, Math.ceil(waitMs / 1000))), 429, [
        'slow_down',
        'Too many requests.',
      ]);
    }
    bucket = spend(bucket, REQUEST_RATE, { now: now(), cost: 1 });
  });
}

/** Closes a listener. Requests in flight have two seconds to finish; then their connections are closed. */
export async function closeApp(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  await app.close();
  clearTimeout(cut);
}
