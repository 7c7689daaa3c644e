// Config from the environment: Vault's own variables for `vault`, and VTS_* variables for a single exchange named "default"
// without a config file. BAO_X takes precedence over VAULT_X; an empty variable counts as unset.

import type { ConfigProblem } from './problem.ts';
import type { ConfigFile, VaultFile } from './schema.ts';
import { VAULT_VARIABLES, VTS_VARIABLES } from './variables.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Maps JSON Pointers into the config to the variables that set them. */
export type Variables = Readonly<Record<string, string>>;

const REQUIRED = {
  VAULT_ADDR: VAULT_VARIABLES.ADDR,
  VTS_JWT_FILE: VTS_VARIABLES.VTS_JWT_FILE,
  VTS_ROLE: VTS_VARIABLES.VTS_ROLE,
  VTS_TOKEN_FILE: VTS_VARIABLES.VTS_TOKEN_FILE,
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
  for (const [variable, { pointer }] of Object.entries(VAULT_VARIABLES)) {
    const [member = '', parent] = pointer.split('/').reverse();
    const part = parent === 'tls' ? tls : vault;
    const name = env[`BAO_${variable}`] === undefined ? `VAULT_${variable}` : `BAO_${variable}`;
    if (part[member] !== undefined || !env[name]) continue;
    part[member] = env[name];
    variables[pointer] = name;
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
  for (const [name, { pointer }] of Object.entries(VTS_VARIABLES)) {
    if (!env[name]) continue;
    const members = pointer.split('/').slice(1);
    const last = members.pop() ?? '';
    const part = members.reduce<Record<string, unknown>>((one, member) => {
      one[member] ??= {};
      return one[member] as typeof one;
    }, config);
    part[last] = env[name];
  }
  return {
    missing: absent.map(([name, { meaning }]) => ({
      origin: name,
      message: `is required without --config (${meaning})`,
    })),
    text: JSON.stringify(config),
    variables: Object.fromEntries(Object.entries(VTS_VARIABLES).map(([name, { pointer }]) => [pointer, name])),
  };
}
