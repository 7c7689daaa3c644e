// What the user decided, in the units that the code works in: milliseconds, numbers, absolute choices.
// config.ts makes it from the file and the environment; everything else only reads it.

export interface Settings {
  readonly exchanges: readonly ExchangeSettings[];
  readonly api: ApiSettings;
  readonly ops: OpsSettings;
  readonly log: { readonly level: LogLevel };
  /** by exchange; apart from the exchanges, since a change here is none for a running one */
  readonly setup: Readonly<Record<string, SetupSettings>>;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** One identity: a source of workload JWTs, the Vault login that it is exchanged by, and where the Vault token goes. */
export interface ExchangeSettings {
  readonly name: string;
  readonly vault: VaultSettings;
  readonly source: SourceSettings;
  readonly login: LoginSettings;
  readonly expect: ExpectedClaims;
  readonly onNewJwt: 'login' | 'when-needed';
  readonly onStop: 'keep' | 'revoke';
  readonly sinks: readonly SinkSettings[];
}

export interface VaultSettings {
  /** scheme://host[:port], without a path and without a trailing slash */
  readonly address: string;
  readonly namespace?: string;
  readonly tls: TlsSettings;
  /** the hard deadline of one call, connecting included */
  readonly timeoutMs: number;
  /** host or host:port to which one redirect from a standby may be followed */
  readonly redirectHosts: readonly string[];
  readonly useProxyEnv: boolean;
}

export interface TlsSettings {
  readonly caFile?: string;
  /** the CAs themselves as PEM, where they don't come from a file */
  readonly ca?: string;
  readonly serverName?: string;
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
}

export interface LoginSettings {
  /** the auth method's path without "auth/" and without slashes at its ends; may hold slashes inside */
  readonly mount: string;
  readonly role: string;
  /** the namespace in force for this login: its own, or that of its Vault */
  readonly namespace?: string;
}

/** A local check that stops a wrong JWT before it leaves the machine; members that are absent aren't checked. */
export interface ExpectedClaims {
  readonly issuer?: string;
  readonly audience?: string;
  readonly subject?: string;
}

export type SourceSettings =
  | { readonly kind: 'file'; readonly path: string; readonly pollIntervalMs: number }
  | { readonly kind: 'env'; readonly name: string }
  | VaultIdentitySettings;

/** Another Vault as the issuer: its identity tokens are the workload JWTs. */
export interface VaultIdentitySettings {
  readonly kind: 'vault-identity';
  readonly vault: VaultSettings;
  readonly role: string;
  /** whose Vault token asks for them: one in a file, or that of another exchange in this process */
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
}

export type TokenFormat = 'raw' | 'json' | 'env';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface ApiSettings {
  readonly listen: ListenAddress;
  readonly callerTokenFile?: string;
}

export interface OpsSettings {
  readonly listen: ListenAddress;
  readonly nodeMetrics: boolean;
}

/** What Vault needs for an exchange beyond what `login` and `expect` say: for `setup` and `doctor`, never for the daemon. */
export interface SetupSettings {
  /** false: nothing but what follows from `expect` and the defaults */
  readonly stated: boolean;
  readonly trust: TrustSettings;
  readonly role: RoleSettings;
  /** policies to write, by name, in HCL */
  readonly policies: Readonly<Record<string, string>>;
}

/** The config of a jwt auth mount: https://developer.hashicorp.com/vault/api-docs/auth/jwt#configure */
export interface TrustSettings {
  readonly discoveryUrl?: string;
  /** instead of discovery */
  readonly jwksUrl?: string;
  readonly boundIssuer?: string;
  /** the CAs by which Vault verifies the issuer's certificate, in place of its system's */
  readonly caPem?: string;
}

/** A role of a jwt auth mount: https://developer.hashicorp.com/vault/api-docs/auth/jwt#create-update-role */
export interface RoleSettings {
  readonly userClaim: string;
  readonly boundAudiences?: readonly string[];
  readonly boundSubject?: string;
  readonly boundClaims?: BoundClaims;
  readonly boundClaimsType?: 'string' | 'glob';
  readonly policies: readonly string[];
  readonly ttlMs: number;
  readonly maxTtlMs?: number;
}

export type BoundClaims = Readonly<Record<string, string | readonly string[]>>;
