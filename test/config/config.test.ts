// Mistakes in the config: each is reported in one line with the key and the correct form.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDuration } from '../../src/config/duration.ts';
import { configFromEnvironment } from '../../src/config/parse.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { configJsonSchema } from '../../src/config/schema.ts';
import { APP, BASE, memberNames, parse, problemsOf, withApp, withSink, withVault } from '../support/configs.ts';

const DURATION = 'must be a duration such as "90s" or "1h30m", or whole seconds';

/** [what is wrong, the config, the exact line] */
const CASES: readonly (readonly [string, unknown, string])[] = [
  ['bad syntax (B1)', '{\n  "vault": }', 'config.json:2:12: not valid JSON (ValueExpected)'],
  ['an unknown key (B2)', { ...BASE, vautl: {} }, 'config.json: vautl: unknown key; did you mean "vault"?'],
  [
    'more unknown keys than are listed (B2)',
    { ...BASE, ...Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, 1])) },
    'config.json: has too many unknown keys to list',
  ],
  [
    'a nested unknown key (B2)',
    withApp({ login: { role: 'app', rol: 'x' } }),
    'config.json: exchanges.app.login.rol: unknown key; did you mean "role"?',
  ],
  ['a wrong type (B2)', withApp({ login: { role: 7 } }), 'config.json: exchanges.app.login.role: must be a string'],
  ['a duplicate key (B2)', '{"exchanges": {},\n "exchanges": {}}', 'config.json:2:2: duplicate key "exchanges"'],
  ['an empty role', withApp({ login: { role: '' } }), 'config.json: exchanges.app.login.role: must not be empty'],
  ['a missing role', withApp({ login: {} }), 'config.json: exchanges.app.login.role: is required'],
  [
    'a mount with auth/',
    withApp({ login: { role: 'app', mount: 'auth/jwt' } }),
    'config.json: exchanges.app.login.mount: must be the path of the mount without "auth/", such as "jwt"',
  ],
  [
    'a mount with an empty segment',
    withApp({ login: { role: 'app', mount: 'ci//gitlab' } }),
    'config.json: exchanges.app.login.mount: must be the path of the mount without "auth/", such as "jwt"',
  ],
  ...['..', 'a/../b', './a', 'a/.'].map(
    (mount) =>
      [
        `a mount that leads elsewhere: ${mount}`,
        withApp({ login: { role: 'app', mount } }),
        'config.json: exchanges.app.login.mount: must not contain "." or ".." as a path segment',
      ] as const,
  ),
  [
    'a namespace with ".."',
    withVault({ namespace: 'team/../other' }),
    'config.json: vault.namespace: must not contain "." or ".." as a path segment',
  ],
  ...['équipe/a', ' team'].map(
    (namespace) =>
      [
        `a namespace that is invalid in a header: ${namespace}`,
        withApp({ login: { role: 'app', namespace } }),
        'config.json: exchanges.app.login.namespace: must be a namespace path in ASCII without leading or trailing spaces, such as "team-a/dev"',
      ] as const,
  ),
  [
    'a role of the issuing Vault that is ".."',
    withApp({ source: { vault_identity: { address: 'https://v', token_file: '/t/t', role: '..' } } }),
    'config.json: exchanges.app.source.vault_identity.role: must be letters, digits, "_", "-" and ".", and must not begin or end with "-" or "."',
  ],
  [
    'a namespace of the issuing Vault that is invalid in a header',
    withApp({ source: { vault_identity: { address: 'https://v', token_file: '/t/t', role: 'r', namespace: 'é' } } }),
    'config.json: exchanges.app.source.vault_identity.namespace: must be a namespace path in ASCII without leading or trailing spaces, such as "team-a/dev"',
  ],
  ...['https://vault-1:8200', 'a b', 'vault-1/x'].map(
    (host) =>
      [
        `a redirect host that is none: ${host}`,
        withVault({ redirect_hosts: ['vault-0', host] }),
        'config.json: vault.redirect_hosts[1]: must be host or host:port, such as "vault-1:8200"',
      ] as const,
  ),
  [
    'a role with an invalid name',
    withApp({ login: { role: 'team/app' } }),
    'config.json: exchanges.app.login.role: must be letters, digits, "_", "-" and ".", and must not begin or end with "-" or "."',
  ],
  [
    'a maximum below the lease',
    withApp({ setup: { role: { token_ttl: '2h', token_max_ttl: '1h' } } }),
    'config.json: exchanges.app.setup.role.token_max_ttl: must not be less than token_ttl',
  ],
  [
    'a bound claim that is not a string',
    withApp({ setup: { role: { bound_claims: { admin: true } } } }),
    'config.json: exchanges.app.setup.role.bound_claims.admin: must be a string, or a list of strings',
  ],
  [
    "a policy's name in capitals",
    withApp({ setup: { policies: { App: 'x' } } }),
    'config.json: exchanges.app.setup.policies.App: must be named with lower-case letters, digits, "-", "_" and "."',
  ],
  [
    'two spellings of one address',
    { ...BASE, api: { listen: 'localhost:1' }, ops: { listen: '127.0.0.1:1' } },
    'config.json: ops.listen: must differ from api.listen',
  ],
  ['no exchange', { ...BASE, exchanges: {} }, 'config.json: exchanges: must name at least one exchange'],
  [
    'an exchange with a bad name',
    { ...BASE, exchanges: { 'My App': APP } },
    'config.json: exchanges["My App"]: must be named with at most 63 lower-case letters, digits, "-" and "_"',
  ],
  [
    'an exchange whose name a JSON Pointer escapes',
    { ...BASE, exchanges: { 'a/b~c': APP } },
    'config.json: exchanges["a/b~c"]: must be named with at most 63 lower-case letters, digits, "-" and "_"',
  ],
  [
    'no source',
    withApp({ source: {} }),
    'config.json: exchanges.app.source: must have exactly one of "file", "env", "vault_identity", "http"',
  ],
  [
    'two sources',
    withApp({ source: { file: { path: '/a/b' }, env: { name: 'X' } } }),
    'config.json: exchanges.app.source: must have exactly one of "file", "env", "vault_identity", "http"',
  ],
  [
    'an identity source without token_file and exchange',
    withApp({ source: { vault_identity: { role: 'r' } } }),
    'config.json: exchanges.app.source.vault_identity: must have exactly one of token_file, exchange',
  ],
  [
    'an identity source without an address',
    withApp({ source: { vault_identity: { role: 'r', token_file: '/t' } } }),
    'config.json: exchanges.app.source.vault_identity.address: is required with token_file',
  ],
  [
    'an identity source that refers to its own exchange',
    withApp({ source: { vault_identity: { role: 'r', exchange: 'app' } } }),
    'config.json: exchanges.app.source.vault_identity.exchange: must name another exchange whose source is not vault_identity',
  ],
  [
    'a relative path',
    withApp({ source: { file: { path: 'token' } } }),
    'config.json: exchanges.app.source.file.path: must be an absolute path',
  ],
  [
    'a relative path of the caller token',
    { ...BASE, api: { caller_token_file: 'secret' } },
    'config.json: api.caller_token_file: must be an absolute path',
  ],
  [
    'an unknown enum value',
    withApp({ on_stop: 'delete' }),
    'config.json: exchanges.app.on_stop: must be one of "keep", "revoke"',
  ],
  [
    'an IP address as a server name',
    withVault({ tls: { server_name: '10.0.0.1' } }),
    'config.json: vault.tls.server_name: must be a host name, not an address',
  ],
  [
    'http off loopback (B3)',
    withVault({ address: 'http://vault:8200' }),
    'config.json: vault.address: must be https, as http sends the JWT in the clear; allow_insecure_http permits http',
  ],
  ['a duration in words (B4)', withVault({ timeout: '5 minutes' }), `config.json: vault.timeout: ${DURATION}`],
  ['a duration of zero (B4)', withVault({ timeout: '0s' }), 'config.json: vault.timeout: must be longer than zero'],
  ['a negative duration (B4)', withVault({ timeout: -5 }), 'config.json: vault.timeout: must be longer than zero'],
  [
    'a duration above ten years (B4)',
    withVault({ timeout: 1e12 }),
    'config.json: vault.timeout: must be at most 10 years',
  ],
  ['a fraction of a second (B4)', withVault({ timeout: 1.5 }), `config.json: vault.timeout: ${DURATION}`],
  [
    'a poll interval out of bounds (B4)',
    withApp({ source: { file: { path: '/jwt/token', poll_interval: '2h' } } }),
    'config.json: exchanges.app.source.file.poll_interval: must be between 1s and 1h',
  ],
  [
    'a sink that is the source (B6)',
    withSink({ path: '/jwt/../jwt/token' }),
    'config.json: exchanges.app.sinks[0].file.path: is the JWT file of exchange app',
  ],
  [
    'two sinks with one path (B6)',
    withApp({ sinks: [...APP.sinks, ...APP.sinks] }),
    'config.json: exchanges.app.sinks[1].file.path: is also the path of exchanges.app.sinks[0]',
  ],
  [
    'a sink in / (B6)',
    withSink({ path: '/token' }),
    'config.json: exchanges.app.sinks[0].file.path: must be a file in a directory other than /',
  ],
  [
    'a world-readable mode (B7)',
    withSink({ mode: '0644' }),
    'config.json: exchanges.app.sinks[0].file.mode: makes the token world-readable: set the last digit to 0, or set allow_world_readable',
  ],
  [
    'a world-writable mode (B7)',
    withSink({ mode: '0662' }),
    'config.json: exchanges.app.sinks[0].file.mode: makes the token world-readable: set the last digit to 0, or set allow_world_readable',
  ],
  [
    'an invalid mode (B7)',
    withSink({ mode: '640x' }),
    'config.json: exchanges.app.sinks[0].file.mode: must be permission bits in octal, such as "0640"',
  ],
  [
    'the token API on all addresses (B8)',
    { ...BASE, api: { listen: '0.0.0.0:8275' } },
    'config.json: api.listen: serves tokens beyond loopback: set allow_non_loopback and caller_token_file, or listen on 127.0.0.1',
  ],
  [
    'the token API beyond loopback without a caller token (B8)',
    { ...BASE, api: { listen: '[::]:8275', allow_non_loopback: true } },
    'config.json: api.listen: serves tokens beyond loopback: set allow_non_loopback and caller_token_file, or listen on 127.0.0.1',
  ],
  [
    'a listen address without a port',
    { ...BASE, ops: { listen: 'localhost' } },
    'config.json: ops.listen: must be host:port, such as "127.0.0.1:8275" or "[::1]:8275", or unix:/path',
  ],
  [
    'one address for both listeners',
    { ...BASE, ops: { listen: '127.0.0.1:8275' } },
    'config.json: ops.listen: must differ from api.listen',
  ],
  [
    'an address with a path (B14)',
    withVault({ address: 'https://vault:8200/v1' }),
    'config.json: vault.address: must be scheme://host[:port] alone, without a path or query',
  ],
  [
    'an address with credentials (B14)',
    withVault({ address: 'https://me:secret@vault:8200' }),
    'config.json: vault.address: must not contain credentials',
  ],
  [
    'an address with credentials and non-ASCII characters (B14)',
    withVault({ address: 'https://me:secret@vault.exämple.com' }),
    'config.json: vault.address: must not contain credentials',
  ],
  [
    'an address that is not a URL (B14)',
    withVault({ address: 'vault:8200' }),
    'config.json: vault.address: must be a URL such as https://vault.example.com:8200',
  ],
  [
    'a missing address',
    { exchanges: { app: APP } },
    'config.json: vault.address: is required: set it here, in exchanges.app.vault or as VAULT_ADDR',
  ],
  [
    'a client certificate without its key',
    withVault({ tls: { client_cert_file: '/a.pem' } }),
    'config.json: vault.tls: must have both client_cert_file and client_key_file, or neither',
  ],
];

for (const [name, config, line] of CASES) test(name, () => assert.deepEqual(problemsOf(config), [line]));

test('reports all problems at once', () => {
  assert.equal(problemsOf({ ...withApp({ login: {}, on_stop: 'x' }), extra: 1 }).length, 3);
  assert.equal(problemsOf({ ...withVault({ timeout: '0s' }), ops: { listen: 'x' } }).length, 2);
  const unknown = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`key_${index}`, 1]));
  assert.equal(problemsOf({ ...BASE, ...unknown }).length, 50);
});

test('the example is valid, and contains every key of the schema', () => {
  const example = readFileSync('config.example.json', 'utf8');
  const { settings } = parse(example);
  for (const member of memberNames(configJsonSchema())) assert.ok(example.includes(`"${member}":`), member);
  assert.deepEqual(
    settings.exchanges.map(({ name }) => name),
    ['app', 'ci', 'federated', 'chained', 'github', 'spiffe'],
  );
});

test('defaults', () => {
  const { settings } = parse(BASE);
  const [app] = settings.exchanges;
  assert.deepEqual(app?.login, { mount: 'jwt', role: 'app' });
  assert.deepEqual(app?.source, { kind: 'file', path: '/jwt/token', pollIntervalMs: 10_000 });
  assert.deepEqual(app?.sinks, [{ kind: 'file', path: '/vault/token', mode: 0o600, format: 'raw' }]);
  assert.deepEqual(
    [settings.api.listen, settings.ops.listen, app?.vault.timeoutMs],
    [{ host: '127.0.0.1', port: 8275 }, { host: '127.0.0.1', port: 8276 }, 15_000],
  );
  assert.deepEqual([settings.ops.nodeMetrics, app?.vault.useProxyEnv, settings.log.level], [false, false, 'info']);
});

test('every switch is off by default, in the JSON Schema too', () => {
  const defaults = [...JSON.stringify(configJsonSchema()).matchAll(/\{[^{}]*"type":"boolean"[^{}]*\}/g)].map(
    ([flag]) => JSON.parse(flag).default,
  );
  assert.ok(defaults.length >= 5);
  assert.deepEqual(new Set(defaults), new Set([false]));
});

test('normalises addresses, and accepts http for loopback (B14)', () => {
  for (const [given, taken] of [
    ['https://vault:8200/', 'https://vault:8200'],
    ['http://127.0.0.1:8200', 'http://127.0.0.1:8200'],
    ['https://[::1]:8200', 'https://[::1]:8200'],
    ['https://[2001:DB8:0:0::1]', 'https://[2001:db8::1]'],
    ['HTTPS://Vault.Exämple.com:443/', 'https://vault.xn--exmple-cua.com'],
  ]) {
    assert.equal(parse(withVault({ address: given })).settings.exchanges[0]?.vault.address, taken);
  }
});

test('an exchange with its own Vault inherits nothing from the shared one', () => {
  const shared = { address: 'https://vault:8200', namespace: 'team', tls: { ca_file: '/ca.pem' } };
  const { settings } = parse({ vault: shared, exchanges: { app: { ...APP, vault: { address: 'https://other' } } } });
  assert.deepEqual(settings.exchanges[0]?.vault.tls, {});
  assert.equal(settings.exchanges[0]?.login.namespace, undefined);
});

test('the environment sets keys that the file leaves out, and is reported as their origin', () => {
  const { settings, origins } = parse(
    { exchanges: { app: APP } },
    { VAULT_ADDR: 'https://v', BAO_ADDR: 'https://bao', VAULT_NAMESPACE: 'ns' },
  );
  assert.equal(settings.exchanges[0]?.vault.address, 'https://bao');
  assert.equal(settings.exchanges[0]?.login.namespace, 'ns');
  assert.ok(origins().some(({ key, origin }) => key === 'vault.address' && origin === 'environment BAO_ADDR'));
  assert.equal(parse(BASE, { VAULT_ADDR: 'https://v' }).settings.exchanges[0]?.vault.address, 'https://vault:8200');
});

test('without a file, the environment defines one exchange, or each missing variable is reported', () => {
  const env = {
    VAULT_ADDR: 'https://v',
    VTS_JWT_FILE: '/jwt/token',
    VTS_ROLE: 'app',
    VTS_TOKEN_FILE: '/vault/token',
    VTS_MOUNT: 'k8s',
    VTS_ISSUER: 'https://k8s-prod.oidc.pub',
    VTS_AUDIENCE: 'vault',
    VTS_SUBJECT: '',
    VTS_TOKEN_MODE: '0640',
  };
  const { settings, origins } = configFromEnvironment(env);
  const [exchange] = settings.exchanges;
  assert.deepEqual(exchange?.login, { mount: 'k8s', role: 'app' });
  assert.deepEqual(exchange?.expect, { issuer: 'https://k8s-prod.oidc.pub', audience: 'vault' });
  assert.equal(exchange?.sinks[0]?.mode, 0o640);
  assert.deepEqual(
    origins()
      .filter(({ origin }) => origin !== 'default')
      .map(({ key, value, origin }) => `${key} ${value} ${origin}`),
    [
      'exchanges.default.expect.audience vault environment VTS_AUDIENCE',
      'exchanges.default.expect.issuer https://k8s-prod.oidc.pub environment VTS_ISSUER',
      'exchanges.default.login.mount k8s environment VTS_MOUNT',
      'exchanges.default.login.role app environment VTS_ROLE',
      'exchanges.default.sinks[0].file.mode 0640 environment VTS_TOKEN_MODE',
      'exchanges.default.sinks[0].file.path /vault/token environment VTS_TOKEN_FILE',
      'exchanges.default.source.file.path /jwt/token environment VTS_JWT_FILE',
      'vault.address https://v environment VAULT_ADDR',
    ],
  );
  assert.throws(
    () => configFromEnvironment({}),
    (error) => error instanceof ConfigError && error.lines.length === 4,
  );
});

test('reports an invalid variable by its name, also with a config file', () => {
  const env = { VAULT_ADDR: 'vault', VTS_JWT_FILE: 'jwt', VTS_ROLE: 'app', VTS_TOKEN_FILE: '/a/token' };
  const told = (variables: Record<string, string>): readonly string[] => {
    try {
      configFromEnvironment(variables);
    } catch (error) {
      return error instanceof ConfigError ? error.lines : [];
    }
    return [];
  };
  assert.deepEqual(told(env), ['VTS_JWT_FILE: must be an absolute path']);
  const more = { ...env, VTS_JWT_FILE: '/a/token', VTS_API_LISTEN: '0.0.0.0:1', VTS_TOKEN_MODE: '0644' };
  assert.deepEqual(
    told(more).map((line) => line.split(': ', 1)[0]),
    ['VAULT_ADDR', 'VTS_TOKEN_MODE', 'VTS_TOKEN_FILE', 'VTS_API_LISTEN'],
  );
  const [line] = problemsOf({ exchanges: { app: APP } }, { BAO_ADDR: 'vault' });
  assert.match(line ?? '', /^BAO_ADDR: must be a URL/);
});

test('parses durations, and refuses zero, negative and malformed ones (B4)', () => {
  for (const [text, ms] of [
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    [45, 45_000],
  ] as const)
    assert.equal(parseDuration(text), ms);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double(), fc.integer(), fc.stringMatching(/^\d{1,9}(ms|s|m|h)$/)), (value) => {
      const outcome = parseDuration(value);
      assert.ok(typeof outcome === 'object' || (outcome > 0 && outcome <= 315_360_000_000));
    }),
  );
});
