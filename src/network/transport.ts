// Sends one HTTP request and returns the raw reply. Each call has one hard deadline and reads at most 256 KiB. Redirects are
// left to the caller.
// Imports parts of undici, because its main entry would cost a third of the time to the first token, and 5 MiB.

import { isDeepStrictEqual } from 'node:util';
import type { Dispatcher } from 'undici';
import request from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { TlsSettings } from '../core/settings.ts';
import { networkFailure } from './failure.ts';
import { readTrust, type Trust } from './trust.ts';

export interface TransportSettings {
  readonly tls: TlsSettings;
  /** the deadline of one call, including connection setup */
  readonly timeoutMs: number;
  readonly useProxyEnv: boolean;
}

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

const CONNECT_TIMEOUT_MS = 5000;
const MOST_BYTES = 256 * 1024;

export function openTransport(settings: TransportSettings): Transport {
  let open: { readonly trust: Trust; readonly agent: Promise<Dispatcher> } | undefined;
  let isClosed = false;

  /** Returns the agent, a new one if the TLS files have changed. If they are unusable, the old agent stays in use. */
  async function currentAgent(timeoutMs: number): Promise<Dispatcher> {
    // if the file system hangs, half of the timeout is left for a call with the old files
    const trust = await readTrust(settings.tls, timeoutMs / 2).catch((error: unknown) => {
      if (open === undefined) throw error;
      return open.trust;
    });
    // closed while the files were being read: the caller no longer wants the reply
    if (isClosed) throw new ExchangeError('vault_connection_lost', { kind: 'network', codes: ['closed'] });
    if (open !== undefined && isDeepStrictEqual(open.trust, trust)) return open.agent;
    void open?.agent.then((old) => old.close()).catch(() => {});
    open = { trust, agent: openAgent(settings, trust) };
    return open.agent;
  }

  return {
    async call(requests, timeoutMs = settings.timeoutMs) {
      const aborter = new AbortController();
      const { signal } = aborter;
      let timer: NodeJS.Timeout | undefined;
      // undici ignores the signal until it is connected, and a DNS lookup can't be cancelled, so race against a timer
      const deadline = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => {
          reject(new ExchangeError('vault_timeout', { kind: 'timeout', limitMs: timeoutMs }));
          aborter.abort();
        }, timeoutMs);
      });
      const work = async () => {
        const dispatcher = await currentAgent(timeoutMs);
        signal.throwIfAborted();
        return requests((url, asked) => sendTo(url, asked, { dispatcher, signal }));
      };
      try {
        return await Promise.race([work(), deadline]);
      } catch (error) {
        aborter.abort();
        throw networkFailure(error);
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      isClosed = true;
      const agent = await open?.agent.catch(() => undefined);
      await agent?.destroy();
    },
  };
}

async function openAgent({ useProxyEnv, tls, timeoutMs }: TransportSettings, trust: Trust): Promise<Dispatcher> {
  const transport = {
    minVersion: 'TLSv1.2' as const,
    timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    maxCachedSessions: 0,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1000,
  };
  const connect = { ...trust, ...defined({ servername: tls.serverName }), ...transport };
  const limits = {
    // a new connection for each call: calls are minutes apart, and each should use current DNS and certificates
    pipelining: 0,
    allowH2: false,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MOST_BYTES,
    maxHeaderSize: 16 * 1024,
  };
  if (!useProxyEnv) return new Agent({ ...limits, connect });
  const { openProxyAgent } = await import('./proxy-agent.ts');
  return openProxyAgent(limits, { server: connect, proxy: transport });
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
