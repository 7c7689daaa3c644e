// The environment of a command that gets a Vault token.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { childEnvironment } from '../../src/commands/child-env.ts';
import { Secret } from '../../src/core/secret.ts';
import { settingsOf } from '../support/sidecar.ts';

const TOKEN = new Secret('hvs.a-token-of-the-command');

const settings = (vault: Record<string, unknown>, login: Record<string, unknown> = {}) => {
  const app = { source: { file: { path: '/jwt/token' } }, login: { role: 'app', ...login } };
  const [exchange] = settingsOf({ vault: { address: 'https://vault:8200', ...vault }, exchanges: { app } }).exchanges;
  assert.ok(exchange);
  return exchange;
};

/** The variables that are set. */
const environment = (...args: Parameters<typeof childEnvironment>) =>
  JSON.parse(JSON.stringify(childEnvironment(...args)));

test("hands down the exchange's namespace and TLS files", () => {
  const tls = {
    ca_file: '/tls/ca.pem',
    server_name: 'vault.example',
    client_cert_file: '/tls/client.pem',
    client_key_file: '/tls/key.pem',
  };
  assert.deepEqual(environment({ PATH: '/bin' }, settings({ namespace: 'team', tls }), TOKEN), {
    PATH: '/bin',
    VAULT_TOKEN: TOKEN.reveal(),
    VAULT_ADDR: 'https://vault:8200',
    VAULT_NAMESPACE: 'team',
    VAULT_CACERT: '/tls/ca.pem',
    VAULT_CLIENT_CERT: '/tls/client.pem',
    VAULT_CLIENT_KEY: '/tls/key.pem',
    VAULT_TLS_SERVER_NAME: 'vault.example',
  });
  const login = environment({}, settings({ namespace: 'team' }, { namespace: 'team/app' }), TOKEN);
  assert.equal(login['VAULT_NAMESPACE'], 'team/app', 'the token is of this namespace');
});

test('unsets what is about another Vault', () => {
  const stale = {
    VAULT_NAMESPACE: 'other',
    VAULT_CACERT: '/other.pem',
    BAO_ADDR: 'https://bao',
    BAO_NAMESPACE: 'other',
  };
  assert.deepEqual(environment(stale, settings({}), TOKEN), {
    VAULT_TOKEN: TOKEN.reveal(),
    VAULT_ADDR: 'https://vault:8200',
  });
});
