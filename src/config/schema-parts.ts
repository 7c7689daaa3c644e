// The building blocks of the schema.

import Type from 'typebox';
import { defined } from '../core/defined.ts';

export const strict = { additionalProperties: false } as const;
export const text = (description: string) => Type.String({ minLength: 1, description });
export const path = (description: string) =>
  Type.String({ pattern: '^/.+', description: `${description}; an absolute path` });
export const duration = (description: string, fallback?: string) =>
  Type.Union([Type.String(), Type.Integer()], {
    description: `${description}: a duration such as "90s" or "1h30m", or whole seconds`,
    ...defined({ default: fallback }),
  });
export const flag = (description: string) => Type.Boolean({ description, default: false });
/** The members of a listener on a unix socket, beside its `listen`. @param modes the permitted ones; the first is the default */
export const socketMembers = <const M extends readonly [string, ...string[]]>(...modes: M) => ({
  socket_mode: Type.Optional(
    Type.Enum(modes, {
      description: 'permission bits of the unix socket, in octal; its clients need to read and write',
      default: modes[0],
    }),
  ),
  socket_gid: Type.Optional(
    Type.Integer({ minimum: 0, description: "group of the unix socket; default the sidecar's group" }),
  ),
});
/** A variant has exactly one key, its kind, so that an error names the key. */
export const oneKey = { ...strict, minProperties: 1, maxProperties: 1 } as const;

export const Tls = Type.Object(
  {
    ca_file: Type.Optional(path("PEM file with the CAs for the server's certificate, in place of the system CAs")),
    // A TLS server name must not be an IP address (RFC 6066 section 3).
    server_name: Type.Optional(
      Type.String({
        pattern: '^(?=.*[A-Za-z])[A-Za-z0-9.-]+$',
        description: "the name in the server's certificate, if it differs from the host in the URL",
      }),
    ),
    client_cert_file: Type.Optional(path('PEM client certificate')),
    client_key_file: Type.Optional(path('PEM key of the client certificate')),
  },
  strict,
);
