// The ops API: health, status and metrics, for probes, Prometheus and operators. It serves no token, so it may listen where the
// kubelet can reach it. Health reflects the state of the exchanges, so that an outage of Vault doesn't restart pods.

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ListenAddress } from '../core/settings.ts';
import type { ExchangeStatus, RecentStatus } from '../core/status.ts';
import type { ExchangeView } from '../exchange/view.ts';
import type { CallerToken } from './caller-token.ts';
import { mostConnections } from './connections.ts';
import { addOpsGuard } from './guard.ts';
import { type AppOptions, limitRate, openApp, openGate, sendError } from './limits.ts';
import { StatusReply, statusReply } from './status-reply.ts';

const MOST_LAG_MS = 5000;
/** Exempt from the rate limit, as the kubelet would restart the sidecar when other clients use up the rate. */
const PROBES = ['/livez', '/readyz', '/readyz/:exchange', '/startupz'];
const READINESS = {
  type: 'object',
  properties: { ready: { type: 'boolean' }, reasons: { type: 'array', items: { type: 'string' } } },
} as const;
const READY_REPLY = { schema: { response: { 200: READINESS, 503: READINESS } } };

export interface OpsApiOptions extends AppOptions {
  readonly listen: ListenAddress;
  readonly exchanges: () => readonly ExchangeView[];
  readonly metrics: () => Promise<{ contentType: string; body: string }>;
  /** Reports whether each exchange of the initial config has delivered its first token; stays true from then on. */
  readonly isStarted: () => boolean;
  /** Reports whether the exchanges still run their steps. */
  readonly isStepping: () => boolean;
  readonly version: string;
  readonly recent: (exchange: string) => RecentStatus;
  /** the caller token of the token API; read at each scrape and status, so that its metric is current without API requests */
  readonly callerToken?: CallerToken | undefined;
}

export function buildOpsApi(options: OpsApiOptions): FastifyInstance {
  const places = mostConnections();
  const app = openApp(options, places);
  addOpsGuard(app, options.listen);
  limitRate(app, options.now, PROBES);
  const enter = openGate(Math.floor(places / 2));
  app.addHook('onRequest', async (request, reply) => {
    // Half of the connections are reserved for probes.
    if (!PROBES.includes(request.routeOptions.url ?? '') && !enter(reply)) return reply;
  });
  const statuses = (): ExchangeStatus[] => options.exchanges().map((view) => view.status());

  app.get('/livez', async (_request, reply) => {
    const lagMs = await eventLoopLag();
    const alive = lagMs < MOST_LAG_MS && options.isStepping();
    return reply
      .code(alive ? 200 : 503)
      .type('text/plain')
      .send(alive ? 'ok\n' : 'stuck\n');
  });
  app.get('/readyz', READY_REPLY, async (_request, reply) => sendReadiness(reply, statuses()));
  app.get<{ Params: { exchange: string } }>('/readyz/:exchange', READY_REPLY, async ({ params }, reply) => {
    const one = statuses().filter(({ exchange }) => exchange === params.exchange);
    return one.length === 0
      ? sendError(reply, 404, ['not_found', 'There is no exchange of that name.'])
      : sendReadiness(reply, one);
  });
  app.get('/startupz', async (_request, reply) => {
    const started = options.isStarted();
    return reply
      .code(started ? 200 : 503)
      .type('text/plain')
      .send(started ? 'ok\n' : 'waiting for the first delivery\n');
  });
  app.get('/metrics', async (_request, reply) => {
    await options.callerToken?.();
    const { contentType, body } = await options.metrics();
    return reply.type(contentType).send(body);
  });
  app.get('/status', { schema: { response: { 200: StatusReply } } }, async () =>
    statusReply(options, statuses(), await options.callerToken?.()),
  );
  return app;
}

function sendReadiness(reply: FastifyReply, statuses: readonly ExchangeStatus[]): FastifyReply {
  const several = statuses.length > 1;
  const reasons = statuses.flatMap(({ exchange, reasons: all }) =>
    all.map((reason) => (several ? `${exchange}: ${reason}` : reason)),
  );
  const ready = reasons.length === 0;
  return reply.code(ready ? 200 : 503).send({ ready, reasons });
}

/** Measures the event-loop lag: the time of one turn. */
async function eventLoopLag(): Promise<number> {
  const from = performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  return performance.now() - from;
}
