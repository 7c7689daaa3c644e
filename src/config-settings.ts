// From a config file's content that fits the schema to settings in the code's own units, with what the environment adds
// and the defaults, noting where each value came from. Rules that span several members are in config-rules.ts.

import { parseListen, parseVaultAddress } from './config-address.ts';
import type { FromEnvironment } from './config-environment.ts';
import { duration, type Notes, type Origin, orProblem, remember, take } from './config-notes.ts';
import { crossRules } from './config-rules.ts';
import type { ConfigFile, ExchangeFile, VaultFile } from './config-schema.ts';
import { buildSetup } from './config-setup.ts';
import { buildSource, tlsSettings } from './config-source.ts';
import type { ExchangeSettings, FileSinkSettings, ListenAddress, Settings, VaultSettings } from './core/settings.ts';

export interface Built {
  readonly settings: Settings;
  readonly origins: readonly Origin[];
  readonly problems: readonly string[];
}

export function buildSettings(file: ConfigFile, environment: FromEnvironment): Built {
  const notes: Notes = { origins: [], problems: [] };
  const exchanges = Object.entries(file.exchanges).map(([name, one]) =>
    buildExchange(name, one, { file, environment, notes }),
  );
  const settings: Settings = {
    exchanges,
    api: {
      listen: listen('/api/listen', file.api?.listen, '127.0.0.1:8275', notes),
      ...(file.api?.caller_token_file
        ? { callerTokenFile: take('/api/caller_token_file', file.api.caller_token_file, '', notes) }
        : {}),
    },
    ops: {
      listen: listen('/ops/listen', file.ops?.listen, '127.0.0.1:8276', notes),
      nodeMetrics: take('/ops/node_metrics', file.ops?.node_metrics, false, notes),
    },
    log: { level: take('/log/level', file.log?.level, 'info', notes) },
    setup: Object.fromEntries(
      Object.entries(file.exchanges).map(([name, one]) => [name, buildSetup(`/exchanges/${name}/setup`, one, notes)]),
    ),
  };
  notes.problems.push(...crossRules(file, settings));
  return { settings, ...notes };
}

interface Context {
  readonly file: ConfigFile;
  readonly environment: FromEnvironment;
  readonly notes: Notes;
}

function buildExchange(name: string, one: ExchangeFile, context: Context): ExchangeSettings {
  const { notes } = context;
  const at = `/exchanges/${name}`;
  const vault = buildVault(at, one, context);
  const namespace = one.login.namespace ?? vault.namespace;
  const mount = take(`${at}/login/mount`, one.login.mount, 'jwt', notes).replace(/^\/+|\/+$/g, '');
  if (mount === '' || mount.startsWith('auth/'))
    notes.problems.push(`${at}/login/mount: must be the mount's path without "auth/", such as "jwt"`);
  return {
    name,
    vault,
    source: buildSource(`${at}/source`, one.source, { notes, vaultOf: (other) => vaultOf(name, other, context) }),
    login: {
      mount,
      role: take(`${at}/login/role`, one.login.role, '', notes),
      ...(namespace === undefined ? {} : { namespace }),
    },
    expect: one.expect ?? {},
    onNewJwt: take(`${at}/on_new_jwt`, one.on_new_jwt, 'login', notes),
    onStop: take(`${at}/on_stop`, one.on_stop, 'keep', notes),
    sinks: (one.sinks ?? []).flatMap((sink, index) =>
      sink.file ? [buildFileSink(`${at}/sinks/${index}/file`, sink.file, notes)] : [],
    ),
  };
}

/** The Vault that exchange `other` logs in to, for an exchange `name` whose source asks there. */
function vaultOf(name: string, other: string, context: Context): VaultSettings | undefined {
  const one = Object.hasOwn(context.file.exchanges, other) ? context.file.exchanges[other] : undefined;
  if (one === undefined || other === name || one.source.vault_identity !== undefined) return undefined;
  // what is wrong there is told there
  const vault = buildVault(`/exchanges/${other}`, one, { ...context, notes: { origins: [], problems: [] } });
  return one.login.namespace === undefined ? vault : { ...vault, namespace: one.login.namespace };
}

/** An exchange with an address of its own takes nothing over: another Vault must not get our namespace or client key. */
function buildVault(at: string, one: ExchangeFile, { file, environment, notes }: Context): VaultSettings {
  const alone = one.vault?.address !== undefined;
  const shared: VaultFile = alone ? {} : merged(environment.vault, file.vault ?? {});
  const vault = merged(shared, one.vault ?? {});
  const own = (path: string) =>
    (path.startsWith('tls/') ? one.vault?.tls?.[path.slice(4) as keyof object] : one.vault?.[path as keyof object]) !==
    undefined;
  const inFile = (path: string) =>
    (path.startsWith('tls/')
      ? file.vault?.tls?.[path.slice(4) as keyof object]
      : file.vault?.[path as keyof object]) !== undefined;
  const place = (path: string) => (own(path) || alone ? `${at}/vault/${path}` : `/vault/${path}`);
  const note = (path: string, value: string | undefined) => {
    if (value === undefined) return;
    const variable = environment.names[path];
    const origin = own(path) || inFile(path) || variable === undefined ? 'file' : `environment ${variable}`;
    remember({ path: place(path), value, origin }, notes);
  };
  const { tls = {} } = vault;
  if ((tls.client_cert_file === undefined) !== (tls.client_key_file === undefined)) {
    notes.problems.push(`${place('tls')}: client_cert_file and client_key_file go together`);
  }
  const address =
    vault.address === undefined
      ? undefined
      : orProblem(place('address'), parseVaultAddress(vault.address, vault.allow_insecure_http === true), notes);
  if (vault.address === undefined)
    notes.problems.push(`/vault/address: is required, here, in ${at}/vault or as VAULT_ADDR`);
  note('address', address);
  note('namespace', vault.namespace);
  for (const member of ['ca_file', 'server_name', 'client_cert_file', 'client_key_file'] as const)
    note(`tls/${member}`, tls[member]);
  return {
    address: address ?? '',
    ...(vault.namespace === undefined || vault.namespace === 'root' ? {} : { namespace: vault.namespace }),
    tls: tlsSettings(tls),
    timeoutMs: duration(place('timeout'), vault.timeout, '15s', notes),
    redirectHosts: vault.redirect_hosts ?? [],
    useProxyEnv: vault.use_proxy_env ?? false,
  };
}

const merged = (under: VaultFile, over: VaultFile): VaultFile => ({
  ...under,
  ...over,
  tls: { ...under.tls, ...over.tls },
});

type FileSinkFile = NonNullable<NonNullable<ExchangeFile['sinks']>[number]['file']>;

function buildFileSink(at: string, sink: FileSinkFile, notes: Notes): FileSinkSettings {
  const mode = Number.parseInt(take(`${at}/mode`, sink.mode, sink.gid === undefined ? '0600' : '0640', notes), 8);
  if ((mode & 0o007) !== 0 && sink.allow_world_readable !== true) {
    notes.problems.push(
      `${at}/mode: would let everybody at the token: take the last digit to 0, or set allow_world_readable`,
    );
  }
  return {
    kind: 'file',
    path: take(`${at}/path`, sink.path, '', notes),
    mode,
    format: take(`${at}/format`, sink.format, 'raw', notes),
    ...(sink.uid === undefined ? {} : { uid: sink.uid }),
    ...(sink.gid === undefined ? {} : { gid: sink.gid }),
  };
}

function listen(path: string, value: string | undefined, fallback: string, notes: Notes): ListenAddress {
  return orProblem(path, parseListen(take(path, value, fallback, notes)), notes) ?? { host: '127.0.0.1', port: 0 };
}
