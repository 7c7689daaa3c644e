// Sends one request to Vault and returns the raw reply; the core judges it and retries. No secret goes to a host that isn't
// allowed.

import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import type { VaultSettings } from '../core/settings.ts';
import type { VaultReply, VaultRequest } from '../core/vault-protocol.ts';
import { redirectTarget } from '../network/redirect.ts';
import { type HttpReply, type HttpRequest, openTransport } from '../network/transport.ts';

export interface VaultClient {
  /** @throws ExchangeError with a code of vault_*, redirect_blocked or bad_response */
  send(request: VaultRequest): Promise<VaultReply>;
  close(): Promise<void>;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export function openVaultClient(settings: VaultSettings): VaultClient {
  const transport = openTransport(settings);
  return {
    async send(asked) {
      const startedAt = performance.now();
      const request = httpRequest(asked);
      const first = new URL(asked.path, settings.address);
      const reply = await transport.call(
        (send) => followOneRedirect(first, settings.redirectHosts, (url) => send(url, request)),
        asked.timeoutMs,
      );
      return { ...reply, durationMs: performance.now() - startedAt };
    },
    close: () => transport.close(),
  };
}

/** Follows at most one redirect, from a standby to the active node: to an allowed host, and with the same scheme. */
async function followOneRedirect(
  url: URL,
  allowedHosts: readonly string[],
  send: (url: URL) => Promise<HttpReply>,
): Promise<HttpReply> {
  const reply = await send(url);
  if (!REDIRECTS.has(reply.status)) return reply;
  const target = redirectTarget(url, reply.headers['location'], allowedHosts);
  if (reply.status !== 307 && reply.status !== 308)
    throw new ExchangeError('redirect_blocked', { kind: 'redirect-status', status: reply.status });
  const second = await send(target);
  if (REDIRECTS.has(second.status)) throw new ExchangeError('redirect_blocked', { kind: 'redirect', problem: 'twice' });
  return second;
}

const httpRequest = ({ method, namespace, token, body, correlationId }: VaultRequest): HttpRequest => ({
  method,
  headers: {
    accept: 'application/json',
    'content-type': 'application/json',
    'x-vault-request': 'true',
    ...defined({ 'x-vault-namespace': namespace, 'x-correlation-id': correlationId }),
    ...(token === undefined ? {} : { 'x-vault-token': token.reveal() }),
  },
  ...defined({ body }),
});
