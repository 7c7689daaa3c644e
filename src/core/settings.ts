// The validated settings, with durations in milliseconds and defaults filled in.
// config/ builds them from the config file and the environment; all other code only reads them.

import type { SignalName } from './signals.ts';

export interface Settings {
  readonly exchanges: readonly ExchangeSettings[];
  /** the daemon delays its first logins by a random time up to this */
  readonly startJitterMs: number;
  readonly api: ApiSettings;
  readonly ops: OpsSettings;
  readonly log: { readonly level: LogLevel; readonly format: 'auto' | 'json' | 'text' };
  /** by exchange name; kept out of `exchanges` so that a change here doesn't reopen a running exchange */
  readonly setup: Readonly<Record<string, SetupSettings>>;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** One identity: the source of the workload JWT, the Vault login, and the sinks for the Vault token. */
export interface ExchangeSettings {
  readonly name: string;
  readonly vault: VaultSettings;
  readonly source: SourceSettings;
  readonly login: LoginSettings;
  readonly expect: ExpectedClaims;
  readonly onStart: 'login' | 'reuse';
  readonly onNewJwt: 'login' | 'when-needed';
  readonly onReplace: 'keep' | 'revoke';
  /** how long a replaced token lives on with `on_replace: revoke`, after every sink holds the new one */
  readonly revokeDelayMs: number;
  /** how often Vault is asked whether it still knows the token; 0: never */
  readonly checkIntervalMs: number;
  /**
   * `undo` is set by one-shot commands: as `revoke`, but keeps files that this process didn't write, and a taken-over token in
   * all files
   */
  readonly onStop: 'keep' | 'revoke' | 'undo';
  readonly sinks: readonly SinkSettings[];
  readonly proxy?: ProxySettings;
}

/** The API proxy: requests of clients go to Vault with the token of the exchange. */
export interface ProxySettings {
  readonly listen: ListenAddress;
  /** with `if-absent`, a client may send its own token */
  readonly token: 'always' | 'if-absent';
  /** clients must send the header X-Vault-Request */
  readonly requireRequestHeader: boolean;
}

export interface VaultSettings {
  /** scheme://host[:port], without a path and without a trailing slash */
  readonly address: string;
  readonly namespace?: string;
  readonly tls: TlsSettings;
  /** the deadline of one call, including connection setup */
  readonly timeoutMs: number;
  /** allowed targets of a redirect from a standby, as host or host:port */
  readonly redirectHosts: readonly string[];
  readonly useProxyEnv: boolean;
}

export interface TlsSettings {
  readonly caFile?: string;
  /** CA certificates as PEM; ignored if `caFile` is set */
  readonly ca?: string;
  readonly serverName?: string;
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
}

export interface LoginSettings {
  /** the auth mount's path, without the prefix "auth/" and without a leading or trailing slash */
  readonly mount: string;
  readonly role: string;
  /** the role is a CEL role of OpenBao */
  readonly cel?: true;
  /** login.namespace of the config, or else vault.namespace */
  readonly namespace?: string;
}

/** Claims that are checked locally, so that a wrong JWT never leaves the machine. Absent members aren't checked. */
export interface ExpectedClaims {
  readonly issuer?: string;
  readonly audience?: string;
  readonly subject?: string;
}

export type SourceSettings =
  | { readonly kind: 'file'; readonly path: string; readonly pollIntervalMs: number }
  | { readonly kind: 'env'; readonly name: string }
  | VaultIdentitySettings
  | HttpSourceSettings;

/** Reports whether each reading requests a JWT from a server. */
export const isRequested = (source: SourceSettings): source is VaultIdentitySettings | HttpSourceSettings =>
  source.kind === 'vault-identity' || source.kind === 'http';

/** A JWT behind a URL, such as the metadata service of a cloud. */
export interface HttpSourceSettings {
  readonly kind: 'http';
  /** from the config, or from an environment variable */
  readonly url: { readonly text: string } | { readonly env: string };
  /** added to the URL's query */
  readonly query: Readonly<Record<string, string>>;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, HeaderSettings>>;
  readonly body?: string;
  /** where the JWT is in a JSON reply (RFC 6901); empty if the reply is the JWT */
  readonly jsonPointer: string;
  readonly tls: TlsSettings;
  readonly timeoutMs: number;
  readonly useProxyEnv: boolean;
}

/** A header's value: a text, or an environment variable or a file with a prefix such as "Bearer ". */
export type HeaderSettings =
  | { readonly text: string }
  | { readonly env: string; readonly prefix: string }
  | { readonly file: string; readonly prefix: string };

/** Another Vault as the issuer: its identity tokens serve as workload JWTs. */
export interface VaultIdentitySettings {
  readonly kind: 'vault-identity';
  readonly vault: VaultSettings;
  readonly role: string;
  /** the Vault token that authenticates the request: from a file, or from another exchange in this process */
  readonly token: { readonly file: string } | { readonly exchange: string };
}

export type SinkSettings = FileSinkSettings;

export interface FileSinkSettings {
  readonly kind: 'file';
  readonly path: string;
  /** permission bits, such as 0o640 */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly format: TokenFormat;
  /** runs after a new token is in place, but not after a renewal */
  readonly onChange?: HookSettings;
}

/** Returns the hook of the sink at a path; undefined if it has none. */
export const hookOf = ({ sinks }: Pick<ExchangeSettings, 'sinks'>, sink: string): HookSettings | undefined =>
  sinks.find(({ path }) => path === sink)?.onChange;

export type HookSettings =
  | {
      readonly kind: 'command';
      /** the absolute path of a program, and its arguments */
      readonly command: readonly string[];
      readonly timeoutMs: number;
    }
  | SignalHookSettings;

export interface SignalHookSettings {
  readonly kind: 'signal';
  readonly signal: SignalName;
  readonly pidFile: string;
}

export type TokenFormat = 'raw' | 'json' | 'env';

export type ListenAddress = TcpAddress | SocketAddress;

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

export interface SocketPath {
  /** the absolute path of a unix socket */
  readonly path: string;
}

export interface SocketAddress extends SocketPath {
  /** permission bits, such as 0o660 */
  readonly mode: number;
  readonly gid?: number;
}

export const isSocket = <S extends SocketPath>(address: TcpAddress | S): address is S => 'path' in address;

/** Returns the address as the config has it: host:port or unix:/path. */
export const listenText = (address: TcpAddress | SocketPath): string =>
  isSocket(address) ? `unix:${address.path}` : `${address.host}:${address.port}`;

export interface ApiSettings {
  readonly listen: ListenAddress;
  readonly callerTokenFile?: string;
}

export interface OpsSettings {
  readonly listen: ListenAddress;
  readonly nodeMetrics: boolean;
}

/** The objects to configure in Vault for an exchange. Used by `setup` and `doctor`, not by the daemon. */
export interface SetupSettings {
  /** false if the config has no `setup` for the exchange: all values come from `expect` and the defaults */
  readonly stated: boolean;
  readonly trust: TrustSettings;
  readonly role: RoleSettings;
  /** policies to write, by name, in HCL */
  readonly policies: Readonly<Record<string, string>>;
}

/** The config of a jwt auth mount: https://developer.hashicorp.com/vault/api-docs/auth/jwt#configure */
export interface TrustSettings {
  readonly discoveryUrl?: string;
  /** used instead of discovery */
  readonly jwksUrl?: string;
  readonly boundIssuer?: string;
  /** CA certificates that Vault uses to verify the issuer's TLS certificate, instead of its system CAs */
  readonly caPem?: string;
  /** a file with them, which `setup` and `doctor` read into `caPem` */
  readonly caFile?: string;
}

/** A role of a jwt auth mount: https://developer.hashicorp.com/vault/api-docs/auth/jwt#create-update-role */
export interface RoleSettings {
  readonly userClaim: string;
  readonly boundAudiences?: readonly string[];
  readonly boundSubject?: string;
  readonly boundClaims?: BoundClaims;
  readonly boundClaimsType?: 'string' | 'glob';
  /** metadata keys by claim */
  readonly claimMappings?: Readonly<Record<string, string>>;
  readonly groupsClaim?: string;
  readonly policies: readonly string[];
  readonly ttlMs: number;
  readonly maxTtlMs?: number;
  /** the TTL of a periodic token, instead of `ttlMs` */
  readonly periodMs?: number;
  readonly tokenType?: 'default' | 'service' | 'batch';
  /** in Vault's spelling: lower case, shortened, and without the range of a single address */
  readonly boundCidrs?: readonly string[];
}

export type BoundClaims = Readonly<Record<string, string | readonly string[]>>;
