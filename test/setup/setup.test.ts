// setup as an operator uses it: it prints commands, applies them idempotently, and prevents harmful changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command as once } from '../../src/commands/once.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { invoke } from '../support/invoke.ts';
import { setUp } from './set-up.ts';

test("prints the commands for Vault's CLI in the order in which they must run", async (t) => {
  const { run, issuer, vault } = await setUp(t);
  const { code, out, err } = await run();
  assert.equal(code, 0, err);
  assert.equal(
    out,
    `export VAULT_ADDR=${vault.url}

# enable the JWT auth method, with one mount per issuer
vault auth enable jwt

# trust the issuer and its keys
vault write auth/jwt/config \\
    oidc_discovery_url=${issuer.url} \\
    bound_issuer=${issuer.url}

# write a policy for the tokens of exchange app
printf '%s\\n' 'path "secret/app" { capabilities = ["read"] }' |
  vault policy write app-read -

# write the role: which JWTs may log in, and what their tokens may do
vault write auth/jwt/role/app \\
    role_type=jwt \\
    user_claim=sub \\
    bound_audiences=vault \\
    bound_subject=app \\
    policies=app-read \\
    ttl=1h`,
  );
});

test('prints commands for other mounts, namespaces and claims, quoted for a shell', async (t) => {
  const { run } = await setUp(t, {
    login: { mount: 'ci/gitlab', role: 'app', namespace: 'team a' },
    expect: { issuer: "https://it's.example", audience: 'a b' },
    setup: { role: { bound_claims: { ref: ['main', 'v*'] }, bound_claims_type: 'glob', token_ttl: '90m' } },
  });
  const { out } = await run();
  assert.match(out, /^vault auth enable -namespace='team a' -path=ci\/gitlab jwt$/m);
  assert.match(out, /oidc_discovery_url='https:\/\/it'\\''s.example'/);
  const [, json = ''] =
    /'(\{[\s\S]*\})' \|\n {2}vault write -namespace='team a' auth\/ci\/gitlab\/role\/app -$/.exec(out) ?? [];
  const { bound_claims, token_ttl } = JSON.parse(json) as Record<string, unknown>;
  assert.deepEqual([bound_claims, token_ttl], [{ ref: ['main', 'v*'] }, 5400]);
});

test('prints HCL with valid and unique Terraform names, and with any text in a policy', async (t) => {
  const { run } = await setUp(t, {
    login: { mount: '9x/y', role: 'a.b' },
    setup: {
      role: { bound_claims: { ref: 'a\\b' }, token_policies: ['1app', 'app_9x_y_a_b'] },
      policies: { '1app': 'path "a" {\n}\n# EOT\n', 'x-y': 'x', 'x.y': 'y' },
    },
  });
  const { out } = await run({ hcl: true });
  const names = [...out.matchAll(/^resource "(\w+)" "(.*)" \{$/gm)].map(([, , name]) => name);
  assert.deepEqual(names, ['_9x_y', '_1app', 'x_y', 'x_y_', '_9x_y_a_b']);
  assert.match(out, /<<-EOTT\npath "a" \{\n\}\n# EOT\n {2}EOTT$/m);
  assert.ok(out.includes('"a\\\\b"'));
});

test('prints HCL and JSON', async (t) => {
  const { run, issuer } = await setUp(t);
  const hcl = (await run({ hcl: true })).out;
  assert.match(hcl, /^resource "vault_jwt_auth_backend" "jwt" \{\n {2}path {15}= "jwt"\n {2}type {15}= "jwt"$/m);
  assert.match(hcl, /^resource "vault_policy" "app_read" \{$/m);
  assert.match(hcl, /^ {2}bound_audiences = \["vault"\]$/m);
  const { steps } = JSON.parse((await run({ json: true })).out) as { steps: { path: string; body: object }[] };
  assert.deepEqual(
    steps.map(({ path }) => path),
    ['sys/auth/jwt', 'auth/jwt/config', 'sys/policies/acl/app-read', 'auth/jwt/role/app'],
  );
  assert.deepEqual(steps[1]?.body, { oidc_discovery_url: issuer.url, bound_issuer: issuer.url });
});

test('--apply sets up Vault so that the sidecar logs in, and is idempotent', async (t) => {
  const { run, config, vault } = await setUp(t);
  const first = await run({ apply: true, yes: true });
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /create {2}auth\/jwt\/role\/app\n[\s\S]*bound_subject {4}app\n/);
  assert.match(first.out, /4 of 4 changed$/);
  assert.equal((await invoke(once, { config })).code, 0);
  const before = vault.requests.length;
  const second = await run({ apply: true });
  assert.equal(second.code, 0, second.err);
  assert.match(second.out, /nothing to change$/);
  assert.deepEqual([...new Set(vault.requests.slice(before).map(({ method }) => method))], ['GET']);
});

test('--apply asks first, accepts only "yes", and fails without a terminal', async (t) => {
  const { run, vault, operator } = await setUp(t);
  const [nobody, no, yes] = [undefined, 'n', 'yes'].map((answer) => ({
    env: operator,
    ...(answer === undefined ? {} : { answer }),
  }));
  const unasked = await run({ apply: true }, nobody);
  assert.deepEqual([unasked.code, unasked.err], [2, 'there is no terminal to ask for confirmation: use --yes']);
  assert.equal((await run({ apply: true }, no)).err, 'cancelled: nothing was changed');
  assert.ok(vault.requests.every(({ method }) => method === 'GET'));
  assert.equal((await run({ apply: true }, yes)).code, 0);
});

test("--apply shows and fixes differences, and keeps fields that it doesn't manage", async (t) => {
  const { run, write, admin, issuer } = await setUp(t);
  await run({ apply: true, yes: true });
  await admin.write('auth/jwt/config', {
    oidc_discovery_url: issuer.url,
    bound_issuer: '',
    default_role: 'people',
    jwt_supported_algs: ['ES256'],
  });
  await admin.write('auth/jwt/role/app', { role_type: 'jwt', token_max_ttl: '4h', bound_subject: 'other' });
  await write({ setup: { role: { token_policies: ['app-read'] } } });
  const { out, err, code } = await run({ apply: true, yes: true });
  assert.equal(code, 0, err);
  assert.match(out, /change {2}auth\/jwt\/role\/app\n {11}bound_subject {2}other -> app$/m);
  assert.match(err, /default_role people accepts logins without a role/);
  const config = (await admin.call('GET', 'auth/jwt/config')).body['data'] as Record<string, unknown>;
  assert.deepEqual(
    [config['bound_issuer'], config['default_role'], config['jwt_supported_algs']],
    [issuer.url, 'people', ['ES256']],
  );
  const role = (await admin.call('GET', 'auth/jwt/role/app')).body['data'] as Record<string, unknown>;
  assert.deepEqual([role['bound_subject'], role['token_max_ttl']], ['app', 14_400]);
});

test("--apply changes a mount's issuer only with --replace, and never a mount of another type or with OIDC logins", async (t) => {
  const { run, write, admin } = await setUp(t);
  await run({ apply: true, yes: true });
  const other = await openIssuer();
  t.after(() => other.close());
  await write({ expect: { issuer: other.issuer, audience: 'vault', subject: 'app' } });
  const refused = await run({ apply: true, yes: true });
  assert.equal(refused.code, 2);
  assert.match(
    refused.err,
    /auth\/jwt\/config has oidc_discovery_url .*: give exchange app another mount, or change it with --replace/,
  );
  assert.equal((await run({ apply: true, yes: true, replace: true })).code, 0);
  await admin.write('auth/jwt/config', { jwt_validation_pubkeys: ['-----BEGIN\nkey\n'], bound_issuer: other.issuer });
  const byKeys = await run({ apply: true, yes: true });
  // one line, for the terminal: the remedy stands in it
  assert.match(byKeys.err, /^auth\/jwt\/config has jwt_validation_pubkeys -----BEGIN: give exchange .*--replace$/m);
  assert.match(byKeys.out, /jwt_validation_pubkeys {2}-----BEGIN \.\.\. -> unset$/m);
  await admin.write('auth/jwt/config', { oidc_client_id: 'people' });
  assert.match((await run({ apply: true, yes: true, replace: true })).err, /also serves OIDC logins of users/);
  await admin.write('sys/auth/other', { type: 'userpass' });
  await write({ login: { mount: 'other', role: 'app' } });
  assert.match((await run({ apply: true, yes: true, replace: true })).err, /auth\/other is of type userpass/);
});

/** [the exchange's keys, the warning] */
const WARNINGS: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ expect: { audience: 'vault' } }, /every subject of the issuer may log in/],
  [{ expect: { subject: 'app' } }, /Vault rejects every JWT with an audience/],
  [{ expect: { audience: 'vault', subject: 'system:*' } }, /bound_subject must match exactly/],
  [
    { setup: { role: { bound_claims: { ref: '*' }, bound_claims_type: 'glob', token_policies: ['p'] } }, expect: {} },
    /the glob for ref matches nearly everything/,
  ],
  [
    { setup: { role: { bound_claims: { aud: 'vault' }, token_policies: ['p'] } }, expect: {} },
    /every subject of the issuer may log in[\s\S]*without bound_audiences, Vault rejects every JWT with an audience, even if bound_claims has "aud"/,
  ],
  ...[
    ['sub', 'system:serviceaccount:*'],
    ['sub', 'project_path:*'],
    ['sub', 'system:serv*'],
    ['project_path', '*'],
    ['ref', 'v*'],
    ['ref', 'dev*'],
  ].map(([claim, glob]) => {
    const bound_claims = { aud: 'vault', [claim ?? '']: ['exact', glob ?? ''] };
    const role = { bound_claims, bound_claims_type: 'glob', token_policies: ['p'] };
    return [{ setup: { role }, expect: {} }, new RegExp(`the glob for ${claim} matches nearly everything`)] as const;
  }),
  [{ setup: {} }, /the role grants no policies/],
  [{ setup: { role: { token_ttl: '2h' } } }, /token_ttl is longer than the JWT's lifetime \(60 min\)/],
];

test('warns about roles that trust too much or too little', async (t) => {
  const { run, write, issuer } = await setUp(t);
  for (const [members, warning] of WARNINGS) {
    const expect = {
      issuer: issuer.issuer,
      ...((members['expect'] as object) ?? { audience: 'vault', subject: 'app' }),
    };
    await write({ ...members, expect });
    assert.match((await run()).err, warning);
  }
});

test('prints no warning for roles that are bound to the workload', async (t) => {
  const { run, write, issuer } = await setUp(t);
  assert.equal((await run()).err, '');
  const expect = { issuer: issuer.issuer, audience: 'vault' };
  for (const bound_claims of [
    { sub: 'system:serviceaccount:default:*' },
    { project_path: 'mygroup/*' },
    { ref: 'main*' },
    // all bound claims must match, so an exact one is enough
    { ref: '*', project_path: 'mygroup/myproject' },
  ]) {
    await write({ expect, setup: { role: { bound_claims, bound_claims_type: 'glob', token_policies: ['p'] } } });
    assert.equal((await run()).err, '', JSON.stringify(bound_claims));
  }
});

test('reports all reasons why there can be no plan, with the keys to set', async (t) => {
  const { run, write, vault, issuer } = await setUp(t, { expect: {} });
  const { code, err } = await run();
  assert.equal(code, 2);
  assert.match(err, /the setup has no issuer to trust: set expect.issuer/);
  assert.match(err, /the role binds no claim/);
  await write({ setup: { trust: { oidc_discovery_url: issuer.url, jwks_url: issuer.url } } });
  assert.match((await run()).err, /setup\.trust: must have at most one of oidc_discovery_url, jwks_url/);
  assert.match((await run({ exchange: 'nobody' })).err, /must have at most one of/);
  await write();
  assert.equal((await run({ exchange: 'nobody' })).err, '--exchange must be one of app');
  assert.equal(
    (await run({ apply: true }, {})).err,
    `VAULT_ADDR isn't set, and the token is sent only to that Vault: set VAULT_ADDR=${vault.url}, and log in with "vault login" or set VAULT_TOKEN`,
  );
  assert.equal(
    (await run({ apply: true }, { env: { VAULT_ADDR: vault.url } })).err,
    'no Vault token: log in with "vault login", or set VAULT_TOKEN',
  );
  const denied = await run(
    { apply: true, yes: true },
    { env: { VAULT_ADDR: vault.url, VAULT_TOKEN: 'hvs.not-a-token-here' } },
  );
  assert.equal(denied.code, 4);
  assert.match(denied.err, /: sys\/auth: status 403, permission denied/);
  assert.ok(!denied.err.includes('hvs.not-a-token-here'));
  assert.ok(vault.requests.every(({ method }) => method === 'GET'));
});

test("sends the operator's token only to the Vault of VAULT_ADDR, and writes nothing without VAULT_ADDR (K19)", async (t) => {
  const { run, vault } = await setUp(t);
  const token = { VAULT_TOKEN: ROOT_TOKEN };
  for (const [env, words] of [
    [token, `VAULT_ADDR isn't set, and the token is sent only to that Vault: set VAULT_ADDR=${vault.url}`],
    [
      { ...token, VAULT_ADDR: 'https://me:secret@other:8200/x' },
      `the Vault token is for VAULT_ADDR (https://other:8200), but the exchange logs in to ${vault.url}`,
    ],
    [{ ...token, VAULT_ADDR: 'other' }, `the Vault token is for VAULT_ADDR (not a URL), but the exchange`],
    // a token of one family goes with the address of that family
    [
      { BAO_TOKEN: ROOT_TOKEN, BAO_ADDR: 'https://bao:8200', VAULT_ADDR: vault.url },
      'the Vault token is for BAO_ADDR (https://bao:8200)',
    ],
  ] as const) {
    const { code, err } = await run({ apply: true, yes: true }, { env });
    assert.equal(code, 2);
    assert.ok(err.startsWith(words), err);
  }
  assert.deepEqual(vault.requests, []);
  const bao = await run({ apply: true, yes: true }, { env: { BAO_TOKEN: ROOT_TOKEN, VAULT_ADDR: `${vault.url}/` } });
  assert.equal(bao.code, 0, bao.err);
});

test('keeps fields of a trust config and a role that are not in the plan, known or unknown (K21)', async (t) => {
  const { run, write, admin, issuer } = await setUp(t);
  await run({ apply: true, yes: true });
  const beside = {
    provider_config: { provider: 'azure' },
    unsupported_critical_cert_extensions: ['2.5.29.30'],
    namespace_in_state: false,
    oidc_response_types: ['code'],
  };
  await admin.write('auth/jwt/config', { oidc_discovery_url: issuer.url, bound_issuer: '', ...beside });
  const globs = { bound_claims: { ref: 'release/*' }, bound_claims_type: 'glob' };
  await admin.write('auth/jwt/role/app', {
    role_type: 'jwt',
    bound_subject: 'other',
    ...globs,
    claim_mappings: { a: 'b' },
  });
  await write({ setup: { role: { token_policies: ['app-read'] } } });
  const { code, err } = await run({ apply: true, yes: true });
  assert.equal(code, 0, err);
  const read = async (path: string) => (await admin.call('GET', path)).body['data'] as Record<string, unknown>;
  const config = await read('auth/jwt/config');
  assert.equal(config['bound_issuer'], issuer.url);
  for (const [member, value] of Object.entries(beside)) assert.deepEqual(config[member], value, member);
  const role = await read('auth/jwt/role/app');
  assert.equal(role['bound_subject'], 'app');
  assert.deepEqual(
    [role['bound_claims'], role['bound_claims_type'], role['claim_mappings']],
    [...Object.values(globs), { a: 'b' }],
  );
});

test("shows fields that may get lost before it asks, and reports fields that Vault didn't keep (K21)", async (t) => {
  const { run, write, admin, vault, issuer } = await setUp(t);
  await run({ apply: true, yes: true });
  await write({ setup: { trust: { bound_issuer: 'https://other' }, role: { token_policies: ['app-read'] } } });
  const mount = vault.mount('jwt');
  mount.config = { ...mount.config, bound_issuer: '', quantum_proof: 'yes' } as typeof mount.config;
  const unasked = await run({ apply: true });
  assert.match(unasked.out, /quantum_proof {2}written back unchanged: Vault may not accept it/);
  const done = await run({ apply: true, yes: true });
  assert.match(done.err, /auth\/jwt\/config: Vault didn't keep quantum_proof, which was yes/);
  await admin.write('auth/jwt/config', { oidc_discovery_url: issuer.url, provider_config: { provider: 'gsuite' } });
  const refused = await run({ apply: true, yes: true, replace: true });
  assert.deepEqual([refused.code, /would lose its key, which Vault never returns/.test(refused.err)], [2, true]);
});

test('replaces control characters from Vault in the diff (K18)', async (t) => {
  const { run, write, admin } = await setUp(t);
  await run({ apply: true, yes: true });
  await admin.write('auth/jwt/role/app', { role_type: 'jwt', bound_subject: 'a\u001b[31m\u202eb\u0085' });
  await write({ setup: { role: { token_policies: ['app-read'] } } });
  const { out } = await run({ apply: true, yes: true });
  assert.match(out, /bound_subject {2}a\ufffd\[31m\ufffdb\ufffd -> app$/m);
});
