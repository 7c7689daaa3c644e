// Warnings about environment variables that a user may expect to count, but that don't.

import { suggestion } from '../core/nearest.ts';
import { shortened } from '../core/secret.ts';
import type { Environment } from './environment.ts';
import { CONFIG_VARIABLE, VTS_VARIABLES } from './variables.ts';

/** Variables of Vault's CLI, without their prefix, that the sidecar ignores, and what to do instead. */
const IGNORED_OF_VAULT: Readonly<Record<string, string>> = {
  SKIP_VERIFY: "the sidecar always verifies Vault's certificate: set VAULT_CACERT or vault.tls.ca_file to its CA",
  CAPATH: 'set VAULT_CACERT or vault.tls.ca_file to a file with the CA',
  PROXY_ADDR: 'set HTTPS_PROXY and vault.use_proxy_env',
  HTTP_PROXY: 'set HTTPS_PROXY and vault.use_proxy_env',
};

/** Kubernetes sets these in each container for a service whose name begins with "vts". */
const OF_SERVICE = /_(?:SERVICE_(?:HOST|PORT)|PORT)(?:_|$)/;

/**
 * Returns one line per mistake. The values of the variables aren't in it.
 * @param configFile the path of the config file, if there is one
 */
export function environmentWarnings(env: Environment, configFile: string | undefined): string[] {
  const known = [CONFIG_VARIABLE, ...Object.keys(VTS_VARIABLES)];
  const set = Object.keys(env).filter((name) => env[name]);
  const unknown = set.filter((name) => name.startsWith('VTS_') && !known.includes(name) && !OF_SERVICE.test(name));
  const overridden = Object.keys(VTS_VARIABLES).filter((name) => env[name] && configFile !== undefined);
  const ofVault = Object.entries(IGNORED_OF_VAULT).flatMap(([variable, remedy]) =>
    ['VAULT', 'BAO'].map((prefix) => ({ name: `${prefix}_${variable}`, remedy })),
  );
  return [
    ...unknown.map((name) => `${shortened(name, 60)} is unknown and ignored${suggestion(name, known)}`),
    ...(overridden.length === 0
      ? []
      : [
          `${overridden.join(', ')}: ignored, since the config comes from the file ${shortened(configFile ?? '', 200)}`,
        ]),
    ...ofVault
      .filter(({ name }) => !/^(?:0|f|false)?$/i.test(env[name] ?? ''))
      .map(({ name, remedy }) => `${name} is ignored; ${remedy}`),
  ];
}
