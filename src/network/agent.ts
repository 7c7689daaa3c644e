// The undici agent that connects to a server as its settings say: TLS files, proxy, connect timeout.
// Imports a part of undici, because its main entry would cost a third of the time to the first token, and 5 MiB.

import { isDeepStrictEqual } from 'node:util';
import type { Dispatcher, Agent as UndiciAgent } from 'undici';
import Agent from 'undici/lib/dispatcher/agent.js';
import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import type { TlsSettings } from '../core/settings.ts';
import { readTrust, type Trust } from './trust.ts';

export interface TransportSettings {
  readonly tls: TlsSettings;
  /** the deadline of one call, including connection setup */
  readonly timeoutMs: number;
  readonly useProxyEnv: boolean;
}

export interface Agents {
  /**
   * Returns the agent, a new one if the TLS files have changed; if they are unusable, the old agent stays in use. Requests in
   * flight end on the agent that they began on.
   * @throws ExchangeError vault_tls_files
   */
  current(timeoutMs: number): Promise<Dispatcher>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5000;

/** @param limits of the agent: timeouts, sizes, connections */
export function openAgents(settings: TransportSettings, limits: UndiciAgent.Options): Agents {
  let open: { readonly trust: Trust; readonly agent: Promise<Dispatcher> } | undefined;
  let isClosed = false;
  return {
    async current(timeoutMs) {
      // if the file system hangs, half of the timeout is left for a call with the old files
      const trust = await readTrust(settings.tls, timeoutMs / 2).catch((error: unknown) => {
        if (open === undefined) throw error;
        return open.trust;
      });
      // closed while the files were being read: the caller no longer wants the reply
      if (isClosed) throw new ExchangeError('vault_connection_lost', { kind: 'network', codes: ['closed'] });
      if (open !== undefined && isDeepStrictEqual(open.trust, trust)) return open.agent;
      void open?.agent.then((old) => old.close()).catch(() => {});
      open = { trust, agent: openAgent(settings, trust, limits) };
      return open.agent;
    },
    async close() {
      isClosed = true;
      const agent = await open?.agent.catch(() => undefined);
      await agent?.destroy();
    },
  };
}

async function openAgent(
  { useProxyEnv, tls, timeoutMs }: TransportSettings,
  trust: Trust,
  limits: UndiciAgent.Options,
): Promise<Dispatcher> {
  const transport = {
    minVersion: 'TLSv1.2' as const,
    timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    maxCachedSessions: 0,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1000,
  };
  const connect = { ...trust, ...defined({ servername: tls.serverName }), ...transport };
  const options = { ...limits, allowH2: false };
  if (!useProxyEnv) return new Agent({ ...options, connect });
  const { openProxyAgent } = await import('./proxy-agent.ts');
  return openProxyAgent(options, { server: connect, proxy: transport });
}
