// The agent that connects through the environment's proxy. It needs undici's main entry, so it is loaded only if
// use_proxy_env is set. The import is static: in the bundle, a dynamic import of CommonJS has no named exports.

import { type Agent, type Dispatcher, EnvHttpProxyAgent, type ProxyAgent } from 'undici';

type Connect = NonNullable<ProxyAgent.Options['requestTls']>;

export function openProxyAgent(
  limits: Agent.Options,
  { server, proxy }: { readonly server: Connect; readonly proxy: Connect },
): Dispatcher {
  return new EnvHttpProxyAgent({
    ...limits,
    // ignores HTTP_PROXY: a proxy reads plain requests, with their secrets
    httpProxy: '',
    connect: server,
    // inside a proxy tunnel, undici uses only requestTls: without it, the system CAs would verify the server
    requestTls: server,
    proxyTls: proxy,
  });
}
