// The agent that reaches Vault through the proxy of the environment, loaded only where it is configured: it needs undici's
// front door. The import is static because in the bundle a dynamic one of a CommonJS package has no named exports.

import { type Agent, type Dispatcher, EnvHttpProxyAgent, Pool, type ProxyAgent } from 'undici';

type Connect = NonNullable<ProxyAgent.Options['requestTls']>;

export function openProxyAgent(
  limits: Agent.Options,
  { vault, proxy }: { readonly vault: Connect; readonly proxy: Connect },
): Dispatcher {
  return new EnvHttpProxyAgent({
    ...limits,
    connect: vault,
    // inside a proxy's tunnel undici uses requestTls alone: without it any CA of the system could vouch for Vault
    requestTls: vault,
    proxyTls: proxy,
    // without a tunnel undici passes on no limits
    factory: (origin, options) => new Pool(origin, { ...limits, ...options }),
  });
}
