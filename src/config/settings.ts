// Turns a config that the schema accepts into settings: applies the defaults, converts units and checks rules for single members.
// rules.ts has the rules that span several members.

import { defined } from '../core/defined.ts';
import type { ExchangeSettings, FileSinkSettings, ProxySettings, Settings, VaultSettings } from '../core/settings.ts';
import { parseVaultAddress } from './address.ts';
import { buildHook } from './hook.ts';
import { listenerAddress } from './listener.ts';
import { duration, durationOrZero, type Notes, orProblem, take, takeOr } from './notes.ts';
import { keyOf } from './problem.ts';
import { crossRules } from './rules.ts';
import type { ConfigFile, ExchangeFile, VaultFile } from './schema.ts';
import { buildSetup } from './setup.ts';
import { buildSource, tlsSettings } from './source.ts';
import { checkNamespace, hasDotSegment, ROLE_NAME } from './vault-names.ts';

export function buildSettings(file: ConfigFile, notes: Notes): Settings {
  const exchanges = Object.entries(file.exchanges).map(([name, one]) => buildExchange(name, one, { file, notes }));
  const settings: Settings = {
    exchanges,
    startJitterMs: bounded('/start_jitter', durationOrZero('/start_jitter', file.start_jitter, notes), notes),
    api: {
      listen: listenerAddress('/api', file.api, notes),
      ...(file.api?.caller_token_file ? { callerTokenFile: file.api.caller_token_file } : {}),
    },
    ops: {
      listen: listenerAddress('/ops', file.ops, notes),
      nodeMetrics: take('/ops/node_metrics', file.ops?.node_metrics, notes),
    },
    log: {
      level: take('/log/level', file.log?.level, notes),
      format: take('/log/format', file.log?.format, notes),
    },
    setup: Object.fromEntries(
      Object.entries(file.exchanges).map(([name, one]) => [name, buildSetup(`/exchanges/${name}/setup`, one, notes)]),
    ),
  };
  notes.problems.push(...crossRules(file, settings));
  return settings;
}

interface Context {
  readonly file: ConfigFile;
  readonly notes: Notes;
}

function buildExchange(name: string, one: ExchangeFile, context: Context): ExchangeSettings {
  const { notes } = context;
  const at = `/exchanges/${name}`;
  const vault = buildVault(at, one, context);
  const namespace = one.login.namespace ?? vault.namespace;
  const mount = take(`${at}/login/mount`, one.login.mount, notes).replace(/^\/+|\/+$/g, '');
  if (mount === '' || mount.startsWith('auth/') || mount.includes('//'))
    notes.problems.push({
      pointer: `${at}/login/mount`,
      message: 'must be the path of the mount without "auth/", such as "jwt"',
    });
  else if (hasDotSegment(mount))
    notes.problems.push({
      pointer: `${at}/login/mount`,
      message: 'must not contain "." or ".." as a path segment',
    });
  checkNamespace(`${at}/login/namespace`, one.login.namespace, notes);
  if (!ROLE_NAME.test(one.login.role))
    notes.problems.push({
      pointer: `${at}/login/role`,
      message: 'must be letters, digits, "_", "-" and ".", and must not begin or end with "-" or "."',
    });
  if (one.on_start === 'reuse') checkReuse(at, one, notes);
  return {
    name,
    vault,
    source: buildSource(`${at}/source`, one.source, { notes, vaultOf: (other) => vaultOf(name, other, context) }),
    login: {
      mount,
      role: one.login.role,
      ...(one.login.cel === true ? { cel: true } : {}),
      ...defined({ namespace }),
    },
    expect: one.expect ?? {},
    onStart: take(`${at}/on_start`, one.on_start, notes),
    onNewJwt: take(`${at}/on_new_jwt`, one.on_new_jwt, notes),
    onReplace: take(`${at}/on_replace`, one.on_replace, notes),
    revokeDelayMs: duration(`${at}/revoke_delay`, one.revoke_delay, notes),
    checkIntervalMs: checkInterval(`${at}/check_interval`, one.check_interval, notes),
    onStop: take(`${at}/on_stop`, one.on_stop, notes),
    sinks: (one.sinks ?? []).flatMap((sink, index) =>
      sink.file ? [buildFileSink(`${at}/sinks/${index}/file`, sink.file, notes)] : [],
    ),
    ...defined({ proxy: one.proxy && buildProxy(`${at}/proxy`, one.proxy, notes) }),
  };
}

/** Checks that the token of an earlier process can be found, and isn't replaced at once. */
function checkReuse(at: string, { sinks = [], source, on_new_jwt: onNewJwt }: ExchangeFile, { problems }: Notes): void {
  const pointer = `${at}/on_start`;
  const isTrusted = ({ file }: (typeof sinks)[number]) =>
    file?.format === 'json' && file.uid === undefined && (Number.parseInt(file.mode ?? '0', 8) & 0o022) === 0;
  if (!sinks.some(isTrusted))
    problems.push({
      pointer,
      message: 'reuse needs a sink with "format": "json", without uid, and with a mode that only its owner may write',
    });
  const isMinted = source.vault_identity !== undefined || source.http !== undefined;
  if (isMinted && onNewJwt !== 'when-needed')
    problems.push({
      pointer,
      message: 'reuse needs "on_new_jwt": "when-needed" with this source, as each start brings a new JWT',
    });
}

/** Returns the Vault of exchange `other`, for the vault_identity source of exchange `name`; undefined if it is no valid choice. */
function vaultOf(name: string, other: string, context: Context): VaultSettings | undefined {
  const one = Object.hasOwn(context.file.exchanges, other) ? context.file.exchanges[other] : undefined;
  if (one === undefined || other === name || one.source.vault_identity !== undefined) return undefined;
  // Problems of that Vault are reported for the other exchange.
  const vault = buildVault(`/exchanges/${other}`, one, { ...context, notes: { defaults: [], problems: [] } });
  return one.login.namespace === undefined ? vault : { ...vault, namespace: one.login.namespace };
}

/** An exchange with its own address inherits nothing, as another Vault must not get the namespace or the client certificate. */
function buildVault(at: string, one: ExchangeFile, { file, notes }: Context): VaultSettings {
  const alone = one.vault?.address !== undefined;
  const vault = merged(alone ? {} : (file.vault ?? {}), one.vault ?? {});
  const isOwn = (member: keyof VaultFile) => alone || one.vault?.[member] !== undefined;
  const place = (member: keyof VaultFile) => (isOwn(member) ? `${at}/vault/${member}` : `/vault/${member}`);
  checkNamespace(place('namespace'), vault.namespace, notes);
  for (const [index, host] of (vault.redirect_hosts ?? []).entries()) {
    if (!/^[^\s/@?#]+$/.test(host))
      notes.problems.push({
        pointer: `${place('redirect_hosts')}/${index}`,
        message: 'must be host or host:port, such as "vault-1:8200"',
      });
  }
  const { tls = {} } = vault;
  if ((tls.client_cert_file === undefined) !== (tls.client_key_file === undefined)) {
    notes.problems.push({
      pointer: place('tls'),
      message: 'must have both client_cert_file and client_key_file, or neither',
    });
  }
  const address =
    vault.address === undefined
      ? undefined
      : orProblem(place('address'), parseVaultAddress(vault.address, vault.allow_insecure_http === true), notes);
  if (vault.address === undefined)
    notes.problems.push({
      pointer: '/vault/address',
      message: `is required: set it here, in ${keyOf(`${at}/vault`)} or as VAULT_ADDR`,
    });
  return {
    address: address ?? '',
    ...(vault.namespace === undefined || vault.namespace === 'root' ? {} : { namespace: vault.namespace }),
    tls: tlsSettings(tls),
    timeoutMs: bounded(place('timeout'), duration(place('timeout'), vault.timeout, notes), notes),
    redirectHosts: vault.redirect_hosts ?? [],
    useProxyEnv: take(place('use_proxy_env'), vault.use_proxy_env, notes),
  };
}

const buildProxy = (at: string, proxy: NonNullable<ExchangeFile['proxy']>, notes: Notes): ProxySettings => ({
  listen: listenerAddress(at, proxy, notes),
  token: take(`${at}/token`, proxy.token, notes),
  requireRequestHeader: take(`${at}/require_request_header`, proxy.require_request_header, notes),
});

const SHORTEST_CHECK_MS = 10_000;

function checkInterval(pointer: string, value: string | number | undefined, notes: Notes): number {
  const intervalMs = durationOrZero(pointer, value, notes);
  if (intervalMs > 0 && intervalMs < SHORTEST_CHECK_MS)
    notes.problems.push({ pointer, message: 'must be 0, or at least 10s' });
  return intervalMs;
}

/** Limits the timeout of a call (no reply takes longer, and leases are longer) and the delay of a start. */
function bounded(pointer: string, ms: number, { problems }: Notes): number {
  if (ms > TEN_MINUTES_MS) problems.push({ pointer, message: 'must be at most 10m' });
  return ms;
}

const TEN_MINUTES_MS = 600_000;

const merged = (under: VaultFile, over: VaultFile): VaultFile => ({
  ...under,
  ...over,
  tls: { ...under.tls, ...over.tls },
});

type FileSinkFile = NonNullable<NonNullable<ExchangeFile['sinks']>[number]['file']>;

function buildFileSink(at: string, sink: FileSinkFile, notes: Notes): FileSinkSettings {
  const mode = Number.parseInt(takeOr(`${at}/mode`, sink.mode, sink.gid === undefined ? '0600' : '0640', notes), 8);
  if ((mode & 0o007) !== 0 && sink.allow_world_readable !== true) {
    notes.problems.push({
      pointer: `${at}/mode`,
      message: 'makes the token world-readable: set the last digit to 0, or set allow_world_readable',
    });
  }
  return {
    kind: 'file',
    path: sink.path,
    mode,
    format: take(`${at}/format`, sink.format, notes),
    ...defined({
      uid: sink.uid,
      gid: sink.gid,
      onChange: sink.on_change && buildHook(`${at}/on_change`, sink.on_change, notes),
    }),
  };
}
