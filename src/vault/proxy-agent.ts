// The agent that reaches Vault through the proxy of the environment, loaded only where it is configured: it needs undici's
// front door. The import is static because in the bundle a dynamic one of a CommonJS package has no named exports.

export { EnvHttpProxyAgent } from 'undici';
