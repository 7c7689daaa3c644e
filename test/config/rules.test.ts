// Rules of the config for many values: what is refused, and which keys allow it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configJsonSchema } from '../../src/config/schema.ts';
import { BASE, memberNames, parse, problemsOf, withApp, withSink, withVault } from '../support/configs.ts';

test('accepts unsafe values if the config explicitly allows them (B3, B7, B8)', () => {
  const settings = (config: unknown) => parse(config).settings;
  const plain = settings(withVault({ address: 'http://vault:8200', allow_insecure_http: true }));
  assert.equal(plain.exchanges[0]?.vault.address, 'http://vault:8200');
  const open = settings(withSink({ mode: '0644', allow_world_readable: true }));
  assert.equal(open.exchanges[0]?.sinks[0]?.mode, 0o644);
  const api = { listen: '0.0.0.0:8275', allow_non_loopback: true, caller_token_file: '/caller' };
  assert.deepEqual(settings({ ...BASE, api }).api.listen, { host: '0.0.0.0', port: 8275 });
});

test('refuses exactly the modes that give access to others (B7)', () => {
  for (let mode = 0; mode <= 0o777; mode++) {
    const problems = problemsOf(withSink({ mode: `0${mode.toString(8).padStart(3, '0')}` }));
    assert.equal(problems.length, (mode & 0o007) === 0 ? 0 : 1, mode.toString(8));
  }
});

test('the token API listens only on loopback, by any of its names (B8)', () => {
  const problems = (listen: string) => problemsOf({ ...BASE, api: { listen } }).length;
  for (const listen of ['127.0.0.1:1', '127.8.9.10:1', 'localhost:1', '[::1]:1'])
    assert.equal(problems(listen), 0, listen);
  for (const listen of ['0.0.0.0:1', '[::]:1', '[::ffff:0.0.0.0]:1', '10.0.0.1:1', '0:1', 'app.example.com:1'])
    assert.equal(problems(listen), 1, listen);
});

test('has no keys for the backoff (B5)', () => {
  const backoff = { min_backoff: '5m', max_backoff: '1s' };
  assert.deepEqual(problemsOf(withVault(backoff)), [
    'config.json: vault.min_backoff: unknown key',
    'config.json: vault.max_backoff: unknown key',
  ]);
  assert.deepEqual(
    memberNames(configJsonSchema()).filter((name) => /backoff|retry/.test(name)),
    [],
  );
});

test('has no keys for secrets, only for files with secrets, and refuses a secret as an unknown key (B12)', () => {
  const names = memberNames(configJsonSchema());
  assert.ok(names.includes('caller_token_file') && names.includes('client_key_file'));
  // those of setup.role are what Vault calls its own settings of tokens; proxy.token says whose token is sent
  const secret = /(secret|passw|credential|private|jwt|token|key)/;
  assert.deepEqual(
    names.filter((name) => secret.test(name) && !/(_file|^token|^token_\w+|^on_new_jwt)$/.test(name)),
    [],
  );
  for (const key of ['token', 'jwt', 'caller_token', 'client_key'])
    assert.deepEqual(problemsOf(withVault({ [key]: 'hvs.CAESIsecret' })), [`config.json: vault.${key}: unknown key`]);
});

test('refuses a malformed number for every duration (B4)', () => {
  for (const [value, most] of [
    ['NaN', 2],
    ['Infinity', 2],
    ['1e999', 1],
    ['-0', 1],
    ['null', 1],
    ['""', 1],
    ['"-5s"', 1],
    ['"1e3s"', 1],
    ['"1h 30m"', 1],
    ['"1d"', 1],
  ] as const) {
    const problems = problemsOf(JSON.stringify(withVault({ timeout: 'HERE' })).replace('"HERE"', value));
    assert.ok(problems.length > 0 && problems.length <= most, `${value}: ${problems}`);
  }
});

/** [what the value is for, the config with it, its place] */
const PLACES: readonly (readonly [string, (value: string) => unknown, string])[] = [
  ['the address', (value) => withVault({ address: `https://va${value}ult:8200` }), 'vault.address'],
  ['the namespace', (namespace) => withVault({ namespace }), 'vault.namespace'],
  ['a redirect host', (value) => withVault({ redirect_hosts: [value] }), 'vault.redirect_hosts'],
  ['the CA file', (value) => withVault({ tls: { ca_file: `/a${value}` } }), 'vault.tls.ca_file'],
  [
    "a login's namespace",
    (namespace) => withApp({ login: { role: 'app', namespace } }),
    'exchanges.app.login.namespace',
  ],
  ['the mount', (mount) => withApp({ login: { role: 'app', mount } }), 'exchanges.app.login.mount'],
  ['the role', (role) => withApp({ login: { role } }), 'exchanges.app.login.role'],
  ['the JWT', (value) => withApp({ source: { file: { path: `/jwt/${value}` } } }), 'exchanges.app.source.file.path'],
  ['a variable', (name) => withApp({ source: { env: { name } } }), 'exchanges.app.source.env.name'],
  ['a sink', (value) => withSink({ path: `/vault/${value}` }), 'exchanges.app.sinks[0].file.path'],
  ['the subject', (subject) => withApp({ expect: { subject } }), 'exchanges.app.expect.subject'],
  [
    'a claim',
    (ref) => withApp({ setup: { role: { bound_claims: { ref } } } }),
    'exchanges.app.setup.role.bound_claims.ref',
  ],
  ['the caller token', (value) => ({ ...BASE, api: { caller_token_file: `/c${value}` } }), 'api.caller_token_file'],
];

test('refuses an unprintable character in every value, and shows it escaped (K18)', () => {
  for (const [what, config, place] of PLACES) {
    for (const [character, name] of [
      ['\r\nx-vault-token: a', 'U+000D'],
      ['\u0000', 'U+0000'],
      ['\u001b[31m', 'U+001B'],
      ['\u202e', 'U+202E'],
      ['\u2028', 'U+2028'],
      ['\ufeff', 'U+FEFF'],
      ['\ud800', 'U+D800'],
    ] as const)
      assert.deepEqual(
        problemsOf(config(`a${character}b`)),
        [`config.json: ${place}: contains an unprintable character (${name}): remove it`],
        what,
      );
  }
  const { VAULT_NAMESPACE } = { VAULT_NAMESPACE: 'team\n' };
  assert.deepEqual(problemsOf(BASE, { VAULT_NAMESPACE }), [
    'VAULT_NAMESPACE: contains an unprintable character (U+000A): remove it',
  ]);
});

test('policies and PEM may contain newlines, but no other unprintable characters', () => {
  const setup = (text: string) =>
    withApp({ setup: { trust: { oidc_discovery_ca_pem: text }, policies: { app: text } } });
  assert.deepEqual(problemsOf(setup('a\r\n\tb\n')), []);
  assert.equal(problemsOf(setup('a\u202eb')).length, 2);
});
