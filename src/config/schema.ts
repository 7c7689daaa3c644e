// The schema of the config file: keys, types, defaults and descriptions. The published JSON Schema and the strict validation both
// use it. settings.ts and rules.ts hold the rules that a schema can't express.

import Type, { type Static } from 'typebox';
import { defined } from '../core/defined.ts';

const strict = { additionalProperties: false } as const;
const text = (description: string) => Type.String({ minLength: 1, description });
const path = (description: string) => Type.String({ pattern: '^/.+', description: `${description}; an absolute path` });
const duration = (description: string, fallback?: string) =>
  Type.Union([Type.String(), Type.Integer()], {
    description: `${description}: a duration such as "90s" or "1h30m", or whole seconds`,
    ...defined({ default: fallback }),
  });
const flag = (description: string) => Type.Boolean({ description, default: false });
/** A variant has exactly one key, its kind, so that an error names the key. */
const oneKey = { ...strict, minProperties: 1, maxProperties: 1 } as const;

const Tls = Type.Object(
  {
    ca_file: Type.Optional(path("PEM file with the CAs for Vault's certificate, in place of the system CAs")),
    // A TLS server name must not be an IP address (RFC 6066 section 3).
    server_name: Type.Optional(
      Type.String({
        pattern: '^(?=.*[A-Za-z])[A-Za-z0-9.-]+$',
        description: "the name in Vault's certificate, if it differs from the host in the address",
      }),
    ),
    client_cert_file: Type.Optional(path('PEM client certificate')),
    client_key_file: Type.Optional(path('PEM key of the client certificate')),
  },
  strict,
);

const Vault = Type.Object(
  {
    address: Type.Optional(text('scheme://host[:port] of Vault')),
    namespace: Type.Optional(text('Vault Enterprise or OpenBao namespace')),
    tls: Type.Optional(Tls),
    timeout: Type.Optional(duration('the deadline of one call, including the connection; at most 10m', '15s')),
    allow_insecure_http: Type.Optional(flag('allow http:// to a host that is not loopback')),
    redirect_hosts: Type.Optional(
      Type.Array(text('host or host:port'), {
        description: 'hosts that Vault may redirect to; one redirect is followed',
      }),
    ),
    use_proxy_env: Type.Optional(flag('use the proxy in HTTPS_PROXY, except for hosts in NO_PROXY')),
  },
  strict,
);

const Source = Type.Object(
  {
    file: Type.Optional(
      Type.Object(
        {
          path: path('the file that holds the workload JWT'),
          poll_interval: Type.Optional(
            duration('how often the file is read when no file event arrives, from 1s to 1h', '10s'),
          ),
        },
        strict,
      ),
    ),
    env: Type.Optional(Type.Object({ name: text('the environment variable that holds the workload JWT') }, strict)),
    vault_identity: Type.Optional(
      Type.Object(
        {
          role: text('the role in identity/oidc/token/<role> of the issuing Vault'),
          token_file: Type.Optional(path('the file with the Vault token for the issuing Vault')),
          exchange: Type.Optional(text('the exchange whose Vault token is used, instead of token_file')),
          address: Type.Optional(
            text('scheme://host[:port] of the issuing Vault, https unless it is loopback; required with token_file'),
          ),
          namespace: Type.Optional(text('namespace of the issuing Vault')),
          tls: Type.Optional(Tls),
        },
        { ...strict, description: 'another Vault is the issuer' },
      ),
    ),
  },
  { ...oneKey, description: 'where the workload JWT comes from: exactly one of file, env, vault_identity' },
);

const Sink = Type.Object(
  {
    file: Type.Optional(
      Type.Object(
        {
          path: path('the file for the Vault token'),
          mode: Type.Optional(
            Type.String({
              pattern: '^0?[0-7]{3}$',
              description: 'permission bits in octal; default 0600, or 0640 with gid',
            }),
          ),
          uid: Type.Optional(Type.Integer({ minimum: 0, description: "owner; default the sidecar's user" })),
          gid: Type.Optional(
            Type.Integer({
              minimum: 0,
              description: "group; default the sidecar's group, or the group of a setgid directory",
            }),
          ),
          format: Type.Optional(
            Type.Enum(['raw', 'json', 'env'], {
              description: 'the bare token, a JSON document, or a VAULT_TOKEN=... line',
              default: 'raw',
            }),
          ),
          allow_world_readable: Type.Optional(flag('allow a mode that makes the token world-readable')),
        },
        strict,
      ),
    ),
  },
  { ...oneKey, description: 'where the Vault token goes: exactly one of file' },
);

const Setup = Type.Object(
  {
    trust: Type.Optional(
      Type.Object(
        {
          oidc_discovery_url: Type.Optional(text('base URL of the discovery document; default expect.issuer')),
          jwks_url: Type.Optional(text('URL of the keys, for an issuer without discovery')),
          bound_issuer: Type.Optional(text('the "iss" that JWTs must have; default expect.issuer')),
          oidc_discovery_ca_pem: Type.Optional(text("PEM of the CAs for the issuer's certificate")),
          oidc_discovery_ca_file: Type.Optional(path('PEM file of these CAs, read when setup or doctor runs')),
        },
        { ...strict, description: 'auth/<mount>/config' },
      ),
    ),
    role: Type.Optional(
      Type.Object(
        {
          user_claim: Type.Optional(
            Type.String({ minLength: 1, description: 'the claim that names the entity', default: 'sub' }),
          ),
          bound_audiences: Type.Optional(
            Type.Array(text('an audience'), { description: 'accepted audiences; default expect.audience' }),
          ),
          bound_subject: Type.Optional(text('the accepted subject; default expect.subject')),
          bound_claims: Type.Optional(
            Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())]), {
              description: 'claims that the JWT must have, each with one value or a list of values',
            }),
          ),
          bound_claims_type: Type.Optional(
            Type.Enum(['string', 'glob'], { description: 'how bound_claims are compared', default: 'string' }),
          ),
          token_policies: Type.Optional(Type.Array(text('name of a policy'), { description: 'policies of the token' })),
          token_ttl: Type.Optional(duration('TTL of a token', '1h')),
          token_max_ttl: Type.Optional(duration("maximum TTL of a token, including renewals; default Vault's maximum")),
        },
        { ...strict, description: 'auth/<mount>/role/<role>' },
      ),
    ),
    policies: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]*$' }), text('HCL'), {
        ...strict,
        description: 'policies to create, as HCL by name; leave out policies that exist',
      }),
    ),
  },
  { ...strict, description: 'what "setup" creates in Vault; the daemon ignores it' },
);

const Exchange = Type.Object(
  {
    vault: Type.Optional(Vault),
    source: Source,
    login: Type.Object(
      {
        mount: Type.Optional(
          Type.String({ minLength: 1, description: 'path of the JWT auth method, without auth/', default: 'jwt' }),
        ),
        role: text('the role to log in with'),
        namespace: Type.Optional(text('namespace of this login; default vault.namespace')),
      },
      strict,
    ),
    expect: Type.Optional(
      Type.Object(
        {
          issuer: Type.Optional(text('the JWT\'s "iss"')),
          audience: Type.Optional(text('one value of the JWT\'s "aud"')),
          subject: Type.Optional(text('the JWT\'s "sub"')),
        },
        { ...strict, description: 'a local check: the sidecar never sends a JWT with other claims to Vault' },
      ),
    ),
    on_new_jwt: Type.Optional(
      Type.Enum(['login', 'when-needed'], {
        description: 'with login, log in with each new JWT; with when-needed, renew the token for as long as possible',
        default: 'login',
      }),
    ),
    on_stop: Type.Optional(
      Type.Enum(['keep', 'revoke'], {
        description: 'with keep, leave the token in place at a stop; with revoke, revoke it and remove the files',
        default: 'keep',
      }),
    ),
    sinks: Type.Optional(Type.Array(Sink)),
    setup: Type.Optional(Setup),
  },
  strict,
);

export const ConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    vault: Type.Optional(Vault),
    exchanges: Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,62}$' }), Exchange, {
      ...strict,
      minProperties: 1,
      description: 'the exchanges, by name',
    }),
    api: Type.Optional(
      Type.Object(
        {
          listen: Type.Optional(Type.String({ description: 'host:port of the token API', default: '127.0.0.1:8275' })),
          caller_token_file: Type.Optional(
            Type.String({ description: 'the file with the secret that clients must send as a bearer token' }),
          ),
          allow_non_loopback: Type.Optional(flag('allow an address other than loopback; needs caller_token_file')),
        },
        strict,
      ),
    ),
    ops: Type.Optional(
      Type.Object(
        {
          listen: Type.Optional(
            Type.String({ description: 'host:port of health, status and metrics', default: '127.0.0.1:8276' }),
          ),
          node_metrics: Type.Optional(flag("also export Node's default metrics")),
        },
        strict,
      ),
    ),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Enum(['trace', 'debug', 'info', 'warn', 'error'], {
              description: 'the lowest level that is logged',
              default: 'info',
            }),
          ),
        },
        strict,
      ),
    ),
  },
  { ...strict, title: 'vault-token-sidecar config' },
);

export type ConfigFile = Static<typeof ConfigSchema>;
export type VaultFile = Static<typeof Vault>;
export type ExchangeFile = Static<typeof Exchange>;

/** Returns the published JSON Schema (draft 2020-12). */
export function configJsonSchema(): object {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', ...ConfigSchema };
}

/** Returns the schema's default for the member at a JSON Pointer into a config. */
export function defaultAt(pointer: string): unknown {
  let schema: Subschema | undefined = ConfigSchema as unknown as Subschema;
  for (const name of pointer.split('/').slice(1))
    schema = schema?.properties?.[name] ?? Object.values(schema?.patternProperties ?? {})[0] ?? schema?.items;
  return schema?.default;
}

interface Subschema {
  readonly properties?: Readonly<Record<string, Subschema>>;
  readonly patternProperties?: Readonly<Record<string, Subschema>>;
  readonly items?: Subschema;
  readonly default?: unknown;
}
