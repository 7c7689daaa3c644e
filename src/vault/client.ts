// Sends one request to Vault and returns the raw reply; the core judges it and retries. Each call has one hard deadline
// and reads at most 256 KiB. No secret goes to a host that isn't allowed.
// Imports parts of undici, because its main entry would cost a third of the time to the first token, and 5 MiB.

import { isDeepStrictEqual } from 'node:util';
import type { Dispatcher } from 'undici';
import request from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { VaultSettings } from '../core/settings.ts';
import type { VaultReply, VaultRequest } from '../core/vault-protocol.ts';
import { networkFailure } from './network-failure.ts';
import { readTrust, type Trust } from './trust.ts';

export interface VaultClient {
  /** @throws ExchangeError with a code of vault_*, redirect_blocked or bad_response */
  send(request: VaultRequest): Promise<VaultReply>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5000;
const MOST_BYTES = 256 * 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export function openVaultClient(settings: VaultSettings): VaultClient {
  let open: { readonly trust: Trust; readonly agent: Promise<Dispatcher> } | undefined;
  let isClosed = false;

  /** Returns the agent, a new one if the TLS files have changed. If they are unusable, the old agent stays in use. */
  async function currentAgent(): Promise<Dispatcher> {
    // if the file system hangs, half of the timeout is left for a call with the old files
    const trust = await readTrust(settings.tls, settings.timeoutMs / 2).catch((error: unknown) => {
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

  async function sendWith(asked: VaultRequest, signal: AbortSignal) {
    const dispatcher = await currentAgent();
    signal.throwIfAborted();
    return followOneRedirect(settings, asked, (url) => sendTo(url, asked, { dispatcher, signal }));
  }

  return {
    async send(asked) {
      const startedAt = performance.now();
      const aborter = new AbortController();
      let timer: NodeJS.Timeout | undefined;
      // undici ignores the signal until it is connected, and a DNS lookup can't be cancelled, so race against a timer
      const deadline = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => {
          reject(new ExchangeError('vault_timeout', { kind: 'timeout', limitMs: settings.timeoutMs }));
          aborter.abort();
        }, settings.timeoutMs);
      });
      try {
        const reply = await Promise.race([sendWith(asked, aborter.signal), deadline]);
        return { ...reply, durationMs: performance.now() - startedAt };
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

async function openAgent({ useProxyEnv, tls, timeoutMs }: VaultSettings, trust: Trust): Promise<Dispatcher> {
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
  return openProxyAgent(limits, { vault: connect, proxy: transport });
}

type Send = (url: URL) => Promise<Omit<VaultReply, 'durationMs'>>;

/** Follows at most one redirect, from a standby to the active node: to an allowed host, and with the same scheme. */
async function followOneRedirect(settings: VaultSettings, request: VaultRequest, send: Send) {
  const url = new URL(request.path, settings.address);
  const reply = await send(url);
  if (!REDIRECTS.has(reply.status)) return reply;
  const target = redirectTarget(url, reply.headers['location'], settings.redirectHosts);
  if (reply.status !== 307 && reply.status !== 308)
    throw new ExchangeError('redirect_blocked', { kind: 'redirect-status', status: reply.status });
  const second = await send(target);
  if (REDIRECTS.has(second.status)) throw new ExchangeError('redirect_blocked', { kind: 'redirect', problem: 'twice' });
  return second;
}

function redirectTarget(from: URL, location: string | undefined, allowedHosts: readonly string[]): URL {
  if (location === undefined || !URL.canParse(location, from.href))
    throw new ExchangeError('redirect_blocked', { kind: 'redirect', problem: 'no-location' });
  const to = new URL(location, from.href);
  if (to.protocol !== from.protocol)
    throw new ExchangeError('redirect_blocked', { kind: 'redirect-scheme', from: from.protocol, to: to.protocol });
  const allowed = to.host === from.host || allowedHosts.some((host) => host === to.host || host === to.hostname);
  if (!allowed)
    throw new ExchangeError('redirect_blocked', {
      kind: 'redirect',
      problem: 'other-host',
      detail: to.host.slice(0, 100),
    });
  return to;
}

async function sendTo(
  url: URL,
  asked: VaultRequest,
  { dispatcher, signal }: { dispatcher: Dispatcher; signal: AbortSignal },
) {
  const { namespace, token, body } = asked;
  const reply = await request.call(dispatcher, {
    origin: url.origin,
    path: url.pathname + url.search,
    method: asked.method,
    signal,
    headers: {
      accept: 'application/json',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'user-agent': 'vault-token-sidecar',
      'x-vault-request': 'true',
      ...defined({ 'x-vault-namespace': namespace }),
      ...(token === undefined ? {} : { 'x-vault-token': token.reveal() }),
    },
    body: body?.reveal() ?? null,
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? (value[0] ?? '') : value;
  }
  return { status: reply.statusCode, headers, body: new Secret(await reply.body.text()) };
}
