// setup --apply that fails: the output says what was written, what wasn't and why, and what to do next.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { listenOn, type PlainReply } from '../../src/dev/listen.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { makeCa } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openGate } from './gate.ts';
import { setUp } from './set-up.ts';

const AGAIN = 'Then run "vault-token-sidecar setup --apply" again: it writes only what is missing or different.';
const DENIED = '1 error occurred:\n\t* permission denied\n\n';

/** A Vault that answers some requests with an error. */
async function withRefusals(t: TestContext, members: Record<string, unknown> = {}) {
  const world = await setUp(t);
  const gate = await openGate(t, world.vault.url);
  const write = (over: Record<string, unknown>) => world.write({ vault: { address: gate.url }, ...over });
  await write(members);
  const env = { VAULT_ADDR: gate.url, VAULT_TOKEN: ROOT_TOKEN };
  const apply = () => world.run({ apply: true, yes: true }, { env });
  const refuse = (method: string, path: string, reply: Omit<PlainReply, 'body'> & { words: string }) => {
    gate.answer = (request) =>
      request.method === method && request.path === `/v1/${path}`
        ? { ...reply, body: { errors: [reply.words] } }
        : undefined;
  };
  return { ...world, gate, write, apply, refuse };
}

test('a step that fails: says what was written, what was not, and why; a second run completes the setup', async (t) => {
  const { apply, refuse, gate } = await withRefusals(t);
  refuse('POST', 'sys/policies/acl/app-read', { status: 403, words: DENIED });
  const { code, err, out } = await apply();
  assert.equal(code, 4);
  assert.doesNotMatch(out, /changed$/);
  assert.equal(
    err,
    [
      'written: sys/auth/jwt, auth/jwt/config',
      'failed: sys/policies/acl/app-read',
      'not written: auth/jwt/role/app',
      `Vault denies the operator's token a step of the setup: sys/policies/acl/app-read: status 403, 1 error occurred: * permission denied. Add path "sys/policies/acl/app-read" { capabilities = ["create", "read", "update"] } to a policy of the token in VAULT_TOKEN or ~/.vault-token, or use another token.`,
      AGAIN,
    ].join('\n'),
  );
  gate.answer = () => undefined;
  const second = await apply();
  assert.equal(second.code, 0, second.err);
  assert.match(second.out, /2 of 4 changed$/);
});

test('names the capabilities that the token lacks, to read and to enable a mount', async (t) => {
  const { apply, refuse } = await withRefusals(t, { login: { role: 'app', namespace: 'team-a' } });
  refuse('GET', 'sys/auth', { status: 403, words: DENIED });
  const read = await apply();
  assert.match(read.err, /^nothing was written\nVault denies/);
  assert.match(
    read.err,
    /sys\/auth in namespace team-a: status 403.* Add path "sys\/auth" \{ capabilities = \["read"\] \}/,
  );
  refuse('POST', 'sys/auth/jwt', { status: 403, words: DENIED });
  const { err } = await apply();
  assert.match(err, /^failed: sys\/auth\/jwt\nnot written: auth\/jwt\/config, /);
  assert.match(err, /Add path "sys\/auth\/jwt" \{ capabilities = \["create", "update", "sudo"\] \}/);
});

test('tells a token that Vault does not know from one that lacks rights', async (t) => {
  const { apply, refuse } = await withRefusals(t);
  refuse('GET', 'sys/auth', { status: 403, words: '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n' });
  const { code, err } = await apply();
  assert.equal(code, 4);
  assert.match(err, /Vault doesn't know the operator's token: .* Log in with "vault login", or set VAULT_TOKEN/);
  assert.ok(!err.includes(ROOT_TOKEN));
});

test('a namespace that does not exist is an error, not an empty Vault', async (t) => {
  const { apply, refuse, write } = await withRefusals(t, { login: { role: 'app', namespace: 'team-a' } });
  const words = 'no handler for route "sys/auth". route entry not found.';
  refuse('GET', 'sys/auth', { status: 404, words });
  const { code, err } = await apply();
  assert.equal(code, 4);
  assert.match(err, /the namespace doesn't exist: sys\/auth in namespace team-a: status 404, no handler/);
  assert.match(err, /Create it with "vault namespace create", or correct login.namespace or vault.namespace/);
  await write({});
  // without a namespace, a server without sys/auth is no Vault
  assert.match((await apply()).err, /the response is not a valid Vault response/);
});

test('a Vault that is sealed or fails half-way keeps its own title, hint and exit code', async (t) => {
  const { apply, refuse, run, write } = await withRefusals(t);
  refuse('POST', 'auth/jwt/role/app', { status: 503, words: 'Vault is sealed' });
  const { code, err } = await apply();
  assert.equal(code, 5);
  assert.match(
    err,
    /^written: sys\/auth\/jwt, auth\/jwt\/config, sys\/policies\/acl\/app-read\nfailed: auth\/jwt\/role\/app\nVault is sealed: /,
  );
  const nowhere = 'http://127.0.0.1:1';
  await write({ vault: { address: nowhere } });
  const unreached = await run({ apply: true, yes: true }, { env: { VAULT_ADDR: nowhere, VAULT_TOKEN: ROOT_TOKEN } });
  assert.equal(unreached.code, 5);
  assert.match(unreached.err, /^nothing was written\nVault can't be reached: connect ECONNREFUSED 127\.0\.0\.1:1\. /);
});

test('shows no control character and no token of the reply', async (t) => {
  const { apply, refuse } = await withRefusals(t);
  refuse('POST', 'auth/jwt/role/app', { status: 400, words: `bad \u001b[2J ${ROOT_TOKEN} hvs.CAESIJ-another-token` });
  const { err } = await apply();
  assert.match(err, /Vault refuses a step of the setup: auth\/jwt\/role\/app: status 400, bad \ufffd\[2J/);
  assert.ok(!err.includes(ROOT_TOKEN) && !err.includes('hvs.CAESIJ'));
});

/** Sets up a trust in an issuer that the test's Vault, as Vault does, refuses without a reason. */
async function withIssuer(t: TestContext, trust: Record<string, unknown>) {
  const world = await withRefusals(t, { setup: { trust, role: { token_policies: ['p'] } } });
  world.refuse('POST', 'auth/jwt/config', { status: 400, words: 'error checking oidc discovery URL' });
  return world;
}

test("an issuer that Vault can't use: names what is wrong with it from this machine, and the keys to set", async (t) => {
  const ca = makeCa(await temporaryDirectory(t));
  let document: unknown = {};
  const site = await listenOn({ tls: ca.issue() }, ({ path }) =>
    path === '/.well-known/openid-configuration' ? { status: 200, body: document } : { status: 404, body: '' },
  );
  t.after(() => site.close());
  const { apply, write } = await withIssuer(t, { oidc_discovery_url: site.url });
  const { code, err } = await apply();
  assert.equal(code, 4);
  assert.match(err, /^written: sys\/auth\/jwt\nfailed: auth\/jwt\/config\nnot written: auth\/jwt\/role\/app$/m);
  assert.match(
    err,
    /Vault can't use the issuer: auth\/jwt\/config: status 400, error checking oidc discovery URL; from this machine: the certificate is signed by an unknown CA \(\w+\)\. /,
  );
  assert.match(err, /set setup\.trust\.oidc_discovery_ca_pem/);
  const againAs = async (oidc_discovery_url: string) => {
    await write({
      setup: { trust: { oidc_discovery_url, oidc_discovery_ca_pem: ca.cert }, role: { token_policies: ['p'] } },
    });
    return (await apply()).err;
  };
  document = { issuer: `${site.url}/` };
  assert.ok((await againAs(site.url)).includes(`from this machine: issuer is "${site.url}/", expected "${site.url}"`));
  document = { issuer: site.url };
  assert.match(await againAs(site.url), /from this machine: the issuer's document is as expected\./);
  assert.match(await againAs(`${site.url}/other`), /from this machine: status 404\./);
});

test('an issuer that is no URL is left to Vault', async (t) => {
  const { apply, write } = await withIssuer(t, {});
  await write({ expect: { issuer: 'k8s-prod', audience: 'vault', subject: 'app' } });
  const { code, err } = await apply();
  assert.equal(code, 4);
  assert.match(
    err,
    /Vault can't use the issuer: auth\/jwt\/config: status 400, error checking oidc discovery URL\. From/,
  );
});

test("an issuer that can't be reached from this machine either", async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  const { apply } = await withIssuer(t, { oidc_discovery_url: `https://127.0.0.1:${port}` });
  assert.match((await apply()).err, /from this machine: connect ECONNREFUSED 127\.0\.0\.1:\d+\. /);
});
