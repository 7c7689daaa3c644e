// The source section of an exchange as settings.

import { defined } from '../core/defined.ts';
import { isHeaderText, parseEndpointUrl, type UrlProblem } from '../core/jwt-endpoint.ts';
import type {
  HeaderSettings,
  HttpSourceSettings,
  SourceSettings,
  TlsSettings,
  VaultIdentitySettings,
  VaultSettings,
} from '../core/settings.ts';
import { parseVaultAddress } from './address.ts';
import { duration, type Notes, orProblem, take } from './notes.ts';
import { escaped } from './problem.ts';
import type { ExchangeFile, VaultFile } from './schema.ts';
import { checkNamespace, ROLE_NAME } from './vault-names.ts';

type SourceFile = ExchangeFile['source'];
type HttpFile = NonNullable<SourceFile['http']>;
type IdentityFile = NonNullable<SourceFile['vault_identity']>;

/** @param vaultOf returns the Vault of another exchange with its login namespace; undefined if there is no such exchange */
export function buildSource(
  at: string,
  source: SourceFile,
  { notes, vaultOf }: { notes: Notes; vaultOf: (exchange: string) => VaultSettings | undefined },
): SourceSettings {
  if (source.env !== undefined) return { kind: 'env', name: source.env.name };
  if (source.http !== undefined) return buildHttp(`${at}/http`, source.http, notes);
  if (source.vault_identity !== undefined)
    return buildIdentity(`${at}/vault_identity`, source.vault_identity, { notes, vaultOf });
  const pollIntervalMs = duration(`${at}/file/poll_interval`, source.file?.poll_interval, notes);
  if (pollIntervalMs < 1000 || pollIntervalMs > 3_600_000)
    notes.problems.push({ pointer: `${at}/file/poll_interval`, message: 'must be between 1s and 1h' });
  return { kind: 'file', path: source.file?.path ?? '', pollIntervalMs };
}

/** The deadline of a request; metadata services take a few seconds to make a new JWT. */
const HTTP_TIMEOUT_MS = 10_000;

const URL_PROBLEMS: Readonly<Record<UrlProblem, string>> = {
  'not-a-url': 'must be a URL',
  credentials: 'must not contain credentials: use a header with env or file',
  'not-https': 'must be https; http is allowed only to loopback and metadata services',
};

/** The headers that belong to the connection. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
  'keep-alive',
]);

function buildHttp(at: string, http: HttpFile, notes: Notes): HttpSourceSettings {
  const problem = (pointer: string, message: string) => notes.problems.push({ pointer, message });
  const { url, url_env: variable, method: given, headers = {}, query = {}, body } = http;
  if ((url === undefined) === (variable === undefined)) problem(at, 'must have exactly one of url, url_env');
  const parsed = url === undefined ? undefined : parseEndpointUrl(url);
  if (typeof parsed === 'string') problem(`${at}/url`, URL_PROBLEMS[parsed]);
  const method = take(`${at}/method`, given, notes);
  if (body !== undefined && method === 'GET') problem(`${at}/body`, 'needs "method": "POST"');
  checkHeaders(`${at}/headers`, headers, problem);
  return {
    kind: 'http',
    url: variable === undefined ? { text: url ?? '' } : { env: variable },
    query,
    method,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, headerSettings(value)])),
    ...defined({ body }),
    jsonPointer: take(`${at}/json_pointer`, http.json_pointer, notes),
    tls: tlsSettings(http.tls ?? {}),
    timeoutMs: HTTP_TIMEOUT_MS,
    useProxyEnv: take(`${at}/use_proxy_env`, http.use_proxy_env, notes),
  };
}

function checkHeaders(
  at: string,
  headers: NonNullable<HttpFile['headers']>,
  problem: (pointer: string, message: string) => void,
): void {
  const names = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const pointer = `${at}/${escaped(name)}`;
    const first = names.get(name.toLowerCase());
    names.set(name.toLowerCase(), name);
    if (first !== undefined) problem(pointer, `differs from "${first}" only in case`);
    if (RESERVED_HEADERS.has(name.toLowerCase())) problem(pointer, 'is set by the HTTP client: remove it');
    const isText = typeof value === 'string';
    if (!isHeaderText(isText ? value : (value.prefix ?? '')))
      problem(isText ? pointer : `${pointer}/prefix`, 'must be ASCII');
  }
}

function headerSettings(value: NonNullable<HttpFile['headers']>[string]): HeaderSettings {
  if (typeof value === 'string') return { text: value };
  const { prefix = '' } = value;
  return 'env' in value ? { env: value.env, prefix } : { file: value.file, prefix };
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
