// The settings of a valid config: each key and each environment variable.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromEnvironment } from '../../src/config/parse.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { APP, BASE, parse, problemsOf, withApp, withSink, withVault } from '../support/configs.ts';

const exchangeOf = (config: unknown, env?: Record<string, string>) => parse(config, env).settings.exchanges[0];
const setupOf = (members: Record<string, unknown>) => parse(withApp(members)).settings.setup['app'];

test('the keys of a Vault become its settings', () => {
  const tls = { ca_file: '/ca', server_name: 'vault.example', client_cert_file: '/cert', client_key_file: '/key' };
  const vault = { namespace: 'team', tls, timeout: '10m', redirect_hosts: ['standby'], use_proxy_env: true };
  assert.deepEqual(exchangeOf(withVault(vault))?.vault, {
    address: 'https://vault:8200',
    namespace: 'team',
    tls: { caFile: '/ca', serverName: 'vault.example', clientCertFile: '/cert', clientKeyFile: '/key' },
    timeoutMs: 600_000,
    redirectHosts: ['standby'],
    useProxyEnv: true,
  });
  assert.deepEqual(problemsOf(withVault({ timeout: '600001ms' })), ['config.json: vault.timeout: must be at most 10m']);
  assert.equal(exchangeOf(withVault({ namespace: 'root' }))?.vault.namespace, undefined);
  assert.deepEqual(problemsOf(withVault({ tls: { client_key_file: '/key' } })), [
    'config.json: vault.tls: must have both client_cert_file and client_key_file, or neither',
  ]);
});

test("an exchange's keys override those of the shared Vault one by one", () => {
  const vault = { address: 'https://vault', namespace: 'team', tls: { ca_file: '/ca' }, timeout: '2s' };
  const own = { timeout: '3s', tls: { server_name: 'vault.example' } };
  const exchange = exchangeOf({ vault, exchanges: { app: { ...APP, vault: own } } });
  assert.deepEqual(exchange?.vault.tls, { caFile: '/ca', serverName: 'vault.example' });
  assert.deepEqual([exchange?.vault.timeoutMs, exchange?.login.namespace], [3000, 'team']);
});

test('the keys of an exchange become its settings', () => {
  const source = { file: { path: '/jwt/token', poll_interval: '1s' } };
  const login = { role: 'app', mount: '/ci/gitlab/', namespace: 'own' };
  const exchange = exchangeOf(withApp({ source, login, on_new_jwt: 'when-needed', on_stop: 'revoke' }));
  assert.deepEqual(exchange?.source, { kind: 'file', path: '/jwt/token', pollIntervalMs: 1000 });
  assert.deepEqual(exchange?.login, { mount: 'ci/gitlab', role: 'app', namespace: 'own' });
  assert.deepEqual([exchange?.onNewJwt, exchange?.onStop], ['when-needed', 'revoke']);
  assert.equal(
    exchangeOf({ ...withApp({ login }), vault: { ...BASE.vault, namespace: 'team' } })?.login.namespace,
    'own',
  );
  assert.deepEqual(exchangeOf(withApp({ source: { env: { name: 'CI_JWT' } } }))?.source, {
    kind: 'env',
    name: 'CI_JWT',
  });
  for (const poll_interval of ['999ms', '3600001ms'])
    assert.deepEqual(problemsOf(withApp({ source: { file: { path: '/jwt/token', poll_interval } } })), [
      'config.json: exchanges.app.source.file.poll_interval: must be between 1s and 1h',
    ]);
  for (const mount of ['/', '//', 'auth/jwt'])
    assert.equal(problemsOf(withApp({ login: { role: 'app', mount } })).length, 1, mount);
  for (const [role, count] of [
    ['a', 0],
    ['team-a.app_1', 0],
    ['app-', 1],
    ['.app', 1],
  ] as const)
    assert.equal(problemsOf(withApp({ login: { role } })).length, count, role);
});

test('the keys of a sink become its settings; the default mode is 0640 with a gid, else 0600', () => {
  const plain = { kind: 'file', path: '/vault/token', mode: 0o600, format: 'raw' };
  const sinkOf = (members: Record<string, unknown>) => exchangeOf(withSink(members))?.sinks[0];
  assert.deepEqual(sinkOf({ uid: 0, gid: 7 }), { ...plain, mode: 0o640, uid: 0, gid: 7 });
  assert.deepEqual(sinkOf({ gid: 7, mode: '600', format: 'env' }), { ...plain, gid: 7, format: 'env' });
  for (const members of [{ uid: -1 }, { gid: -1 }, { uid: 1.5 }, { mode: '04600' }, { mode: '1600' }, { path: '/' }])
    assert.equal(problemsOf(withSink(members)).length, 1, JSON.stringify(members));
});

test('recognises one file by different spellings of its path (B6)', () => {
  const sinks = ['/vault/token', '/vault//x/../token'].map((path) => ({ file: { path } }));
  assert.deepEqual(problemsOf(withApp({ sinks })), [
    'config.json: exchanges.app.sinks[1].file.path: is also the path of exchanges.app.sinks[0]',
  ]);
  const source = { file: { path: '/vault/./token' } };
  assert.deepEqual(problemsOf(withApp({ source })), [
    'config.json: exchanges.app.sinks[0].file.path: is the JWT file of exchange app',
  ]);
  // across exchanges too
  assert.deepEqual(problemsOf({ ...BASE, exchanges: { app: APP, other: APP } }), [
    'config.json: exchanges.other.sinks[0].file.path: is also the path of exchanges.app.sinks[0]',
  ]);
});

test('an identity source uses its own Vault address, or the Vault of its exchange', () => {
  const tls = { ca_file: '/ca', client_cert_file: '/cert', client_key_file: '/key' };
  const identity = { role: 'r', token_file: '/t', address: 'https://issuer/', namespace: 'ns', tls };
  const blank = { timeoutMs: 15_000, redirectHosts: [], useProxyEnv: false };
  assert.deepEqual(exchangeOf(withApp({ source: { vault_identity: identity } }))?.source, {
    kind: 'vault-identity',
    role: 'r',
    token: { file: '/t' },
    vault: {
      ...blank,
      address: 'https://issuer',
      namespace: 'ns',
      tls: { caFile: '/ca', clientCertFile: '/cert', clientKeyFile: '/key' },
    },
  });
  const other = { ...APP, login: { role: 'app', namespace: 'login' }, sinks: [], vault: { address: 'https://own' } };
  const chained = (exchange: string, more = {}) => ({
    ...BASE,
    exchanges: { app: { ...APP, source: { vault_identity: { role: 'r', exchange } } }, other, ...more },
  });
  const source = exchangeOf(chained('other'))?.source;
  assert.deepEqual(source, {
    kind: 'vault-identity',
    role: 'r',
    token: { exchange: 'other' },
    vault: { ...blank, address: 'https://own', namespace: 'login', tls: {} },
  });
  const third = { ...APP, sinks: [], source: { vault_identity: { role: 'r', exchange: 'other' } } };
  for (const name of ['app', 'third', 'none'])
    assert.deepEqual(problemsOf(chained(name, { third })), [
      'config.json: exchanges.app.source.vault_identity.exchange: must name another exchange whose source is not vault_identity',
    ]);
});

test("setup derives its plan from the exchange's expectations, which setup keys override", () => {
  const expect = { issuer: 'https://issuer/', audience: 'vault', subject: 'me' };
  assert.deepEqual(setupOf({ expect }), {
    stated: false,
    trust: { discoveryUrl: 'https://issuer/', boundIssuer: 'https://issuer/' },
    role: { userClaim: 'sub', boundAudiences: ['vault'], boundSubject: 'me', policies: [], ttlMs: 3_600_000 },
    policies: {},
  });
  const trust = { jwks_url: 'https://keys', bound_issuer: 'bound', oidc_discovery_ca_pem: 'PEM' };
  const role = {
    user_claim: 'name',
    bound_audiences: ['a', 'b'],
    bound_subject: 'you',
    bound_claims: { ref: 'main' },
    bound_claims_type: 'glob',
    token_policies: ['p'],
    token_ttl: '1h',
    token_max_ttl: '60m',
  };
  assert.deepEqual(setupOf({ expect, setup: { trust, role, policies: { p: 'hcl' } } }), {
    stated: true,
    trust: { jwksUrl: 'https://keys', boundIssuer: 'bound', caPem: 'PEM' },
    role: {
      userClaim: 'name',
      boundAudiences: ['a', 'b'],
      boundSubject: 'you',
      boundClaims: { ref: 'main' },
      boundClaimsType: 'glob',
      policies: ['p'],
      ttlMs: 3_600_000,
      maxTtlMs: 3_600_000,
    },
    policies: { p: 'hcl' },
  });
  assert.deepEqual(setupOf({ setup: { role: { token_ttl: '90m', bound_claims: {} } } })?.role, {
    userClaim: 'sub',
    policies: [],
    ttlMs: 5_400_000,
  });
  const discovery = { oidc_discovery_url: 'https://discovery' };
  assert.deepEqual(setupOf({ expect, setup: { trust: discovery } })?.trust, {
    discoveryUrl: 'https://discovery',
    boundIssuer: 'https://issuer/',
  });
  assert.equal(setupOf({ setup: { trust: discovery } })?.trust.boundIssuer, 'https://discovery');
});

test("refuses a trust config that setup can't apply", () => {
  const at = 'config.json: exchanges.app.setup.trust';
  const problems = (trust: Record<string, string>) => problemsOf(withApp({ setup: { trust } }));
  assert.deepEqual(problems({ jwks_url: 'https://a', oidc_discovery_url: 'https://b' }), [
    `${at}: must have at most one of oidc_discovery_url, jwks_url`,
  ]);
  for (const url of ['keys', 'ftp://keys'])
    assert.deepEqual(problems({ jwks_url: url }), [`${at}.jwks_url: must be a URL such as https://k8s-prod.oidc.pub`]);
  assert.deepEqual(problems({ jwks_url: 'http://keys' }), []);
  assert.deepEqual(problems({ oidc_discovery_url: 'https://me@issuer' }), [
    `${at}.oidc_discovery_url: must not contain credentials`,
  ]);
});

test('refuses "/" as a path, and a wrong type in place of an object (B2)', () => {
  const at = 'config.json: exchanges.app';
  assert.deepEqual(problemsOf(withApp({ source: { file: { path: '/' } } })), [
    `${at}.source.file.path: must be an absolute path`,
  ]);
  assert.deepEqual(problemsOf(withApp({ login: 7 })), [`${at}.login: must be an object`]);
});

test("the keys of a token's life", () => {
  const json = [{ file: { path: '/vault/token', format: 'json' } }];
  const life = (members: Record<string, unknown>) => {
    const { onStart, onReplace, revokeDelayMs, checkIntervalMs } =
      exchangeOf(withApp({ sinks: json, ...members })) ?? {};
    return [onStart, onReplace, revokeDelayMs, checkIntervalMs];
  };
  assert.deepEqual(life({}), ['login', 'keep', 30_000, 0]);
  const all = { on_start: 'reuse', on_replace: 'revoke', revoke_delay: '5s', check_interval: '10s' };
  assert.deepEqual(life(all), ['reuse', 'revoke', 5000, 10_000]);
  const needsJson =
    'reuse needs a sink with "format": "json", without uid, and with a mode that only its owner may write';
  for (const off of [0, '0', '0s', '0ms']) assert.equal(life({ check_interval: off })[3], 0);
  const at = 'config.json: exchanges.app';
  assert.equal(problemsOf(withApp({ check_interval: 'soon' })).length, 1);
  assert.deepEqual(problemsOf(withApp({ check_interval: '9s' })), [`${at}.check_interval: must be 0, or at least 10s`]);
  assert.deepEqual(problemsOf(withApp({ on_start: 'reuse' })), [`${at}.on_start: ${needsJson}`]);
  for (const file of [
    { path: '/vault/token', format: 'json', uid: 1000 },
    { path: '/vault/token', format: 'json', mode: '0660' },
  ])
    assert.deepEqual(problemsOf(withApp({ on_start: 'reuse', sinks: [{ file }] })), [`${at}.on_start: ${needsJson}`]);
  const minted = { on_start: 'reuse', sinks: json, source: { http: { url: 'https://a' } } };
  assert.deepEqual(problemsOf(withApp(minted)), [
    `${at}.on_start: reuse needs "on_new_jwt": "when-needed" with this source, as each start brings a new JWT`,
  ]);
  assert.deepEqual(problemsOf(withApp({ ...minted, on_new_jwt: 'when-needed' })), []);
});

test('an http source', () => {
  const sourceOf = (http: Record<string, unknown>) => exchangeOf(withApp({ source: { http } }))?.source;
  const defaults = {
    kind: 'http',
    query: {},
    method: 'GET',
    headers: {},
    jsonPointer: '',
    tls: {},
    timeoutMs: 10_000,
    useProxyEnv: false,
  };
  const metadata = [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '[fd00:ec2::254]',
    '[fd00:0ec2:0::0:23]',
    '[fd20:ce::254]',
    'Metadata.google.internal',
    'metadata.goog',
  ].map((host) => `http://${host}/a`);
  for (const url of ['https://issuer/jwt?a=b', 'http://127.0.0.1:1/', ...metadata])
    assert.deepEqual(sourceOf({ url }), { ...defaults, url: { text: url } });
  const headers = {
    'X-Text': 'text',
    Authorization: { env: 'TOKEN', prefix: 'Bearer ' },
    'X-Vault-Token': { file: '/token' },
  };
  const all = {
    url_env: 'URL',
    query: { audience: 'vault' },
    method: 'POST',
    headers,
    body: '{}',
    json_pointer: '/a/b',
    tls: { ca_file: '/ca' },
    use_proxy_env: true,
  };
  assert.deepEqual(sourceOf(all), {
    ...defaults,
    url: { env: 'URL' },
    query: { audience: 'vault' },
    method: 'POST',
    headers: {
      'X-Text': { text: 'text' },
      Authorization: { env: 'TOKEN', prefix: 'Bearer ' },
      'X-Vault-Token': { file: '/token', prefix: '' },
    },
    body: '{}',
    jsonPointer: '/a/b',
    tls: { caFile: '/ca' },
    useProxyEnv: true,
  });
});

test("refuses an http source that can't work, or would send credentials in the clear", () => {
  const at = 'config.json: exchanges.app.source.http';
  const https = 'must be https; http is allowed only to loopback and metadata services';
  for (const [http, problem] of [
    [{}, `${at}: must have exactly one of url, url_env`],
    [{ url: 'https://a', url_env: 'A' }, `${at}: must have exactly one of url, url_env`],
    [{ url: 'jwt' }, `${at}.url: must be a URL`],
    [{ url: 'ftp://a' }, `${at}.url: must be a URL`],
    [{ url: 'http://10.0.0.1/' }, `${at}.url: ${https}`],
    [{ url: 'http://169.254.169.254.example/' }, `${at}.url: ${https}`],
    [{ url: 'http://169.254.1.1/' }, `${at}.url: ${https}`],
    [{ url: 'http://[fe80::1]/' }, `${at}.url: ${https}`],
    [{ url: 'https://me:secret@a' }, `${at}.url: must not contain credentials: use a header with env or file`],
    [{ url: 'https://a', body: '{}' }, `${at}.body: needs "method": "POST"`],
    [{ url: 'https://a', headers: { Host: 'b' } }, `${at}.headers.Host: is set by the HTTP client: remove it`],
    [{ url: 'https://a', headers: { 'a b': 'c' } }, `${at}.headers["a b"]: must be named with letters, digits and "-"`],
    [{ url: 'https://a', headers: { a: 7 } }, `${at}.headers.a: must be a string, {"env": NAME} or {"file": PATH}`],
    [{ url: 'https://a', headers: { a: 'clé' } }, `${at}.headers.a: must be ASCII`],
    [{ url: 'https://a', headers: { a: { env: 'A', prefix: 'clé ' } } }, `${at}.headers.a.prefix: must be ASCII`],
    [{ url: 'https://a', headers: { a: 'b', A: 'c' } }, `${at}.headers.A: differs from "a" only in case`],
    [{ url: 'https://a', json_pointer: 'a' }, `${at}.json_pointer: must be empty, or begin with "/"`],
  ] as const)
    assert.deepEqual(problemsOf(withApp({ source: { http } })), [problem]);
});

test('the listeners and the log', () => {
  const { settings } = parse({
    ...BASE,
    api: { listen: '[::1]:1', caller_token_file: '' },
    ops: { listen: '0.0.0.0:2', node_metrics: true },
    log: { level: 'warn' },
  });
  assert.deepEqual(settings.api, { listen: { host: '::1', port: 1 } });
  assert.deepEqual(settings.ops, { listen: { host: '0.0.0.0', port: 2 }, nodeMetrics: true });
  assert.equal(settings.log.level, 'warn');
});

test('start_jitter is a duration of up to ten minutes, and unlike others it may be zero', () => {
  const startJitter = (start_jitter: unknown) => parse({ ...BASE, start_jitter }).settings.startJitterMs;
  assert.equal(parse(BASE).settings.startJitterMs, 0);
  assert.deepEqual(['0', '0s', '00ms', 0, '10m', 30].map(startJitter), [0, 0, 0, 0, 600_000, 30_000]);
  for (const [value, problem] of [
    ['600001ms', 'must be at most 10m'],
    ['-1s', 'must be a duration such as "90s" or "1h30m", or whole seconds'],
    ['', 'must be a duration such as "90s" or "1h30m", or whole seconds'],
  ])
    assert.deepEqual(problemsOf({ ...BASE, start_jitter: value }), [`config.json: start_jitter: ${problem}`]);
});

const ENVIRONMENT = {
  VAULT_ADDR: 'https://v',
  VTS_JWT_FILE: '/jwt/token',
  VTS_ROLE: 'app',
  VTS_TOKEN_FILE: '/vault/token',
};

test('every environment variable sets its key', () => {
  const { settings } = configFromEnvironment({
    ...ENVIRONMENT,
    VAULT_CACERT: '/ca',
    VAULT_TLS_SERVER_NAME: 'vault.example',
    VAULT_CLIENT_CERT: '/cert',
    VAULT_CLIENT_KEY: '/key',
    VTS_SUBJECT: 'me',
    VTS_API_LISTEN: '127.0.0.1:1',
    VTS_OPS_LISTEN: '127.0.0.1:2',
    VTS_PROXY_LISTEN: 'unix:/run/app/vault.sock',
    VTS_START_JITTER: '1m',
    VTS_LOG_LEVEL: 'error',
  });
  assert.deepEqual(settings.exchanges[0]?.vault.tls, {
    caFile: '/ca',
    serverName: 'vault.example',
    clientCertFile: '/cert',
    clientKeyFile: '/key',
  });
  assert.deepEqual(settings.exchanges[0]?.expect, { subject: 'me' });
  const ports = [settings.api.listen, settings.ops.listen].map((listen) => 'port' in listen && listen.port);
  assert.deepEqual([ports, settings.log.level], [[1, 2], 'error']);
  assert.deepEqual(settings.exchanges[0]?.proxy?.listen, { path: '/run/app/vault.sock', mode: 0o600 });
  assert.equal(settings.startJitterMs, 60_000);
});

test('without a config file, an exchange has a sink or a proxy', () => {
  const { VTS_TOKEN_FILE: file, ...rest } = ENVIRONMENT;
  const proxied = { ...rest, VTS_PROXY_LISTEN: '127.0.0.1:8200' };
  const sinks = (env: Record<string, string>) =>
    configFromEnvironment(env).settings.exchanges[0]?.sinks.map(({ path }) => path);
  assert.deepEqual(sinks(proxied), []);
  assert.deepEqual(sinks({ ...proxied, VTS_TOKEN_FILE: file }), [file]);
  for (const env of [rest, { ...proxied, VTS_TOKEN_MODE: '0640' }])
    assert.throws(() => sinks(env), /VTS_TOKEN_FILE: is required/);
});

test('BAO_ADDR overrides VAULT_ADDR, also if empty, and an exchange with its own Vault ignores both', () => {
  const { VAULT_ADDR: _address, ...rest } = ENVIRONMENT;
  const { settings } = configFromEnvironment({ ...rest, BAO_ADDR: 'https://bao' });
  assert.equal(settings.exchanges[0]?.vault.address, 'https://bao');
  assert.deepEqual(problemsOf({ exchanges: { app: APP } }, { VAULT_ADDR: 'https://v', BAO_ADDR: '' }), [
    'config.json: vault.address: is required: set it here, in exchanges.app.vault or as VAULT_ADDR',
  ]);
  const own = { exchanges: { app: { ...APP, vault: { address: 'https://own' } } } };
  const { settings: alone, origins } = parse(own, { VAULT_ADDR: 'https://v', VAULT_NAMESPACE: 'ns' });
  assert.deepEqual(alone.exchanges[0]?.login, { mount: 'jwt', role: 'app' });
  assert.ok(!origins().some(({ origin }) => origin.startsWith('environment')));
  // what the file says counts before a variable
  assert.equal(exchangeOf(withVault({ namespace: 'file' }), { VAULT_NAMESPACE: 'ns' })?.vault.namespace, 'file');
});

test('reports each missing variable', () => {
  assert.throws(
    () => configFromEnvironment({ VTS_ROLE: 'app', VTS_TOKEN_FILE: '' }),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        error.lines.map((line) => line.split(':')[0]),
        ['VAULT_ADDR', 'VTS_JWT_FILE', 'VTS_TOKEN_FILE'],
      );
      return true;
    },
  );
});

test('lists every effective value once, in order, with its origin', () => {
  const shared = {
    $schema: 'x',
    ...BASE,
    exchanges: { app: APP, other: { ...APP, login: { role: 'app', mount: 'k8s' }, sinks: [] } },
    vault: { ...BASE.vault, redirect_hosts: ['a', 'b'] },
  };
  const origins = parse(shared).origins();
  const paths = origins.map(({ key }) => key);
  assert.deepEqual(paths, [...new Set(paths)].sort());
  const shown = (key: string) => origins.find((one) => one.key === key);
  assert.equal(shown('/$schema'), undefined);
  assert.deepEqual(shown('vault.timeout'), { key: 'vault.timeout', value: '15s', origin: 'default' });
  assert.deepEqual(shown('vault.redirect_hosts'), { key: 'vault.redirect_hosts', value: 'a,b', origin: 'file' });
  assert.deepEqual(shown('exchanges.app.login.role')?.origin, 'file');
  assert.equal(shown('exchanges.app.login.mount')?.origin, 'default');
  assert.equal(shown('exchanges.other.login.mount')?.origin, 'file');
});

test('enforces the limits of names, durations and syntax (B1, B4)', () => {
  const named = (name: string) => problemsOf({ ...BASE, exchanges: { [name]: APP } }).length;
  assert.deepEqual(['a'.repeat(63), 'a'.repeat(64), '1-_a', '-a'].map(named), [0, 1, 0, 1]);
  const setup = (token_ttl: string) => problemsOf(withApp({ setup: { role: { token_ttl } } })).length;
  assert.deepEqual(['87600h', '315360000001ms'].map(setup), [0, 1]);
  assert.equal(parse(withVault({ timeout: '2m' })).settings.exchanges[0]?.vault.timeoutMs, 120_000);
  const text = JSON.stringify(BASE);
  assert.equal(problemsOf(`${text.slice(0, -1)},}`).length > 0, true, 'a trailing comma');
  assert.equal(problemsOf(`// comment\n${text}`).length > 0, true, 'a comment');
  assert.equal(problemsOf(`{${',"a":1'.repeat(100)}`).length <= 20, true, 'few lines');
});

test("a Vault's member is placed where it stands, and its default where the exchange's Vault is", () => {
  const at = 'config.json: ';
  assert.deepEqual(problemsOf(withApp({ vault: { timeout: '11m' } })), [
    `${at}exchanges.app.vault.timeout: must be at most 10m`,
  ]);
  assert.deepEqual(problemsOf(withVault({ timeout: '11m' })), [`${at}vault.timeout: must be at most 10m`]);
  const defaultsOf = (config: object) =>
    parse(config)
      .origins()
      .filter(({ key, origin }) => key.endsWith('vault.timeout') && origin === 'default')
      .map(({ key }) => key);
  assert.deepEqual(defaultsOf(BASE), ['vault.timeout']);
  assert.deepEqual(defaultsOf(withApp({ vault: { address: 'https://other' } })), ['exchanges.app.vault.timeout']);
});

test('a poll interval is between one second and one hour, both included', () => {
  const problems = (poll_interval: string) =>
    problemsOf(withApp({ source: { file: { path: '/jwt/token', poll_interval } } }));
  const at = 'config.json: exchanges.app.source.file.poll_interval';
  assert.deepEqual([problems('1s'), problems('1h')], [[], []]);
  for (const odd of ['999ms', '3601s']) assert.deepEqual(problems(odd), [`${at}: must be between 1s and 1h`]);
});
