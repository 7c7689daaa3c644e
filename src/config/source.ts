// The source section of an exchange as settings.

import { defined } from '../core/defined.ts';
import type { SourceSettings, TlsSettings, VaultIdentitySettings, VaultSettings } from '../core/settings.ts';
import { parseVaultAddress } from './address.ts';
import { duration, type Notes, orProblem } from './notes.ts';
import type { ExchangeFile, VaultFile } from './schema.ts';
import { checkNamespace, ROLE_NAME } from './vault-names.ts';

type SourceFile = ExchangeFile['source'];
type IdentityFile = NonNullable<SourceFile['vault_identity']>;

/** @param vaultOf returns the Vault of another exchange with its login namespace; undefined if there is no such exchange */
export function buildSource(
  at: string,
  source: SourceFile,
  { notes, vaultOf }: { notes: Notes; vaultOf: (exchange: string) => VaultSettings | undefined },
): SourceSettings {
  if (source.env !== undefined) return { kind: 'env', name: source.env.name };
  if (source.vault_identity !== undefined)
    return buildIdentity(`${at}/vault_identity`, source.vault_identity, { notes, vaultOf });
  const pollIntervalMs = duration(`${at}/file/poll_interval`, source.file?.poll_interval, notes);
  if (pollIntervalMs < 1000 || pollIntervalMs > 3_600_000)
    notes.problems.push({ pointer: `${at}/file/poll_interval`, message: 'must be between 1s and 1h' });
  return { kind: 'file', path: source.file?.path ?? '', pollIntervalMs };
}

function buildIdentity(
  at: string,
  identity: IdentityFile,
  { notes, vaultOf }: { notes: Notes; vaultOf: (exchange: string) => VaultSettings | undefined },
): VaultIdentitySettings {
  const { token_file: file, exchange, address, namespace, tls, role } = identity;
  checkNamespace(`${at}/namespace`, namespace, notes);
  if (!ROLE_NAME.test(role))
    notes.problems.push({
      pointer: `${at}/role`,
      message: 'must be letters, digits, "_", "-" and ".", and must not begin or end with "-" or "."',
    });
  if ((file === undefined) === (exchange === undefined))
    notes.problems.push({ pointer: at, message: 'must have exactly one of token_file, exchange' });
  if (file !== undefined && address === undefined)
    notes.problems.push({ pointer: `${at}/address`, message: 'is required with token_file' });
  const known = exchange === undefined ? undefined : vaultOf(exchange);
  if (exchange !== undefined && known === undefined)
    notes.problems.push({
      pointer: `${at}/exchange`,
      message: 'must name another exchange whose source is not vault_identity',
    });
  const own = address === undefined ? undefined : orProblem(`${at}/address`, parseVaultAddress(address, false), notes);
  const blank = {
    tls: {},
    timeoutMs: duration('/vault/timeout', undefined, { ...notes, defaults: [] }),
    redirectHosts: [],
    useProxyEnv: false,
  };
  const vault = own === undefined ? known : { ...blank, address: own, tls: tlsSettings(tls ?? {}) };
  return {
    kind: 'vault-identity',
    role,
    token: exchange === undefined ? { file: file ?? '' } : { exchange },
    vault: { ...blank, address: '', ...vault, ...defined({ namespace }) },
  };
}

export function tlsSettings(tls: NonNullable<VaultFile['tls']>): TlsSettings {
  return {
    ...defined({
      caFile: tls.ca_file,
      serverName: tls.server_name,
      clientCertFile: tls.client_cert_file,
      clientKeyFile: tls.client_key_file,
    }),
  };
}
