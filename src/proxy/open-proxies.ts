// Opens the API proxy of each exchange that has one.

import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import type { ExchangeSettings, ListenAddress, VaultSettings } from '../core/settings.ts';
import { mostConnections } from '../http/connections.ts';
import { type Forwarder, openForwarder } from '../network/forward.ts';
import { createProxy, type ProxyTools } from './proxy.ts';
import { openProxyServer, type ProxyServer } from './server.ts';

export interface ProxiesTools extends Pick<ProxyTools, 'nextCorrelationId'> {
  readonly viewOf: (exchange: string) => ReturnType<ProxyTools['view']>;
  readonly onRequest: (exchange: string, ...request: Parameters<ProxyTools['onRequest']>) => void;
  readonly listen: (server: ProxyServer, address: ListenAddress) => Promise<string>;
  /** called with the function that closes a proxy, before it listens */
  readonly onOpen: (close: () => Promise<unknown>) => void;
}

const MOST_CONNECTIONS = 256;
/** The connection of a client, and the one to Vault. */
const FILES_EACH = 2;
const OTHER_LISTENERS = 2;

/**
 * V8's optimizing compilers, which the image's flags switch off to save memory in a process that is idle. With them a busy proxy
 * serves twice as many requests a second, for 10 MiB.
 */
const COMPILERS = ['--sparkplug', '--maglev', '--opt'];

/**
 * Opens the proxies.
 * @returns for each, its exchange and its URL, such as "app http://127.0.0.1:8200"; unix:/path for a socket
 * @throws ExchangeError listen_failed
 */
export async function openProxies(
  exchanges: readonly ExchangeSettings[],
  tools: ProxiesTools,
): Promise<readonly string[]> {
  const proxied = exchanges.flatMap(({ name, proxy }) => (proxy === undefined ? [] : [{ name, settings: proxy }]));
  for (const flag of COMPILERS) setFlagsFromString(flag);
  const files = mostConnections(OTHER_LISTENERS + proxied.length, FILES_EACH * MOST_CONNECTIONS);
  const listening: string[] = [];
  for (const { name, settings } of proxied) {
    const { forwarderTo, close } = openForwarders();
    const handle = createProxy({
      settings,
      view: () => tools.viewOf(name),
      forwarderTo,
      nextCorrelationId: tools.nextCorrelationId,
      onRequest: (...request) => tools.onRequest(name, ...request),
    });
    const server = openProxyServer(handle, Math.max(1, Math.floor(files / FILES_EACH)));
    tools.onOpen(() => server.close().then(close));
    listening.push(`${name} ${await tools.listen(server, settings.listen)}`);
  }
  return listening;
}

/** A reload may lead to another Vault, or to other files: requests in flight end on the forwarder that they began on. */
function openForwarders() {
  let open: { readonly vault: VaultSettings; readonly forwarder: Forwarder } | undefined;
  return {
    forwarderTo(vault: VaultSettings): Forwarder {
      if (open?.vault === vault) return open.forwarder;
      const isSame = open !== undefined && isDeepStrictEqual(open.vault, vault);
      if (!isSame) void open?.forwarder.close();
      const forwarder = open !== undefined && isSame ? open.forwarder : openForwarder(vault);
      open = { vault, forwarder };
      return forwarder;
    },
    close: async () => open?.forwarder.close(),
  };
}
