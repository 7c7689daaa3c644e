// Forwards requests of clients to a server and streams the replies back. Neither is held in memory: a side that is slow slows the
// other. All requests share a pool of connections.

import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ExchangeError } from '../core/errors.ts';
import type { VaultSettings } from '../core/settings.ts';
import { openAgents } from './agent.ts';
import { networkFailure } from './failure.ts';
import { redirectTarget } from './redirect.ts';

export interface ForwardedRequest {
  readonly method: string;
  /** with the query; sent as it is */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** a Buffer can be sent again after a redirect */
  readonly body: Buffer | Readable | null;
}

export interface Forwarder {
  /**
   * Resolves with the status once the reply is complete, or with undefined if the client went away.
   * @throws ExchangeError; nothing of a reply has been sent unless `headersSent` is set
   */
  forward(request: ForwardedRequest, response: ServerResponse): Promise<number | undefined>;
  /** Ends once the requests in flight have ended. */
  close(): Promise<void>;
}

/** Vault's own limit for a request is 90 s (default_max_request_duration). */
const MOST_SILENCE_MS = 300_000;
/** How often the TLS files are read again. */
const FILES_CHECK_MS = 5000;
/** A client that takes nothing of its response for this long is disconnected: it holds a connection of the pool. */
export const STALLED_MS = 30_000;

const LIMITS = {
  pipelining: 1,
  headersTimeout: MOST_SILENCE_MS,
  bodyTimeout: MOST_SILENCE_MS,
  maxHeaderSize: 64 * 1024,
};

/** Belongs to one connection, not to the message (RFC 9110, section 7.6.1), or is set again for the other side. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** @param connections the size of the pool; a connection is opened when all others are busy, and closed after 4 idle seconds */
export function openForwarder(vault: VaultSettings, connections: number): Forwarder {
  const agents = openAgents(vault, { ...LIMITS, connections });
  const inFlight = new Set<Promise<unknown>>();
  let agent: Dispatcher | undefined;
  let filesReadAt = Number.NEGATIVE_INFINITY;

  /** Returns the agent. Only the first requests wait for the TLS files. */
  async function currentAgent(): Promise<Dispatcher> {
    const now = performance.now();
    if (agent !== undefined && now - filesReadAt < FILES_CHECK_MS) return agent;
    filesReadAt = now;
    const next = agents.current(vault.timeoutMs).then((newest) => {
      agent = newest;
      return newest;
    });
    if (agent === undefined) return next;
    next.catch(() => {});
    return agent;
  }

  async function send(request: ForwardedRequest, response: ServerResponse): Promise<number | undefined> {
    try {
      const dispatcher = await currentAgent();
      const reply = await sendOnce(dispatcher, vault.address, request, response);
      if (typeof reply !== 'object') return reply;
      const first = new URL(request.path, vault.address);
      const { origin, pathname, search } = redirectTarget(first, reply.location, vault.redirectHosts);
      const later = await sendOnce(dispatcher, origin, { ...request, path: pathname + search }, response);
      if (typeof later !== 'object') return later;
      throw new ExchangeError('redirect_blocked', { kind: 'redirect', problem: 'twice' });
    } catch (error) {
      throw networkFailure(error);
    }
  }

  return {
    forward(request, response) {
      const done = send(request, response);
      const settled = done.catch(() => {}).finally(() => inFlight.delete(settled));
      inFlight.add(settled);
      return done;
    },
    async close() {
      await Promise.all(inFlight);
      await agents.close();
    },
  };
}

interface Redirect {
  readonly location: string | undefined;
}

/** @returns the status; undefined if the client went away; the target of a redirect, of which nothing was sent to the client */
function sendOnce(
  dispatcher: Dispatcher,
  origin: string,
  { method, path, headers, body }: ForwardedRequest,
  response: ServerResponse,
): Promise<number | undefined | Redirect> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined | Redirect>();
  let controller: Dispatcher.DispatchController | undefined;
  let status: number | undefined;
  let redirect: Redirect | undefined;
  const onGone = () => {
    // a request that waits for a connection has no controller yet
    controller?.abort(new Error('the client is gone'));
    resolve(undefined);
  };
  const onDrain = () => {
    response.socket?.setTimeout(0);
    controller?.resume();
  };
  response.on('close', onGone);
  response.on('drain', onDrain);
  dispatcher.dispatch(
    { origin, path, method: method as Dispatcher.HttpMethod, headers, body },
    {
      onRequestStart(started) {
        controller = started;
        if (response.destroyed) onGone();
      },
      onResponseStart(_controller, code, fields) {
        if (code < 200) return;
        if ((code === 307 || code === 308) && (body === null || Buffer.isBuffer(body))) {
          const { location } = fields;
          redirect = { location: Array.isArray(location) ? location[0] : location };
          return;
        }
        status = code;
        response.writeHead(code, withoutHopByHop(fields));
        // at once: the body may take its time
        if (method !== 'HEAD') response.flushHeaders();
      },
      onResponseData(_controller, chunk) {
        if (redirect !== undefined || response.write(chunk)) return;
        controller?.pause();
        response.socket?.setTimeout(STALLED_MS);
      },
      onResponseEnd() {
        if (redirect === undefined) {
          // Node sets another timeout once the client has taken all.
          response.socket?.setTimeout(STALLED_MS);
          response.end();
        }
        resolve(redirect ?? status);
      },
      onResponseError(_controller, error) {
        reject(error);
      },
    },
  );
  return promise;
}

const withoutHopByHop = (fields: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !HOP_BY_HOP.has(name)));
