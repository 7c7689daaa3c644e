// A proxy on a real socket, between a test's requests and a Vault that the test answers for.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { defined } from '../../src/core/defined.ts';
import type { ExchangeSettings, ProxySettings, VaultSettings } from '../../src/core/settings.ts';
import { createLimitedServer } from '../../src/http/connections.ts';
import { listen as listenAt } from '../../src/http/listen.ts';
import { LIST_STAND_IN, withKnownMethod } from '../../src/proxy/list-method.ts';
import { openProxies } from '../../src/proxy/open-proxies.ts';
import { fakeView } from '../http/fake-view.ts';
import { portOf } from '../http/raw-socket.ts';
import { listen } from '../support/listening.ts';
import { type Scope, scopeOf } from '../support/scope.ts';
import { settingsOf } from '../support/world.ts';

/** What Vault got. */
export interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface ProxyParts {
  /** what Vault answers; by default 200 with an empty object */
  readonly answer?: RequestListener;
  readonly proxy?: Partial<ProxySettings>;
  readonly vault?: Partial<VaultSettings>;
  readonly most?: number;
}

export const TOKEN = 'hvs.CAESIproxied-token-of-the-exchange';

export async function openProxy(t: Scope, { answer, proxy = {}, vault = {}, most }: ProxyParts = {}) {
  const received: Received[] = [];
  const { server } = createLimitedServer({ most: 1000, amend: withKnownMethod }, (request, response) => {
    const { url, headers } = request;
    const method = request.method === LIST_STAND_IN ? 'LIST' : request.method;
    received.push({ method, url, headers });
    if (answer !== undefined) answer(request, response);
    else request.resume().on('end', () => response.end('{}'));
  });
  const address = `http://127.0.0.1:${await listen(t, server)}`;
  const settings: ExchangeSettings = {
    ...settingsOf(),
    name: 'app',
    vault: { address, tls: {}, timeoutMs: 5000, redirectHosts: [], useProxyEnv: false, ...vault },
    proxy: { listen: { host: '127.0.0.1', port: 0 }, token: 'always', requireRequestHeader: false, ...proxy },
  };
  const view = fakeView('app', settings.vault);
  view.set(TOKEN);
  const counted: string[] = [];
  const durationsMs: number[] = [];
  let calls = 0;
  const proxies = openProxies([settings], {
    ...defined({ most }),
    viewOf: (name) => (name === view.name ? view : undefined),
    nextCorrelationId: () => {
      calls += 1;
      return `00000000-${calls}`;
    },
    onRequest: (exchange, method, status, durationMs) => {
      counted.push(`${exchange} ${method} ${status}`);
      durationsMs.push(durationMs);
    },
  });
  scopeOf(t).after(() => proxies.close());
  const [listening = ''] = await proxies.listen(listenAt);
  const url = listening.replace('app ', '');
  return {
    url,
    port: url.startsWith('http') ? portOf(url) : 0,
    address,
    view,
    received,
    counted,
    durationsMs,
    close: proxies.close,
  };
}

/** The texts of a refusal, in Vault's shape. */
export const errorsIn = async (reply: Response): Promise<string> =>
  ((await reply.json()) as { errors: string[] }).errors.join();

/** The connections of clients that have begun a request. */
export function clientSockets(t: TestContext): readonly Socket[] {
  const sockets: Socket[] = [];
  const started = (message: unknown) => {
    const { request: asked, socket } = message as { request: IncomingMessage; socket: Socket };
    if (asked.headers['x-vault-token'] === undefined) sockets.push(socket);
  };
  subscribe('http.server.request.start', started);
  t.after(() => unsubscribe('http.server.request.start', started));
  return sockets;
}
