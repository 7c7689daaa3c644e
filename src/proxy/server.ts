// The HTTP server of a proxy, on Node alone: fastify has nothing to add to one route, and would cost a third of the requests a second.

import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLimitedServer } from '../http/connections.ts';
import type { Listener } from '../http/listen.ts';
import { withKnownMethod } from './list-method.ts';

export interface ProxyServer extends Listener {
  /** Requests in flight have DRAIN_MS to end; then their connections are closed. */
  close(): Promise<void>;
}

const SERVER_OPTIONS = {
  insecureHTTPParser: false,
  maxHeaderSize: 32 * 1024,
  headersTimeout: 10_000,
  // a body may be a gigabyte: instead, a client that stops sending is disconnected
  requestTimeout: 0,
  connectionsCheckingInterval: 1000,
  // longer than clients keep idle connections, so that none sends a request on one that is being closed
  keepAliveTimeout: 100_000,
  requireHostHeader: true,
} as const;
const DRAIN_MS = 1200;

/** @param most the maximum number of connections */
export function openProxyServer(handle: RequestListener, most: number): ProxyServer {
  const { server, drain } = createLimitedServer({ ...SERVER_OPTIONS, most, amend: withKnownMethod }, handle);
  const hooks: (() => Promise<void>)[] = [];
  return {
    async listen(address) {
      server.listen(address);
      await once(server, 'listening');
      const at = server.address() as AddressInfo | string;
      return typeof at === 'string'
        ? `unix:${at}`
        : `http://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}`;
    },
    addHook: (_name, hook) => void hooks.push(hook),
    async close() {
      await Promise.all(hooks.map((hook) => hook()));
      const closed = once(server, 'close');
      server.close();
      drain();
      setTimeout(() => server.closeAllConnections(), DRAIN_MS).unref();
      await closed;
    },
  };
}
