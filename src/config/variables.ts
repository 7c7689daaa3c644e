// The environment variables of the config, each with the key that it sets and its meaning for people.

interface Variable {
  /** JSON Pointer of the key */
  readonly pointer: string;
  readonly meaning: string;
}

/** Vault's own variables, without their prefix: VAULT_ or BAO_. They fill the keys that `vault` leaves out. */
export const VAULT_VARIABLES = {
  ADDR: { pointer: '/vault/address', meaning: "Vault's address" },
  NAMESPACE: { pointer: '/vault/namespace', meaning: 'the namespace, of Vault Enterprise or OpenBao' },
  CACERT: { pointer: '/vault/tls/ca_file', meaning: "the file with the CA of Vault's certificate" },
  TLS_SERVER_NAME: { pointer: '/vault/tls/server_name', meaning: "the host name in Vault's certificate" },
  CLIENT_CERT: { pointer: '/vault/tls/client_cert_file', meaning: 'the file with the client certificate' },
  CLIENT_KEY: { pointer: '/vault/tls/client_key_file', meaning: 'the file with its private key' },
} as const satisfies Readonly<Record<string, Variable>>;

/** The variables of the exchange "default" and its listeners. They apply only without a config file. */
export const VTS_VARIABLES = {
  VTS_JWT_FILE: {
    pointer: '/exchanges/default/source/file/path',
    meaning: 'the file with the workload JWT',
  },
  VTS_ROLE: { pointer: '/exchanges/default/login/role', meaning: 'the Vault role' },
  VTS_MOUNT: { pointer: '/exchanges/default/login/mount', meaning: 'the path of the JWT auth method' },
  VTS_ISSUER: { pointer: '/exchanges/default/expect/issuer', meaning: 'the expected issuer of the JWT' },
  VTS_AUDIENCE: { pointer: '/exchanges/default/expect/audience', meaning: 'the expected audience of the JWT' },
  VTS_SUBJECT: { pointer: '/exchanges/default/expect/subject', meaning: 'the expected subject of the JWT' },
  VTS_TOKEN_FILE: {
    pointer: '/exchanges/default/sinks/0/file/path',
    meaning: 'the file for the Vault token',
  },
  VTS_TOKEN_MODE: { pointer: '/exchanges/default/sinks/0/file/mode', meaning: 'its mode, in octal' },
  VTS_PROXY_LISTEN: { pointer: '/exchanges/default/proxy/listen', meaning: 'the address of the API proxy' },
  VTS_START_JITTER: { pointer: '/start_jitter', meaning: 'the longest random delay of the first login' },
  VTS_API_LISTEN: { pointer: '/api/listen', meaning: 'the address of the token API' },
  VTS_OPS_LISTEN: { pointer: '/ops/listen', meaning: 'the address of the ops API' },
  VTS_LOG_LEVEL: { pointer: '/log/level', meaning: 'trace, debug, info, warn or error' },
  VTS_LOG_FORMAT: { pointer: '/log/format', meaning: 'auto, json or text' },
} as const satisfies Readonly<Record<string, Variable>>;

/** Names the config file. The flag --config takes precedence. */
export const CONFIG_VARIABLE = 'VTS_CONFIG';
