// The environment of a command that gets a Vault token: everything that this process has, with Vault's own variables set to the
// exchange's Vault, and without the workload JWT.

import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings } from '../core/settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the environment. Members that are undefined are unset. */
export function childEnvironment(inherited: Environment, exchange: ExchangeSettings, token: Secret): Environment {
  const { vault, login, source } = exchange;
  const { tls } = vault;
  const ofVault: Environment = {
    TOKEN: token.reveal(),
    ADDR: vault.address,
    NAMESPACE: login.namespace,
    CACERT: tls.caFile,
    CLIENT_CERT: tls.clientCertFile,
    CLIENT_KEY: tls.clientKeyFile,
    TLS_SERVER_NAME: tls.serverName,
  };
  const named = Object.entries(ofVault).flatMap(([name, value]) => [
    [`VAULT_${name}`, value],
    // OpenBao's own variables would win over Vault's
    [`BAO_${name}`, undefined],
  ]);
  const jwt = source.kind === 'env' ? { [source.name]: undefined } : {};
  return { ...inherited, ...jwt, ...Object.fromEntries(named) };
}
