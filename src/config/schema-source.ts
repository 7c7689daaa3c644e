// The schema of an exchange's source.

import Type from 'typebox';
import { duration, flag, oneKey, path, strict, Tls, text } from './schema-parts.ts';

const HeaderSecret = {
  prefix: Type.Optional(Type.String({ description: 'text before the value, such as "Bearer "' })),
};

const Header = Type.Union(
  [
    Type.String(),
    Type.Object({ env: text('the environment variable with the value'), ...HeaderSecret }, strict),
    Type.Object({ file: path('the file with the value, read for each request'), ...HeaderSecret }, strict),
  ],
  { description: 'text, or {"env": NAME} or {"file": PATH} for a secret' },
);

const HttpSource = Type.Object(
  {
    url: Type.Optional(text('https, or http to this machine or a metadata service; or else url_env')),
    url_env: Type.Optional(text('the environment variable that holds the URL')),
    query: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'parameters to add to the URL' })),
    method: Type.Optional(Type.Enum(['GET', 'POST'], { description: 'the method of the request', default: 'GET' })),
    headers: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z0-9-]+$' }), Header, {
        ...strict,
        description: 'headers of the request',
      }),
    ),
    body: Type.Optional(text('the body of a POST, sent as JSON')),
    json_pointer: Type.Optional(
      Type.String({
        pattern: '^(/.*)?$',
        description: 'where the JWT is in a JSON reply, such as /value (RFC 6901); empty if the reply is the JWT',
        default: '',
      }),
    ),
    tls: Type.Optional(Tls),
    use_proxy_env: Type.Optional(flag('for https, use the proxy in HTTPS_PROXY, except for hosts in NO_PROXY')),
  },
  { ...strict, description: 'a JWT behind a URL: a metadata service, or the token endpoint of a CI system' },
);

export const Source = Type.Object(
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
    http: Type.Optional(HttpSource),
  },
  { ...oneKey, description: 'where the workload JWT comes from: exactly one of file, env, vault_identity, http' },
);
