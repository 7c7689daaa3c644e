// setup as an operator uses it: printed and pasted, applied once and twice, and kept from doing harm.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command as once } from '../../src/commands/once.ts';
import { command as setup } from '../../src/commands/setup.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { invoke, type Surroundings } from '../support/invoke.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { adminOf } from '../vault/admin.ts';

const OPERATOR = { VAULT_TOKEN: ROOT_TOKEN };

async function setUp(t: TestContext, members: Record<string, unknown> = {}) {
  const directory = await temporaryDirectory(t);
  const [issuer, vault] = await Promise.all([openIssuer(), openDevVault()]);
  t.after(() => Promise.all([issuer.close(), vault.close()]));
  const config = join(directory, 'config.json');
  const write = (over: Record<string, unknown> = {}) =>
    writeFile(
      config,
      JSON.stringify({
        vault: { address: vault.url },
        exchanges: {
          app: {
            source: { file: { path: join(directory, 'jwt') } },
            login: { role: 'app' },
            expect: { issuer: issuer.issuer, audience: 'vault', subject: 'app' },
            sinks: [{ file: { path: join(directory, 'token') } }],
            setup: {
              role: { token_policies: ['app-read'] },
              policies: { 'app-read': 'path "secret/app" { capabilities = ["read"] }' },
            },
            ...over,
          },
        },
      }),
    );
  await write(members);
  await writeFile(join(directory, 'jwt'), await issuer.mint());
  const run = (flags: Record<string, string | boolean> = {}, surroundings: Surroundings = { env: OPERATOR }) =>
    invoke(setup, { config, ...flags }, surroundings);
  return { directory, issuer, vault, config, write, run, admin: adminOf(vault.url, {}, ROOT_TOKEN) };
}

test('printed: the commands of the guide, in the order in which they work', async (t) => {
  const { run, issuer, vault } = await setUp(t);
  const { code, out, err } = await run();
  assert.equal(code, 0, err);
  assert.equal(
    out,
    `export VAULT_ADDR=${vault.url}

# the JWT auth method, one mount for each issuer
vault auth enable jwt

# which issuer Vault believes, and where its keys are
vault write auth/jwt/config \\
    oidc_discovery_url=${issuer.url} \\
    bound_issuer=${issuer.url}

# what a token of exchange app may do
printf '%s\\n' 'path "secret/app" { capabilities = ["read"] }' |
  vault policy write app-read -

# which JWTs may log in, and what their tokens may do
vault write auth/jwt/role/app \\
    role_type=jwt \\
    user_claim=sub \\
    bound_audiences=vault \\
    bound_subject=app \\
    policies=app-read \\
    ttl=1h`,
  );
});

test('printed for other mounts, namespaces, claims and words that a shell would take apart', async (t) => {
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

test('printed as HCL that Terraform can read, whatever the names and texts', async (t) => {
  const { run } = await setUp(t, {
    login: { mount: '9x/y', role: 'a.b' },
    setup: {
      role: { bound_claims: { ref: 'a\bb\fc\\b' }, token_policies: ['1app', 'app_9x_y_a_b'] },
      policies: { '1app': 'path "a" {\n}\n# EOT\n', 'x-y': 'x', 'x.y': 'y' },
    },
  });
  const { out } = await run({ hcl: true });
  const names = [...out.matchAll(/^resource "(\w+)" "(.*)" \{$/gm)].map(([, , name]) => name);
  assert.deepEqual(names, ['_9x_y', '_1app', 'x_y', 'x_y_', '_9x_y_a_b']);
  assert.match(out, /<<-EOTT\npath "a" \{\n\}\n# EOT\n {2}EOTT$/m);
  assert.ok(out.includes('"a\\u0008b\\u000cc\\\\b"'));
});

test('printed as HCL and JSON', async (t) => {
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

test('applied: the sidecar gets its token then, and a second time changes nothing', async (t) => {
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

test('applied after a question: only "yes" does it, and where nobody can be asked nothing is done', async (t) => {
  const { run, vault } = await setUp(t);
  const [nobody, no, yes] = [undefined, 'n', 'yes'].map((answer) => ({
    env: OPERATOR,
    ...(answer === undefined ? {} : { answer }),
  }));
  const unasked = await run({ apply: true }, nobody);
  assert.deepEqual([unasked.code, unasked.err], [2, 'nobody to ask: --yes applies without asking']);
  assert.equal((await run({ apply: true }, no)).err, 'nothing was changed');
  assert.ok(vault.requests.every(({ method }) => method === 'GET'));
  assert.equal((await run({ apply: true }, yes)).code, 0);
});

test('a difference is shown and mended, and what others have set stays', async (t) => {
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
  assert.match(err, /default_role people lets in JWTs that name no role/);
  const config = (await admin.call('GET', 'auth/jwt/config')).body['data'] as Record<string, unknown>;
  assert.deepEqual(
    [config['bound_issuer'], config['default_role'], config['jwt_supported_algs']],
    [issuer.url, 'people', ['ES256']],
  );
  const role = (await admin.call('GET', 'auth/jwt/role/app')).body['data'] as Record<string, unknown>;
  assert.deepEqual([role['bound_subject'], role['token_max_ttl']], ['app', 14_400]);
});

test('a mount is not turned to another issuer, unless told to; nor one of another type, or that people log in by', async (t) => {
  const { run, write, admin } = await setUp(t);
  await run({ apply: true, yes: true });
  const other = await openIssuer();
  t.after(() => other.close());
  await write({ expect: { issuer: other.issuer, audience: 'vault', subject: 'app' } });
  const refused = await run({ apply: true, yes: true });
  assert.equal(refused.code, 2);
  assert.match(
    refused.err,
    /auth\/jwt\/config has oidc_discovery_url .*: give exchange app another mount, or --replace it/,
  );
  assert.equal((await run({ apply: true, yes: true, replace: true })).code, 0);
  await admin.write('auth/jwt/config', { jwt_validation_pubkeys: ['-----BEGIN\nkey\n'], bound_issuer: other.issuer });
  const byKeys = await run({ apply: true, yes: true });
  // one line, for the terminal: the remedy stands in it
  assert.match(byKeys.err, /^auth\/jwt\/config has jwt_validation_pubkeys -----BEGIN: give exchange .*--replace it$/m);
  assert.match(byKeys.out, /jwt_validation_pubkeys {2}-----BEGIN \.\.\. -> unset$/m);
  await admin.write('auth/jwt/config', { oidc_client_id: 'people' });
  assert.match((await run({ apply: true, yes: true, replace: true })).err, /serves OIDC logins of people too/);
  await admin.write('sys/auth/other', { type: 'userpass' });
  await write({ login: { mount: 'other', role: 'app' } });
  assert.match((await run({ apply: true, yes: true, replace: true })).err, /auth\/other is of type userpass/);
});

/** [what the setup says, the warning] */
const WARNINGS: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ expect: { audience: 'vault' } }, /every subject of the issuer may log in/],
  [{ expect: { subject: 'app' } }, /a JWT with an audience is refused/],
  [{ expect: { audience: 'vault', subject: 'system:*' } }, /bound_subject is compared to the letter/],
  [
    { setup: { role: { bound_claims: { ref: '*' }, bound_claims_type: 'glob', token_policies: ['p'] } }, expect: {} },
    /the glob for ref matches nearly everything/,
  ],
  [{ setup: {} }, /the token may do nothing/],
  [{ setup: { role: { token_ttl: '2h' } } }, /token_ttl is longer than the JWT lives \(60 min\)/],
];

test('what trusts too much, or too little, is warned of', async (t) => {
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

test('without a warning where there is nothing to warn of', async (t) => {
  const { run } = await setUp(t);
  assert.equal((await run()).err, '');
});

test('what keeps a plan from being made is told at once, and where to mend it', async (t) => {
  const { run, write, vault, issuer } = await setUp(t, { expect: {} });
  const { code, err } = await run();
  assert.equal(code, 2);
  assert.match(err, /whom to trust isn't said: set expect.issuer/);
  assert.match(err, /the role would be bound to nothing/);
  await write({ setup: { trust: { oidc_discovery_url: issuer.url, jwks_url: issuer.url } } });
  assert.match((await run()).err, /setup\/trust: must have at most one of oidc_discovery_url, jwks_url/);
  assert.match((await run({ exchange: 'nobody' })).err, /must have at most one of/);
  await write();
  assert.equal((await run({ exchange: 'nobody' })).err, '--exchange must be one of app');
  assert.equal(
    (await run({ apply: true }, {})).err,
    'no Vault token to work with: log in with "vault login", or set VAULT_TOKEN',
  );
  const elsewhere = await run({ apply: true }, { env: { ...OPERATOR, VAULT_ADDR: 'https://other:8200' } });
  assert.match(elsewhere.err, /the Vault token is for VAULT_ADDR, but the exchange logs in to/);
  const denied = await run({ apply: true, yes: true }, { env: { VAULT_TOKEN: 'hvs.not-a-token-here' } });
  assert.equal(denied.code, 4);
  assert.match(denied.err, /Vault refuses a step of the setup: sys\/auth: status 403/);
  assert.ok(!denied.err.includes('hvs.not-a-token-here'));
  assert.ok(vault.requests.every(({ method }) => method === 'GET'));
});
