// Shared parts of the scenarios: the claims of a pod's JWT, and a Vault that issues identity tokens.

import type { TestContext } from 'node:test';
import type { Publisher } from './publisher.ts';
import { openRealVault } from './real-vault.ts';

/** The claims of a Kubernetes projected service account token. */
export const k8sClaims = (namespace = 'default', name = 'my-app') => ({
  aud: ['vault'],
  sub: `system:serviceaccount:${namespace}:${name}`,
  nbf: Math.floor(Date.now() / 1000),
  'kubernetes.io': {
    namespace,
    node: { name: 'node-1', uid: 'f2a1' },
    pod: { name: `${name}-5d8`, uid: 'c0de' },
    serviceaccount: { name, uid: 'beef' },
  },
});

/** Opens another Vault that issues identity tokens as https://vault-prod.oidc.pub, for the user "app". */
export async function openSourceVault(t: TestContext, publisher: Publisher) {
  const source = await openRealVault(t);
  await source.write('identity/oidc/config', { issuer: 'https://vault-prod.oidc.pub' });
  await source.write('identity/oidc/key/federation', { allowed_client_ids: '*', algorithm: 'ES256' });
  await source.write('identity/oidc/role/federation', { key: 'federation', client_id: 'vault', ttl: '4s' });
  await source.write('sys/policies/acl/mint', {
    policy: 'path "identity/oidc/token/federation" { capabilities = ["read"] }',
  });
  await source.write('sys/auth/userpass', { type: 'userpass' });
  await source.write('auth/userpass/users/app', { password: 'p', token_policies: 'mint' });
  const { body } = await source.write('auth/userpass/login/app', { password: 'p' });
  const auth = body['auth'] as { client_token: string; entity_id: string };
  await publisher.follow('vault-prod.oidc.pub', `${source.url}/v1/identity/oidc`);
  return { source, token: auth.client_token, entity: auth.entity_id };
}
