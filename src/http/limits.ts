// What both listeners share: limits that keep slow, huge and many requests from mattering, fixed error bodies, and a
// close that ends in time.

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { type Bucket, type BucketLimit, fullBucket, readyAt, refilled, spend } from '../core/bucket.ts';

const MOST_CONNECTIONS = 64;
/** Of the files that may be open, as many are the daemon's own: connections to Vault, and the files that it reads and writes. */
const OWN_FILES = 48;
/** A request is cut off within 5 s: at this age, or when the next check finds that it has reached it. */
const REQUEST_TIMEOUT_MS = 4000;
const CHECK_MS = 500;
const REQUEST_RATE: BucketLimit = { capacity: 100, refillPerMs: 50 / 1000 };
const DRAIN_MS = 2000;

export interface AppOptions {
  /** milliseconds on any steady clock */
  readonly now: () => number;
  /** told of each answer: the route's pattern, never the URL */
  readonly onRequest?: ((route: string, status: number) => void) | undefined;
}

interface AppLimits extends Pick<AppOptions, 'onRequest'> {
  /** a connection on which nothing moves for so long is cut, whoever waits for whom; unset: it may wait for long */
  readonly mostSilenceMs?: number;
}

/** Answers with fixed texts only: nothing of the request is echoed. */
export function sendError(
  reply: FastifyReply,
  status: number,
  [error, error_description]: readonly [string, string],
): FastifyReply {
  return reply.code(status).type('application/json').send(JSON.stringify({ error, error_description }));
}

export function openApp({ onRequest, mostSilenceMs = 0 }: AppLimits): FastifyInstance {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    trustProxy: false,
    bodyLimit: 1,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: mostSilenceMs,
    keepAliveTimeout: 5000,
    maxRequestsPerSocket: 100,
    return503OnClosing: true,
    http: {
      insecureHTTPParser: false,
      maxHeaderSize: 8 * 1024,
      headersTimeout: 3000,
      connectionsCheckingInterval: CHECK_MS,
      requireHostHeader: true,
    },
    routerOptions: { maxParamLength: 100 },
    frameworkErrors: (_error, _request, reply) =>
      void sendError(reply as FastifyReply, 400, ['invalid_request', 'The request is not valid.']),
  });
  makeRoom(app.server);
  app.removeAllContentTypeParsers();
  // who names the type of the body that it doesn't send is no fault
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  });
  app.addHook('onResponse', async (request, reply) =>
    onRequest?.(request.routeOptions.url ?? 'unknown', reply.statusCode),
  );
  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, ['not_found', 'There is no such route.']));
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

/** Added after a guard, so that what is refused anyway takes nothing from those who are not. `spared` are routes' patterns. */
export function limitRate(app: FastifyInstance, now: () => number, spared: readonly string[] = []): void {
  let bucket: Bucket = fullBucket(REQUEST_RATE, now());
  app.addHook('onRequest', async (request, reply) => {
    if (spared.includes(request.routeOptions.url ?? '')) return;
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

/** When all places are taken, the connection that has been without a request for longest makes room: silence keeps nobody out. */
function makeRoom(server: FastifyInstance['server']): void {
  const most = mostConnections();
  const open = new Set<Socket>();
  const idle = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    idle.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      idle.delete(socket);
    });
    if (open.size > most) [...idle][0]?.destroy();
  });
  const unanswered = new Map<Socket, number>();
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    idle.delete(socket);
    unanswered.set(socket, (unanswered.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (unanswered.get(socket) ?? 1) - 1;
      if (left > 0) return void unanswered.set(socket, left);
      unanswered.delete(socket);
      if (!socket.destroyed) idle.add(socket);
    });
  });
}

/** Two listeners share the files that the daemon doesn't need itself. */
function mostConnections(): number {
  const [, files = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return files === '' ? MOST_CONNECTIONS : Math.max(4, Math.min(MOST_CONNECTIONS, (Number(files) - OWN_FILES) / 2));
}

/** Closes a listener: what is under way may end for two seconds, then connections are cut. */
export async function closeApp(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  app.server.closeIdleConnections();
  await app.close();
  clearTimeout(cut);
}
