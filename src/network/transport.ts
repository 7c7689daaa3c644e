// Sends one HTTP request and returns the raw reply. Each call has one hard deadline and reads at most 256 KiB. Redirects are
// left to the caller.

import type { Dispatcher } from 'undici';
import request from 'undici/lib/api/api-request.js';
import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { startDeadline } from '../files/deadline.ts';
import { openAgents, type TransportSettings } from './agent.ts';
import { networkFailure } from './failure.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Secret | undefined;
}

/** A raw reply. Header names are in lower case. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Secret;
}

export interface Transport {
  /**
   * Performs a call of one or more requests within the deadline, by default that of the settings.
   * @throws ExchangeError with a code of vault_*, or bad_response for a reply that is too large
   */
  call<T>(requests: (send: Send) => Promise<T>, timeoutMs?: number): Promise<T>;
  close(): Promise<void>;
}

export type Send = (url: URL, request: HttpRequest) => Promise<HttpReply>;

const MOST_BYTES = 256 * 1024;
/** A process that hardly runs gets the replies that have arrived. The core gives up later: callDeadline in core/schedule.ts. */
const MOST_GRACE_MS = 4000;
/** Calls are minutes apart, and each should use current DNS and certificates. */
const CONNECTION_PER_CALL = { pipelining: 0 };
const LIMITS = {
  // the call's own deadline ends it
  headersTimeout: 0,
  bodyTimeout: 0,
  maxResponseSize: MOST_BYTES,
  maxHeaderSize: 16 * 1024,
};

export function openTransport(settings: TransportSettings): Transport {
  const agents = openAgents(settings, { ...CONNECTION_PER_CALL, ...LIMITS });

  return {
    async call(requests, timeoutMs = settings.timeoutMs) {
      const aborter = new AbortController();
      const { signal } = aborter;
      let cancel = () => {};
      // undici ignores the signal until it is connected, and a DNS lookup can't be cancelled, so race against a timer
      const deadline = new Promise<never>((_resolve, reject) => {
        const reached = () => {
          reject(new ExchangeError('vault_timeout', { kind: 'timeout', limitMs: timeoutMs }));
          aborter.abort();
        };
        cancel = startDeadline(timeoutMs, reached, { mostMs: Math.min(timeoutMs / 4, MOST_GRACE_MS) });
      });
      const work = async () => {
        const dispatcher = await agents.current(timeoutMs);
        signal.throwIfAborted();
        return requests((url, asked) => sendTo(url, asked, { dispatcher, signal }));
      };
      try {
        return await Promise.race([work(), deadline]);
      } catch (error) {
        aborter.abort();
        throw networkFailure(error);
      } finally {
        cancel();
      }
    },
    close: () => agents.close(),
  };
}

async function sendTo(
  url: URL,
  { method, headers: sent, body }: HttpRequest,
  { dispatcher, signal }: { dispatcher: Dispatcher; signal: AbortSignal },
): Promise<HttpReply> {
  const reply = await request.call(dispatcher, {
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    signal,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'vault-token-sidecar', ...sent },
    body: body?.reveal() ?? null,
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? (value[0] ?? '') : value;
  }
  return { status: reply.statusCode, headers, body: new Secret(await reply.body.text()) };
}
