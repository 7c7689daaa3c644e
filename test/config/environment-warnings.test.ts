// Warnings about environment variables that don't count.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentWarnings } from '../../src/config/environment-warnings.ts';

test('warns of unknown VTS_ variables, and names the nearest one', () => {
  const known = { VTS_ROLE: 'app', VTS_JWT_FILE: '/jwt', VTS_CONFIG: '/config.json', VTS_EMPTY: '' };
  assert.deepEqual(environmentWarnings(known, undefined), []);
  assert.deepEqual(environmentWarnings({ VTS_JWTFILE: 'secret' }, undefined), [
    'VTS_JWTFILE is unknown and ignored; did you mean "VTS_JWT_FILE"?',
  ]);
  assert.deepEqual(environmentWarnings({ VTS_COLOUR: 'red' }, undefined), ['VTS_COLOUR is unknown and ignored']);
});

test('ignores the variables that Kubernetes sets for a service "vts"', () => {
  const env = { VTS_SERVICE_HOST: '10.0.0.1', VTS_PORT: 'tcp://10.0.0.1:1', VTS_API_PORT_8275_TCP_ADDR: '10.0.0.1' };
  assert.deepEqual(environmentWarnings(env, undefined), []);
});

test('warns of variables that a config file overrides', () => {
  const env = { VTS_LOG_LEVEL: 'debug', VTS_ROLE: 'secret', VTS_CONFIG: 'a.json', VAULT_ADDR: 'https://vault:8200' };
  assert.deepEqual(environmentWarnings(env, 'a.json'), [
    'VTS_ROLE, VTS_LOG_LEVEL: ignored, since the config comes from the file a.json',
  ]);
});

test("warns of variables of Vault's CLI that would change TLS or the route, if they are on", () => {
  const line = (name: string) =>
    `${name} is ignored; the sidecar always verifies Vault's certificate: set VAULT_CACERT or vault.tls.ca_file to its CA`;
  for (const value of ['1', 'true', 'T'])
    assert.deepEqual(environmentWarnings({ VAULT_SKIP_VERIFY: value }, undefined), [line('VAULT_SKIP_VERIFY')]);
  for (const value of ['', '0', 'false', 'FALSE'])
    assert.deepEqual(environmentWarnings({ VAULT_SKIP_VERIFY: value }, 'a.json'), []);
  assert.deepEqual(environmentWarnings({ BAO_SKIP_VERIFY: 'true' }, 'a.json'), [line('BAO_SKIP_VERIFY')]);
  assert.match(String(environmentWarnings({ VAULT_CAPATH: '/cas' }, undefined)), /^VAULT_CAPATH is ignored; set VAULT/);
});
