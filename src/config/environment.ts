// Config from the environment: Vault's own variables for `vault`, and VTS_* variables for a single exchange named "default"
// without a config file. BAO_X takes precedence over VAULT_X; an empty variable counts as unset.

import type { ConfigProblem } from './problem.ts';
import type { ConfigFile, VaultFile } from './schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Maps JSON Pointers into the config to the variables that set them. */
export type Variables = Readonly<Record<string, string>>;

const VAULT_VARIABLES = {
  address: 'ADDR',
  namespace: 'NAMESPACE',
  'tls/ca_file': 'CACERT',
  'tls/server_name': 'TLS_SERVER_NAME',
  'tls/client_cert_file': 'CLIENT_CERT',
  'tls/client_key_file': 'CLIENT_KEY',
} as const;

const EXCHANGE_VARIABLES: Variables = {
  '/exchanges/default/source/file/path': 'VTS_JWT_FILE',
  '/exchanges/default/login/role': 'VTS_ROLE',
  '/exchanges/default/login/mount': 'VTS_MOUNT',
  '/exchanges/default/expect/issuer': 'VTS_ISSUER',
  '/exchanges/default/expect/audience': 'VTS_AUDIENCE',
  '/exchanges/default/expect/subject': 'VTS_SUBJECT',
  '/exchanges/default/sinks/0/file/path': 'VTS_TOKEN_FILE',
  '/exchanges/default/sinks/0/file/mode': 'VTS_TOKEN_MODE',
  '/exchanges/default/proxy/listen': 'VTS_PROXY_LISTEN',
  '/start_jitter': 'VTS_START_JITTER',
  '/api/listen': 'VTS_API_LISTEN',
  '/ops/listen': 'VTS_OPS_LISTEN',
  '/log/level': 'VTS_LOG_LEVEL',
  '/log/format': 'VTS_LOG_FORMAT',
};

const REQUIRED = {
  VAULT_ADDR: "Vault's address",
  VTS_JWT_FILE: 'the file with the workload JWT',
  VTS_ROLE: 'the Vault role',
  VTS_TOKEN_FILE: 'the file for the Vault token',
};

/** Sets members that the shared `vault` leaves out to values from the environment. */
export function withVaultVariables(
  file: ConfigFile,
  env: Environment,
): { readonly file: ConfigFile; readonly variables: Variables } {
  const isShared = Object.values(file.exchanges).some(({ vault }) => vault?.address === undefined);
  if (!isShared) return { file, variables: {} };
  const tls: Record<string, unknown> = { ...file.vault?.tls };
  const vault: Record<string, unknown> = { ...file.vault, tls };
  const variables: Record<string, string> = {};
  for (const [path, variable] of Object.entries(VAULT_VARIABLES)) {
    const [part, member] = path.startsWith('tls/') ? [tls, path.slice(4)] : [vault, path];
    const name = env[`BAO_${variable}`] === undefined ? `VAULT_${variable}` : `BAO_${variable}`;
    if (part[member] !== undefined || !env[name]) continue;
    part[member] = env[name];
    variables[`/vault/${path}`] = name;
  }
  return { file: { ...file, vault: vault as VaultFile }, variables };
}

/** Returns the config of the VTS_* variables as JSON text, and a problem for each missing variable. */
export function environmentConfig(
  env: Environment,
  { needsSink }: { readonly needsSink: boolean },
): {
  readonly missing: readonly ConfigProblem[];
  readonly text: string;
  readonly variables: Variables;
} {
  // an application behind the proxy needs no file
  const isSinkRequired = needsSink && !env['VTS_PROXY_LISTEN'];
  const hasSink = isSinkRequired || Boolean(env['VTS_TOKEN_FILE'] || env['VTS_TOKEN_MODE']);
  const isOptional = (name: string) =>
    name === 'VAULT_ADDR' ? env['BAO_ADDR'] : name === 'VTS_TOKEN_FILE' && !hasSink;
  const absent = Object.entries(REQUIRED).filter(([name]) => !env[name] && !isOptional(name));
  const config = {
    exchanges: { default: { source: { file: {} }, login: {}, sinks: hasSink ? [{ file: {} }] : [] } },
  };
  for (const [path, name] of Object.entries(EXCHANGE_VARIABLES)) {
    if (!env[name]) continue;
    const members = path.split('/').slice(1);
    const last = members.pop() ?? '';
    const part = members.reduce<Record<string, unknown>>((one, member) => {
      one[member] ??= {};
      return one[member] as typeof one;
    }, config);
    part[last] = env[name];
  }
  return {
    missing: absent.map(([name, what]) => ({ origin: name, message: `is required without --config (${what})` })),
    text: JSON.stringify(config),
    variables: EXCHANGE_VARIABLES,
  };
}
