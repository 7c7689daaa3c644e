// The guide's scenarios from nothing: init writes the config, setup --apply makes a real Vault match it, once gets the token.

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
  // the test's CA stands in for the public ones
  const vault = await openRealVault(t, { environment: { ...publisher.environment, SSL_CERT_FILE: caFile } });
  const here = (name: string) => join(directory, 'here', name);
  const cli = (args: readonly string[], env: Record<string, string> = {}) => runCli(args, { cwd: directory, env });
  /** init as given, then the paths of the config moved into the test's directory */
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
  /** Applied twice: the second time finds all as it should be. */
  const apply = async () => {
    const flags = ['setup', '--config', 'config.json', '--apply', '--yes'];
    const first = await cli(flags, { VAULT_TOKEN: vault.root });
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /3 of 3 changed\n$/);
    const second = await cli(flags, { VAULT_TOKEN: vault.root });
    assert.match(second.out, /nothing to change\n$/, second.out + second.err);
  };
  const policiesOf = async (token: string) => {
    const { body } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
    return (body['data'] as { policies: string[] }).policies;
  };
  const once = (env: Record<string, string> = {}) => cli(['once', '--config', 'config.json', '--timeout', '10s'], env);
  return { publisher, vault, init, apply, once, here, policiesOf };
}

test('kubernetes', async (t) => {
  const { publisher, init, apply, once, here, policiesOf } = await setUp(t);
  const issuer = await publisher.publish('k8s-prod.oidc.pub');
  await init('kubernetes', '--issuer', 'k8s-prod', '--service-account', 'my-app');
  await apply();
  await writeFile(here('jwt'), await issuer.mint(k8sClaims()));
  const done = await once();
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await policiesOf(await readFile(here('token'), 'utf8')), ['app-read', 'default']);
});

test('gitlab', async (t) => {
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

test('vault', async (t) => {
  const { publisher, init, apply, once, here, policiesOf } = await setUp(t);
  const { source, token, entity } = await openSourceVault(t, publisher, await temporaryDirectory(t));
  await init('vault', '--issuer', 'vault-prod', '--entity-id', entity, '--source-address', source.url);
  await apply();
  await writeFile(here('source-token'), token);
  const done = await once();
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await policiesOf(await readFile(here('token'), 'utf8')), ['default', 'vault-federation']);
});
