// The agent that connects through the environment's proxy. It needs undici's main entry, so it is loaded only if
// use_proxy_env is set. The import is static: in the bundle, a dynamic import of CommonJS has no named exports.

import { type Agent, type Dispatcher, EnvHttpProxyAgent, Pool, type ProxyAgent } from 'undici';

type Connect = NonNullable<ProxyAgent.Options['requestTls']>;

export function openProxyAgent(
  limits: Agent.Options,
  { vault, proxy }: { readonly vault: Connect; readonly proxy: Connect },
): Dispatcher {
  return new EnvHttpProxyAgent({
    ...limits,
    connect: vault,
    // inside a proxy tunnel, undici uses only requestTls: without it, Vault would be verified by the system CAs
    requestTls: vault,
    proxyTls: proxy,
    // undici drops the limits for requests without a tunnel
    factory: (origin, options) => new Pool(origin, { ...limits, ...options }),
  });
}
