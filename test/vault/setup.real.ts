// The documented scenarios from scratch: init writes the config, setup --apply configures a real Vault, once gets the
// token.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cli as runCli } from '../support/program.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openPublisher } from './publisher.ts';
import { openRealVault } from './real-vault.ts';
import { k8sClaims, openSourceVault } from './scenarios.ts';

async function setUp(t: TestContext) {
  const publisher = await openPublisher(t);
  const directory = await temporaryDirectory(t);
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, publisher.ca.cert);
  // the test's CA replaces the public ones
  const vault = await openRealVault(t, { environment: { ...publisher.environment, SSL_CERT_FILE: caFile } });
  const here = (name: string) => join(directory, 'here', name);
  const cli = (args: readonly string[], env: Record<string, string> = {}) => runCli(args, { cwd: directory, env });
  /** Runs init, then moves the paths of the config into the test's directory. */
  const init = async (...args: string[]) => {
    const { code, err } = await cli(['init', ...args, '--vault-address', vault.url]);
    assert.equal(code, 0, err);
    const file = join(directory, 'config.json');
    const config = await readFile(file, 'utf8');
    const moved = config
      .replace('/var/run/secrets/oidc/token', here('jwt'))
      .replace('/run/vault-source/token', here('source-token'))
      .replace(/"\/(?:run|tmp)?\/?vault\/(token|vault\.env)"/, (_, name) => JSON.stringify(here(name)));
    await replaceByRename(file, moved);
    await mkdir(join(directory, 'here'), { recursive: true });
  };
  /** Runs setup --apply twice; the second run must have nothing to change. */
  const apply = async () => {
    const flags = ['setup', '--config', 'config.json', '--apply', '--yes'];
    const first = await cli(flags, { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root });
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /4 of 4 changed\n$/);
    const second = await cli(flags, { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root });
    assert.match(second.out, /nothing to change\n$/, second.out + second.err);
  };
  const policiesOf = async (token: string) => {
    const { body } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
    return (body['data'] as { policies: string[] }).policies;
  };
  const once = (env: Record<string, string> = {}) => cli(['once', '--config', 'config.json', '--timeout', '10s'], env);
  return { publisher, vault, init, apply, once, here, policiesOf, cli };
}

test('init, setup and once: kubernetes', async (t) => {
  const { publisher, init, apply, once, here, policiesOf } = await setUp(t);
  const issuer = await publisher.publish('k8s-prod.oidc.pub');
  await init('kubernetes', '--issuer', 'k8s-prod', '--service-account', 'my-app');
  await apply();
  await writeFile(here('jwt'), await issuer.mint(k8sClaims()));
  const done = await once();
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await policiesOf(await readFile(here('token'), 'utf8')), ['default', 'my-app-read']);
});

test('init, setup and once: gitlab', async (t) => {
  const { publisher, init, apply, once, here, policiesOf } = await setUp(t);
  const issuer = await publisher.publish('gitlab.oidc.pub');
  await init('gitlab', '--issuer', 'gitlab', '--project', 'mygroup/myproject');
  await apply();
  const sub = 'project_path:mygroup/myproject:ref_type:branch:ref:main';
  const done = await once({ VAULT_ID_TOKEN: await issuer.mint({ aud: issuer.issuer, sub }) });
  assert.equal(done.code, 0, done.err);
  const [, token = ''] = /^VAULT_TOKEN=(\S+)\n$/.exec(await readFile(here('vault.env'), 'utf8')) ?? [];
  assert.deepEqual(await policiesOf(token), ['ci-read', 'default']);
});

test('init, setup and once: vault', async (t) => {
  const { publisher, init, apply, once, here, policiesOf } = await setUp(t);
  const { source, token, entity } = await openSourceVault(t, publisher);
  await init('vault', '--issuer', 'vault-prod', '--entity-id', entity, '--source-address', source.url);
  await apply();
  await writeFile(here('source-token'), token);
  const done = await once();
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await policiesOf(await readFile(here('token'), 'utf8')), ['default', 'vault-federation']);
});

test('setup keeps fields of a trust config and a role that are not in the plan (K21)', async (t) => {
  const { publisher, vault, init, cli } = await setUp(t);
  const issuer = await publisher.publish('k8s-prod.oidc.pub');
  await init('kubernetes', '--issuer', 'k8s-prod', '--service-account', 'my-app');
  const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root };
  const flags = ['setup', '--config', 'config.json', '--apply', '--yes'];
  assert.equal((await cli(flags, env)).code, 0);
  const beside = {
    provider_config: { provider: 'azure' },
    unsupported_critical_cert_extensions: ['2.5.29.30'],
    jwt_supported_algs: ['ES256'],
    namespace_in_state: false,
    oidc_response_types: ['code'],
  };
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, ...beside });
  const claims = { bound_claims: { ref: 'release/*' }, bound_claims_type: 'glob', claim_mappings: { ref: 'ref' } };
  await vault.write('auth/jwt/role/my-app', { role_type: 'jwt', bound_subject: 'other', ...claims });
  const done = await cli(flags, env);
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /2 of 4 changed\n$/);
  assert.doesNotMatch(done.out + done.err, /written back|didn't keep/);
  const read = async (path: string) => (await vault.call('GET', path)).body['data'] as Record<string, unknown>;
  const config = await read('auth/jwt/config');
  assert.equal(config['bound_issuer'], issuer.issuer);
  for (const [member, value] of Object.entries(beside)) assert.deepEqual(config[member], value, member);
  const role = await read('auth/jwt/role/my-app');
  assert.equal(role['bound_subject'], 'system:serviceaccount:default:my-app');
  for (const [member, value] of Object.entries(claims)) assert.deepEqual(role[member], value, member);
});
