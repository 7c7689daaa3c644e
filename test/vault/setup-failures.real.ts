// setup against a real Vault: what it says when a step fails is enough to repair the setup, and what it prints can be pasted.

import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cli, runToEnd } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import { openPublisher } from './publisher.ts';
import { openRealVault } from './real-vault.ts';

const ISSUER = 'https://k8s-prod.oidc.pub';

/** A Vault that reaches the issuer, but whose system CAs don't include the issuer's. */
async function setUp(t: TestContext) {
  const publisher = await openPublisher(t);
  const issuer = await publisher.publish('k8s-prod.oidc.pub');
  const vault = await openRealVault(t, { environment: publisher.environment });
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'ca.pem'), `${publisher.ca.cert}\n# with a comment\n`);
  const write = (setup: Record<string, unknown>, login: Record<string, unknown> = {}) => {
    const app = {
      source: { file: { path: join(directory, 'jwt') } },
      login: { role: 'app', ...login },
      expect: { issuer: ISSUER, audience: 'vault', subject: 'app' },
      sinks: [{ file: { path: join(directory, 'token') } }],
      setup: {
        role: { token_policies: ['app-read'], token_ttl: '5m' },
        policies: { 'app-read': 'path "secret/app" { capabilities = ["read"] }' },
        ...setup,
      },
    };
    const config = { vault: { address: vault.url }, exchanges: { app } };
    return writeFile(join(directory, 'config.json'), JSON.stringify(config));
  };
  const env = { ...publisher.environment, NO_PROXY: '127.0.0.1', VAULT_ADDR: vault.url };
  const run = (args: readonly string[], token = vault.root) =>
    cli(['setup', '--config', 'config.json', ...args], { cwd: directory, env: { ...env, VAULT_TOKEN: token } });
  const apply = (token?: string) => run(['--apply', '--yes'], token);
  const trust = { oidc_discovery_ca_file: join(directory, 'ca.pem') };
  return { issuer, vault, directory, write, run, apply, trust };
}

test('the policy that setup asks for step by step is enough to set up a mount', async (t) => {
  const { vault, write, apply, trust } = await setUp(t);
  await write({ trust });
  const rules = new Map<string, string>();
  const tokenOf = async () => {
    const policy = [...rules].map(([path, rule]) => `path ${path} ${rule}`).join('\n');
    await vault.write('sys/policies/acl/operator', { policy: policy || 'path "none" {}' });
    const { body } = await vault.write('auth/token/create', { policies: ['operator'] });
    return String((body['auth'] as Record<string, unknown>)['client_token']);
  };
  let last = await apply(await tokenOf());
  for (let runs = 1; last.code !== 0; runs += 1) {
    assert.equal(last.code, 4, last.err);
    const [, path = '', rule = ''] = /Add path ("[^"]+") (\{ .+ \}) to a policy/.exec(last.err) ?? [];
    assert.notEqual(rules.get(path), rule, last.err);
    rules.set(path, rule);
    assert.ok(runs < 12, last.err);
    last = await apply(await tokenOf());
  }
  assert.match((await apply(await tokenOf())).out, /nothing to change\n$/);
  assert.match(
    (await apply('hvs.unknown-to-this-vault')).err,
    /Vault doesn't know the operator's token: .*invalid token/,
  );
});

test('an issuer with a private CA: setup names the CA, and its file repairs the setup', async (t) => {
  const { vault, write, apply, run, trust, directory } = await setUp(t);
  await write({});
  const failed = await apply();
  assert.equal(failed.code, 4);
  assert.match(
    failed.err,
    /^written: sys\/auth\/jwt\nfailed: auth\/jwt\/config\nnot written: sys\/policies\/acl\/app-read, auth\/jwt\/role\/app\nVault can't use the issuer: auth\/jwt\/config: status 400, error checking oidc discovery URL; from this machine: the certificate is signed by an unknown CA/,
  );
  await write({ trust });
  const printed = await run([]);
  await symlink(findVault(), join(directory, 'vault'));
  const pasted = await runToEnd(['sh', '-e', '-c', printed.out.replace(/^vault auth enable .*$/m, '')], {
    env: { PATH: `${directory}:${process.env['PATH']}`, HOME: directory, VAULT_TOKEN: vault.root },
  });
  assert.equal(pasted.code, 0, pasted.out + pasted.err);
  assert.match((await apply()).out, /nothing to change\n$/);
});

test('Vault keeps the members of a role as setup writes and prints them', async (t) => {
  const { issuer, vault, write, apply, run, trust, directory } = await setUp(t);
  const role = {
    token_policies: ['app-read'],
    token_period: '90m',
    token_type: 'service',
    claim_mappings: { team: 'team', '/a/b': 'b' },
    groups_claim: 'groups',
    token_bound_cidrs: ['127.0.0.0/8', '10.0.0.1/32', 'FD00:0::/8', '::1/128', '0:0::2'],
  };
  await write({ trust, role });
  const { code, err } = await apply();
  assert.equal(code, 0, err);
  assert.match((await apply()).out, /nothing to change\n$/);
  await writeFile(join(directory, 'jwt'), await issuer.mint({ sub: 'app', aud: 'vault', groups: ['a'], team: 'red' }));
  const { out } = await run([]);
  await symlink(findVault(), join(directory, 'vault'));
  const vaultCli = (script: string) =>
    runToEnd(['sh', '-e', '-c', script], {
      env: {
        PATH: `${directory}:${process.env['PATH']}`,
        HOME: directory,
        VAULT_ADDR: vault.url,
        VAULT_TOKEN: vault.root,
      },
    });
  const pasted = await vaultCli(out.replace(/^vault auth enable .*$/m, ''));
  assert.equal(pasted.code, 0, pasted.err);
  const login = await vaultCli(`vault write -format=json auth/jwt/login role=app jwt=@${join(directory, 'jwt')}`);
  const { auth } = JSON.parse(login.out) as { auth: { lease_duration: number; metadata: unknown } };
  assert.deepEqual([auth.lease_duration, auth.metadata], [5400, { role: 'app', team: 'red' }]);
});
