// What the environment says: Vault's own variables, and the single exchange "default" that they can make without a file.
// A set BAO_X counts before VAULT_X.

import type { VaultFile } from './config-schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface FromEnvironment {
  readonly vault: VaultFile;
  /** config path below vault -> the variable that gave it */
  readonly names: Readonly<Record<string, string>>;
}

const VAULT_VARIABLES = {
  address: 'ADDR',
  namespace: 'NAMESPACE',
  'tls/ca_file': 'CACERT',
  'tls/server_name': 'TLS_SERVER_NAME',
  'tls/client_cert_file': 'CLIENT_CERT',
  'tls/client_key_file': 'CLIENT_KEY',
} as const;

export function environmentVault(env: Environment): FromEnvironment {
  const vault: Record<string, unknown> = {};
  const tls: Record<string, string> = {};
  const names: Record<string, string> = {};
  for (const [path, variable] of Object.entries(VAULT_VARIABLES)) {
    const name = env[`BAO_${variable}`] === undefined ? `VAULT_${variable}` : `BAO_${variable}`;
    const value = env[name];
    if (value === undefined || value === '') continue;
    names[path] = name;
    if (path.startsWith('tls/')) tls[path.slice(4)] = value;
    else vault[path] = value;
  }
  return { vault: Object.keys(tls).length === 0 ? vault : { ...vault, tls }, names };
}

/** The text of the config that VTS_* stand for, and a line for each variable that is missing. */
export function environmentConfig(env: Environment): { readonly missing: readonly string[]; readonly text: string } {
  const required = {
    VTS_JWT_FILE: 'the file with the workload JWT',
    VTS_ROLE: 'the Vault role',
    VTS_TOKEN_FILE: 'the file for the Vault token',
  };
  const absent = Object.entries(required).filter(([name]) => !env[name]);
  const missing = absent.map(([name, what]) => `${name}: is required without --config (${what})`);
  const {
    VTS_JWT_FILE = '',
    VTS_ROLE = '',
    VTS_TOKEN_FILE = '',
    VTS_TOKEN_MODE,
    VTS_MOUNT,
    VTS_ISSUER,
    VTS_AUDIENCE,
    VTS_SUBJECT,
    VTS_API_LISTEN,
    VTS_OPS_LISTEN,
    VTS_LOG_LEVEL,
  } = env;
  const text = JSON.stringify({
    exchanges: {
      default: {
        source: { file: { path: VTS_JWT_FILE } },
        login: { role: VTS_ROLE, mount: VTS_MOUNT || undefined },
        expect: {
          issuer: VTS_ISSUER || undefined,
          audience: VTS_AUDIENCE || undefined,
          subject: VTS_SUBJECT || undefined,
        },
        sinks: [{ file: { path: VTS_TOKEN_FILE, mode: VTS_TOKEN_MODE || undefined } }],
      },
    },
    api: { listen: VTS_API_LISTEN || undefined },
    ops: { listen: VTS_OPS_LISTEN || undefined },
    log: { level: VTS_LOG_LEVEL || undefined },
  });
  return { missing, text };
}
