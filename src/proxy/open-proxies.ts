// Opens the API proxy of each exchange that has one.

import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import type { ExchangeSettings, ListenAddress, VaultSettings } from '../core/settings.ts';
import { mostConnections } from '../http/connections.ts';
import type { Listener } from '../http/listen.ts';
import { type Forwarder, openForwarder } from '../network/forward.ts';
import { createProxy, type ProxyTools } from './proxy.ts';
import { openProxyServer } from './server.ts';

export interface Proxies {
  /**
   * @returns for each proxy, its exchange and its URL, such as "app http://127.0.0.1:8200"; unix:/path for a socket
   * @throws ExchangeError listen_failed
   */
  listen(listen: (listener: Listener, address: ListenAddress) => Promise<string>): Promise<readonly string[]>;
  /** Requests in flight have a second to end. */
  close(): Promise<unknown>;
}

export interface ProxiesTools extends Pick<ProxyTools, 'nextCorrelationId'> {
  readonly viewOf: (exchange: string) => ReturnType<ProxyTools['view']>;
  readonly onRequest: (exchange: string, ...request: Parameters<ProxyTools['onRequest']>) => void;
  /** the connections of a proxy; by default as many as the open files allow, up to MOST_CONNECTIONS */
  readonly most?: number;
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

export function openProxies(exchanges: readonly ExchangeSettings[], tools: ProxiesTools): Proxies {
  for (const flag of COMPILERS) setFlagsFromString(flag);
  const proxied = exchanges.flatMap(({ name, proxy }) => (proxy === undefined ? [] : [{ name, settings: proxy }]));
  const { most = permittedConnections(proxied.length) } = tools;
  const proxies = proxied.map(({ name, settings }) => {
    // As many connections to Vault as clients: one that stalls doesn't make others wait.
    const forwarders = openForwarders(most);
    const handle = createProxy({
      settings,
      view: () => tools.viewOf(name),
      forwarderTo: forwarders.to,
      nextCorrelationId: tools.nextCorrelationId,
      onRequest: (...request) => tools.onRequest(name, ...request),
    });
    const server = openProxyServer(handle, most);
    return { name, settings, server, close: () => server.close().then(forwarders.close) };
  });
  return {
    async listen(listen) {
      const listening: string[] = [];
      for (const { name, settings, server } of proxies)
        listening.push(`${name} ${await listen(server, settings.listen)}`);
      return listening;
    },
    close: () => Promise.all(proxies.map(({ close }) => close())),
  };
}

function permittedConnections(proxies: number): number {
  const files = mostConnections(OTHER_LISTENERS + proxies, FILES_EACH * MOST_CONNECTIONS);
  return Math.floor(files / FILES_EACH);
}

/** A reload may lead to another Vault, or to other files: requests in flight end on the forwarder that they began on. */
function openForwarders(most: number) {
  let open: { readonly vault: VaultSettings; readonly forwarder: Forwarder } | undefined;
  return {
    to(vault: VaultSettings): Forwarder {
      if (open === undefined || !isDeepStrictEqual(open.vault, vault)) {
        void open?.forwarder.close();
        open = { vault, forwarder: openForwarder(vault, most) };
      }
      return open.forwarder;
    },
    close: async () => open?.forwarder.close(),
  };
}
