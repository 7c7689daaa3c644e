// Shared parts of the scenarios: the claims of a pod's JWT, and a Vault that issues identity tokens.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { reservePorts } from '../support/ports.ts';
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
export async function openSourceVault(t: TestContext, publisher: Publisher, directory: string) {
  const { cert, key } = publisher.ca.issue({ name: 'vault-prod.oidc.pub' });
  const [certFile, keyFile] = [join(directory, 'source.pem'), join(directory, 'source.key')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const port = await reservePorts(2);
  publisher.lead('vault-prod.oidc.pub', port);
  // one listener for the published name, one for requests for tokens; each needs the next port for the cluster
  const plain = await reservePorts(2);
  const listener = [
    { tcp: { address: `127.0.0.1:${plain}`, tls_disable: true } },
    { tcp: { address: `127.0.0.1:${port}`, tls_cert_file: certFile, tls_key_file: keyFile } },
  ];
  const source = await openRealVault(t, { port: plain, config: { listener } });
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
  return { source, token: auth.client_token, entity: auth.entity_id };
}
