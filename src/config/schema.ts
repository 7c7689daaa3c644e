// The schema of the config file: keys, types, defaults and descriptions. The published JSON Schema and the strict validation both
// use it. settings.ts and rules.ts hold the rules that a schema can't express.

import Type, { type Static } from 'typebox';
import { SIGNALS } from '../core/signals.ts';
import { duration, flag, oneKey, path, socketMembers, strict, Tls, text } from './schema-parts.ts';
import { Setup } from './schema-setup.ts';
import { Source } from './schema-source.ts';

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
    use_proxy_env: Type.Optional(flag('for https, use the proxy in HTTPS_PROXY, except for hosts in NO_PROXY')),
  },
  strict,
);

const Hook = Type.Object(
  {
    command: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'a program and its arguments, run without a shell when a new token is in place, but not when it is renewed',
      }),
    ),
    timeout: Type.Optional(duration('the time after which the command is killed; at most 10m', '10s')),
    signal: Type.Optional(Type.Enum([...SIGNALS], { description: 'a signal to send instead of a command' })),
    pid_file: Type.Optional(path('the file with the id of the process to signal')),
  },
  strict,
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
          on_change: Type.Optional(Hook),
        },
        strict,
      ),
    ),
  },
  { ...oneKey, description: 'where the Vault token goes: exactly one of file' },
);

const ApiProxy = Type.Object(
  {
    listen: Type.String({ description: 'host:port on loopback, such as 127.0.0.1:8200, or unix:/path' }),
    ...socketMembers('0600', '0660'),
    token: Type.Optional(
      Type.Enum(['always', 'if-absent'], {
        description: "with always, requests carry the exchange's token; with if-absent, a client may send its own",
        default: 'always',
      }),
    ),
    require_request_header: Type.Optional(flag('clients must send the header X-Vault-Request: true')),
  },
  {
    ...strict,
    description: 'passes requests to Vault with the token of this exchange, for clients that set VAULT_ADDR to it',
  },
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
        cel: Type.Optional(flag('the role is a CEL role of OpenBao: log in at auth/<mount>/cel/login')),
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
    proxy: Type.Optional(ApiProxy),
    on_start: Type.Optional(
      Type.Enum(['login', 'reuse'], {
        description: 'with login, log in at each start; with reuse, keep the token in a json sink if Vault confirms it',
        default: 'login',
      }),
    ),
    on_new_jwt: Type.Optional(
      Type.Enum(['login', 'when-needed'], {
        description: 'with login, log in with each new JWT; with when-needed, renew the token for as long as possible',
        default: 'login',
      }),
    ),
    on_replace: Type.Optional(
      Type.Enum(['keep', 'revoke'], {
        description: 'with keep, a replaced token lives until its TTL; with revoke, revoke it after revoke_delay',
        default: 'keep',
      }),
    ),
    revoke_delay: Type.Optional(
      duration('the time that readers have to reread the token before the old one is revoked', '30s'),
    ),
    check_interval: Type.Optional(
      Type.Union([Type.String(), Type.Integer()], {
        description:
          'how often Vault is asked whether the token was revoked: a duration from 10s, or 0 for never; never for tokens with limited uses',
        default: '0',
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
    start_jitter: Type.Optional(
      duration(
        'after its start, the sidecar delays its first logins by a random time up to this, so that many sidecars that ' +
          'start in one moment spread their load on Vault; 0 for no delay, at most 10m',
        '0',
      ),
    ),
    api: Type.Optional(
      Type.Object(
        {
          listen: Type.Optional(
            Type.String({ description: 'host:port or unix:/path of the token API', default: '127.0.0.1:8275' }),
          ),
          // No mode for all users, as it serves tokens.
          ...socketMembers('0600', '0660'),
          caller_token_file: Type.Optional(
            Type.String({
              pattern: '^(?:/.|$)',
              description:
                'the file with the secret that clients must send as a bearer token; an absolute path, or "" for none',
            }),
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
            Type.String({
              description: 'host:port or unix:/path of health, status and metrics',
              default: '127.0.0.1:8276',
            }),
          ),
          ...socketMembers('0600', '0660', '0666'),
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
          format: Type.Optional(
            Type.Enum(['auto', 'json', 'text'], {
              description: 'with auto, text on a terminal and JSON elsewhere',
              default: 'auto',
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
export type HookFile = Static<typeof Hook>;
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
