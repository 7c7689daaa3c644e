// The schema of an exchange's setup.

import Type from 'typebox';
import { duration, path, strict, text } from './schema-parts.ts';

export const Setup = Type.Object(
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
          claim_mappings: Type.Optional(
            Type.Record(Type.String(), text('a metadata key'), {
              description: "claims to copy into the token's metadata, each with its metadata key",
            }),
          ),
          groups_claim: Type.Optional(text('the claim that lists the groups of the entity')),
          token_policies: Type.Optional(Type.Array(text('name of a policy'), { description: 'policies of the token' })),
          token_ttl: Type.Optional(duration('TTL of a token', '1h')),
          token_max_ttl: Type.Optional(duration("maximum TTL of a token, including renewals; default Vault's maximum")),
          token_period: Type.Optional(
            duration('TTL of a periodic token, which can be renewed indefinitely; replaces token_ttl'),
          ),
          token_type: Type.Optional(
            Type.Enum(['default', 'service', 'batch'], {
              description: "type of a token, or the mount's default; batch tokens can't be renewed or revoked",
            }),
          ),
          token_bound_cidrs: Type.Optional(
            Type.Array(text('an IP address or a range'), {
              description: 'addresses that may log in and use the token, such as 10.0.0.0/8',
            }),
          ),
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
  { ...strict, description: 'what "setup" creates in Vault; the sidecar ignores it' },
);
