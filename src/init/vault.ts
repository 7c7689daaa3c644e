// Another Vault as the issuer of identity tokens.

import { isAtOidcPub } from '../core/hosts.ts';
import { quoted } from '../setup/text.ts';
import { configOf, issuerUrl, type Scenario, verification } from './scenario.ts';

export const vault: Scenario = {
  write(given) {
    const [, published = '', ofIssuer = ''] =
      /^(.*?)(?:\/v1\/(.*?)\/?identity\/oidc)?\/?$/.exec(issuerUrl(given)) ?? [];
    const namespace = given.optional('source-namespace', ofIssuer).replace(/^\/+|\/+$/g, '');
    const issuer = `${published}${identityPath(namespace)}`;
    const address = given.required('source-address');
    const mount = isAtOidcPub(published) ? (new URL(published).hostname.split('.')[0] ?? 'vault') : 'vault';
    const config = configOf(given, {
      name: 'federated',
      source: {
        vault_identity: {
          address,
          token_file: '/run/vault-source/token',
          role: 'federation',
          ...(namespace === '' ? {} : { namespace }),
        },
      },
      sinks: [{ file: { path: '/run/vault/token' } }],
      expect: { issuer, audience: 'vault', subject: given.required('entity-id') },
      defaults: { mount, role: 'external-vault', policy: 'vault-federation', secret: 'app', ttl: '10m' },
      // oidc.pub serves the discovery document at the bare host only
      ...(isAtOidcPub(published) ? { trust: { oidc_discovery_url: published, bound_issuer: issuer } } : {}),
    });
    return { config, issuerText: issuingVault({ published, issuer, address, namespace }) };
  },
};

/** Returns the path that Vault appends to its issuer in "iss", and below which it serves its documents. */
const identityPath = (namespace: string): string => `/v1/${namespace === '' ? '' : `${namespace}/`}identity/oidc`;

interface IssuingVault {
  /** the issuer of identity/oidc/config */
  readonly published: string;
  /** the "iss" of the identity tokens */
  readonly issuer: string;
  readonly address: string;
  /** empty: none */
  readonly namespace: string;
}

function issuingVault({ published, issuer, address, namespace }: IssuingVault): string {
  const where = namespace === '' ? '' : ` -namespace=${quoted(namespace)}`;
  const source = `${address}${identityPath(namespace)}`;
  return `# the issuing Vault: its issuer, a key, a role, and the policy to request identity tokens.
# VAULT_TOKEN must be a token of this Vault

export VAULT_ADDR=${quoted(address)}

# this changes "iss" for every consumer of this Vault's identity tokens, to ${issuer}
vault write${where} identity/oidc/config issuer=${quoted(published)}

vault write${where} identity/oidc/key/federation allowed_client_ids=vault algorithm=ES256

vault write${where} identity/oidc/role/federation key=federation client_id=vault ttl=10m

# the token in /run/vault-source/token needs this policy, and an entity: tokens of logins have one, root tokens have none
vault policy write${where} federation - <<'POLICY'
path "identity/oidc/token/federation" { capabilities = ["read"] }
POLICY${isAtOidcPub(published) ? `\n\n${syncOnce(published, source)}` : ''}`;
}

/** https://oidc.pub: the sync worker pushes the issuer's documents once. */
const syncOnce = (published: string, source: string): string => `# publish the issuer, and check it
docker run --rm -e OIDC_SOURCE_URL=${quoted(source)} \\
  -e OIDCPUB_SERVICE_ID -e OIDCPUB_API_KEY registry.gitlab.com/oidc.pub/cli:latest-sync --once

${verification(published)}`;
