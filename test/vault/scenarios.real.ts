// The scenarios of the documentation against a real Vault that is set up as documented.

import assert from 'node:assert/strict';
import { createPublicKey, type webcrypto } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Daemon } from '../../src/daemon.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { cli } from '../support/program.ts';
import { until, untilChanged } from '../support/settling.ts';
import { runDaemon } from '../support/sidecar.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openPublisher, type Publisher } from './publisher.ts';
import { openRealVault, type RealVault } from './real-vault.ts';
import { k8sClaims, openSourceVault } from './scenarios.ts';

const LISTENERS = { api: { listen: '127.0.0.1:0' }, ops: { listen: '127.0.0.1:0' }, log: { level: 'trace' } };

/** Configures the trust in an issuer, with the test's CA instead of a public one. */
async function trust(
  vault: RealVault,
  { ca }: Publisher,
  published: string,
  { mount = 'jwt', boundIssuer = published } = {},
): Promise<void> {
  await vault.write(`sys/auth/${mount}`, { type: 'jwt' });
  await vault.write(`auth/${mount}/config`, {
    oidc_discovery_url: published,
    bound_issuer: boundIssuer,
    oidc_client_id: '',
    oidc_client_secret: '',
    oidc_discovery_ca_pem: ca.cert,
  });
}

/** The "iss" of identity tokens of a Vault whose issuer is https://vault-prod.oidc.pub. */
const IDENTITY_ISSUER = 'https://vault-prod.oidc.pub/v1/identity/oidc';

/** The documented role. */
const k8sRole = {
  role_type: 'jwt',
  user_claim: 'sub',
  bound_audiences: 'vault',
  bound_subject: 'system:serviceaccount:default:my-app',
  policies: 'app-read',
  ttl: '1h',
};

async function k8s(t: TestContext) {
  const publisher = await openPublisher(t);
  const issuer = await publisher.publish('k8s-prod.oidc.pub');
  const vault = await openRealVault(t, { environment: publisher.environment });
  await trust(vault, publisher, 'https://k8s-prod.oidc.pub');
  await vault.write('auth/jwt/role/k8s-workload', k8sRole);
  const directory = await temporaryDirectory(t);
  const writeJwt = async (claims: Record<string, unknown> = k8sClaims(), name = 'jwt') => {
    await replaceByRename(join(directory, name), await issuer.mint(claims));
  };
  const exchange = (members: Record<string, unknown> = {}) => ({
    source: { file: { path: join(directory, 'jwt') } },
    login: { role: 'k8s-workload' },
    sinks: [{ file: { path: join(directory, 'token') } }],
    ...members,
  });
  const config = (exchanges: Record<string, unknown>) => ({ vault: { address: vault.url }, exchanges, ...LISTENERS });
  const tokenIn = (name = 'token') => readFile(join(directory, name), 'utf8').catch(() => undefined);
  const lookUp = async (token: string | undefined) =>
    (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token ?? 'none' })).body[
      'data'
    ] as Record<string, unknown>;
  return { publisher, issuer, vault, directory, writeJwt, exchange, config, tokenIn, lookUp };
}

/** The failure as in /status, read without HTTP, which is rate limited. */
const failureOf = ({ exchanges }: Daemon, name: string) =>
  exchanges
    .views()
    .find((one) => one.name === name)
    ?.status().failure;

test('S1: two exchanges in one process log in to two mounts, one for each issuer', async (t) => {
  const { publisher, vault, directory, writeJwt, exchange, config, tokenIn, lookUp } = await k8s(t);
  const other = await publisher.publish('k8s-test.oidc.pub');
  await trust(vault, publisher, 'https://k8s-test.oidc.pub', { mount: 'jwt2' });
  await vault.write('auth/jwt2/role/k8s-workload', k8sRole);
  await writeJwt();
  await writeFile(join(directory, 'jwt-of-test'), await other.mint(k8sClaims()));
  await runDaemon(
    t,
    config({
      prod: exchange(),
      test: exchange({
        source: { file: { path: join(directory, 'jwt-of-test') } },
        login: { mount: 'jwt2', role: 'k8s-workload' },
        sinks: [{ file: { path: join(directory, 'token-of-test') } }],
      }),
    }),
  );
  await until('both tokens', async () => (await tokenIn()) && (await tokenIn('token-of-test')));
  assert.equal((await lookUp(await tokenIn()))['path'], 'auth/jwt/login');
  assert.equal((await lookUp(await tokenIn('token-of-test')))['path'], 'auth/jwt2/login');
});

test('S2: Vault trusts the published issuer, and refuses a JWT forged under its name', async (t) => {
  const { issuer, vault, directory, exchange, config, tokenIn } = await k8s(t);
  const data = (await vault.call('GET', 'auth/jwt/config')).body['data'] as Record<string, unknown>;
  assert.deepEqual(
    [data['oidc_discovery_url'], data['bound_issuer']],
    ['https://k8s-prod.oidc.pub', 'https://k8s-prod.oidc.pub'],
  );
  const impostor = await openIssuer({ issuer: issuer.issuer });
  t.after(() => impostor.close());
  await writeFile(join(directory, 'jwt'), await impostor.mint(k8sClaims()));
  const { daemon } = await runDaemon(t, config({ app: exchange() }));
  const failure = await until('the refusal', () => failureOf(daemon, 'app'));
  assert.equal(failure.code, 'signature_invalid');
  assert.equal(await tokenIn(), undefined);
});

test('S3: Vault stores the documented role, and refuses a service account of another namespace', async (t) => {
  const { vault, writeJwt, exchange, config } = await k8s(t);
  const role = (await vault.call('GET', 'auth/jwt/role/k8s-workload')).body['data'] as Record<string, unknown>;
  assert.deepEqual(
    [role['bound_subject'], role['token_policies'], role['token_ttl']],
    ['system:serviceaccount:default:my-app', ['app-read'], 3600],
  );
  await writeJwt(k8sClaims('other'));
  const { daemon } = await runDaemon(t, config({ app: exchange() }));
  const failure = await until('the refusal', () => failureOf(daemon, 'app'));
  assert.equal(failure.code, 'subject_mismatch');
  assert.match(failure.hint, /bound_subject/);
});

test('S2: while oidc.pub has not published a rotated key, the token lives on, and the failure names the wait', async (t) => {
  const { issuer, directory, writeJwt, exchange, config, tokenIn } = await k8s(t);
  await writeJwt();
  const expect = { issuer: 'https://k8s-prod.oidc.pub' };
  const { daemon } = await runDaemon(t, config({ app: exchange({ expect }) }));
  const first = await until('a token', () => tokenIn());
  await issuer.rotateKeys(false);
  await writeJwt();
  const failure = await until('the refusal', () => failureOf(daemon, 'app'));
  assert.equal(failure.code, 'signature_invalid');
  assert.match(
    failure.hint,
    /oidc\.pub's sync worker publishes the new key within six minutes; the sidecar keeps trying/,
  );
  assert.equal(await tokenIn(), first);
  assert.equal((await fetch(`${daemon.ops}/readyz`)).status, 200);
  await issuer.sync();
  await untilChanged(join(directory, 'token'), first);
  await until('the failure is over', () => failureOf(daemon, 'app') === undefined);
});

test('S4: the token in the file and over HTTP has the policies and the lease of the role', async (t) => {
  const { writeJwt, exchange, config, tokenIn, lookUp } = await k8s(t);
  await writeJwt();
  const { daemon } = await runDaemon(t, config({ app: exchange() }));
  const token = await until('a token', () => tokenIn());
  const { policies, ttl, renewable, creation_ttl } = await lookUp(token);
  assert.deepEqual(
    { policies, renewable, creation_ttl },
    { policies: ['app-read', 'default'], renewable: true, creation_ttl: 3600 },
  );
  assert.ok(Number(ttl) > 3500);
  const answer = await fetch(`${daemon.api}/v1/token`, { headers: { 'x-vault-request': 'true' } });
  assert.equal(((await answer.json()) as { access_token: string }).access_token, token);
});

test('S5: reports a role without audiences, or with another audience, and logs in after the remedy', async (t) => {
  const { vault, writeJwt, exchange, config, tokenIn } = await k8s(t);
  await vault.call('DELETE', 'auth/jwt/role/k8s-workload');
  const { bound_audiences: _, ...unbound } = k8sRole;
  await vault.write('auth/jwt/role/k8s-workload', unbound);
  await writeJwt();
  const { daemon } = await runDaemon(t, config({ app: exchange() }));
  const first = await until('the refusal', () => failureOf(daemon, 'app'));
  assert.equal(first.code, 'audience_unbound');
  await vault.write('auth/jwt/role/k8s-workload', { ...k8sRole, bound_audiences: 'https://vault' });
  const refresh = () => daemon.refresh();
  refresh();
  const second = await until(
    'the other refusal',
    () => {
      const failure = failureOf(daemon, 'app');
      return failure?.code === 'audience_mismatch' && failure;
    },
    20_000,
  );
  assert.match(second.hint, /bound_audiences/);
  await vault.write('auth/jwt/role/k8s-workload', k8sRole);
  refresh();
  await until('a token', () => tokenIn(), 20_000);
});

test("S6: logs in again after kubelet's swap of a projected token, and each token reads a secret", async (t) => {
  const { issuer, vault, directory, exchange, config, tokenIn } = await k8s(t);
  await vault.write('sys/mounts/secret', { type: 'kv' });
  await vault.write('secret/app', { password: 'xyzzy' });
  await vault.write('sys/policies/acl/app-read', { policy: 'path "secret/app" { capabilities = ["read"] }' });
  const volume = await createProjectedVolume(join(directory, 'volume'));
  await volume.swap('token', await issuer.mint(k8sClaims()));
  await runDaemon(t, config({ app: exchange({ source: { file: { path: join(directory, 'volume', 'token') } } }) }));
  const first = await until('the first token', () => tokenIn());
  await volume.swap('token', await issuer.mint(k8sClaims()));
  const second = await untilChanged(join(directory, 'token'), first);
  for (const token of [first, second]) {
    const secret = await vault.call('GET', 'secret/app', undefined, { 'x-vault-token': token });
    assert.deepEqual(secret.body['data'], { password: 'xyzzy' });
  }
});

test("S7: a GitLab job logs in with its ID token from the role's branch, and is refused from another", async (t) => {
  const publisher = await openPublisher(t);
  const issuer = await publisher.publish('gitlab.oidc.pub');
  const vault = await openRealVault(t, { environment: publisher.environment });
  await trust(vault, publisher, 'https://gitlab.oidc.pub');
  await vault.write('auth/jwt/role/gitlab-main', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: 'https://gitlab.oidc.pub',
    bound_subject: 'project_path:mygroup/myproject:ref_type:branch:ref:main',
    policies: 'ci-read',
    ttl: '15m',
  });
  const directory = await temporaryDirectory(t);
  const configFile = join(directory, 'config.json');
  const source = { env: { name: 'VAULT_ID_TOKEN' } };
  const sinks = [{ file: { path: join(directory, 'vault.env'), format: 'env' } }];
  await writeFile(configFile, JSON.stringify({ exchanges: { ci: { source, login: { role: 'gitlab-main' }, sinks } } }));
  const idToken = (ref: string) =>
    issuer.mint({
      aud: 'https://gitlab.oidc.pub',
      sub: `project_path:mygroup/myproject:ref_type:branch:ref:${ref}`,
      namespace_path: 'mygroup',
      project_path: 'mygroup/myproject',
      project_id: '42',
      pipeline_source: 'push',
      ref,
      ref_type: 'branch',
      ref_protected: String(ref === 'main'),
    });
  const once = async (ref: string) => {
    const env = { VAULT_ADDR: vault.url, VAULT_ID_TOKEN: await idToken(ref) };
    return cli(['once', '--config', configFile, '--timeout', '3s'], { env });
  };
  const refused = await once('feature');
  assert.equal(refused.code, 4);
  assert.match(refused.err, /the role doesn't accept the JWT's subject/);
  assert.equal((await once('main')).code, 0);
  const line = await readFile(join(directory, 'vault.env'), 'utf8');
  const [, token = ''] = /^VAULT_TOKEN=(\S+)\n$/.exec(line) ?? [];
  const seen = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
  assert.deepEqual((seen.body['data'] as { policies: string[] }).policies, ['ci-read', 'default']);
});

test('S8: logs in with identity tokens of another Vault, and requests new ones before they expire', async (t) => {
  const publisher = await openPublisher(t);
  const directory = await temporaryDirectory(t);
  const { source, token, entity } = await openSourceVault(t, publisher);
  const vault = await openRealVault(t, { environment: publisher.environment });
  await trust(vault, publisher, 'https://vault-prod.oidc.pub', { boundIssuer: IDENTITY_ISSUER });
  await vault.write('auth/jwt/role/external-vault', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: 'vault',
    bound_subject: entity,
    policies: 'vault-federation',
    ttl: '1h',
  });
  await writeFile(join(directory, 'source-token'), token);
  const identity = { address: source.url, token_file: join(directory, 'source-token'), role: 'federation' };
  const sinks = [{ file: { path: join(directory, 'token') } }];
  const federated = { source: { vault_identity: identity }, login: { role: 'external-vault' }, sinks };
  await runDaemon(t, { vault: { address: vault.url }, exchanges: { federated }, ...LISTENERS });
  const tokenNow = () => readFile(join(directory, 'token'), 'utf8').catch(() => undefined);
  const first = await until('a token', tokenNow);
  const seen = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': first });
  assert.deepEqual((seen.body['data'] as { policies: string[] }).policies, ['default', 'vault-federation']);
  await until('another token, of a new identity token', async () => (await tokenNow()) !== first, 20_000);
  const minted = source.audited().filter((path) => path === 'identity/oidc/token/federation').length;
  assert.ok(minted >= 2 && minted < 10, `${minted} identity tokens`);
});

/** Fetches an issuer's keys as PEM. */
async function fetchKeys(url: string): Promise<string[]> {
  const { keys } = (await (await fetch(`${url}/keys`)).json()) as { keys: webcrypto.JsonWebKey[] };
  return keys.map((jwk) =>
    createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString(),
  );
}

test('S8: requests identity tokens with the token of another exchange in the same process', async (t) => {
  const publisher = await openPublisher(t);
  const directory = await temporaryDirectory(t);
  const k8sIssuer = await publisher.publish('k8s-prod.oidc.pub');
  const { source } = await openSourceVault(t, publisher);
  const vault = await openRealVault(t, { environment: publisher.environment });
  await trust(vault, publisher, 'https://vault-prod.oidc.pub', { boundIssuer: IDENTITY_ISSUER });
  await vault.write('auth/jwt/role/external-vault', {
    ...k8sRole,
    bound_subject: undefined,
    policies: 'vault-federation',
  });
  // the first exchange logs in to the issuing Vault, which trusts the Kubernetes issuer by its keys
  await source.write('sys/auth/jwt', { type: 'jwt' });
  const keys = await fetchKeys(k8sIssuer.url);
  await source.write('auth/jwt/config', { jwt_validation_pubkeys: keys, bound_issuer: k8sIssuer.issuer });
  await source.write('auth/jwt/role/app', { ...k8sRole, policies: 'mint' });
  await writeFile(join(directory, 'jwt'), await k8sIssuer.mint(k8sClaims()));
  const exchanges = {
    home: { source: { file: { path: join(directory, 'jwt') } }, login: { role: 'app' } },
    abroad: {
      source: { vault_identity: { exchange: 'home', role: 'federation' } },
      vault: { address: vault.url },
      login: { role: 'external-vault' },
      sinks: [{ file: { path: join(directory, 'token') } }],
    },
  };
  await runDaemon(t, { vault: { address: source.url }, exchanges, ...LISTENERS });
  await until('a token', () => readFile(join(directory, 'token'), 'utf8').catch(() => undefined), 20_000);
});

test('S10: renews the token, and replaces it at its maximum TTL, with a new JWT, and after a revocation', async (t) => {
  const { vault, directory, writeJwt, exchange, config, tokenIn, lookUp } = await k8s(t);
  await vault.write('auth/jwt/role/k8s-workload', { ...k8sRole, ttl: '4s', max_ttl: '9s' });
  await writeJwt();
  const { daemon, log } = await runDaemon(t, config({ app: exchange() }));
  const count = (path: string) => vault.audited().filter((one) => one === path).length;
  const first = await until('a token', () => tokenIn());
  await until('two renewals', () => count('auth/token/renew-self') >= 2, 15_000);
  assert.equal(await tokenIn(), first, 'renewals keep the token');
  const next = (than: string | undefined) => untilChanged(join(directory, 'token'), than, 15_000);
  const second = await next(first);
  assert.equal((await lookUp(second))['path'], 'auth/jwt/login');
  await writeJwt();
  const third = await next(second);
  await vault.write('auth/token/revoke', { token: third });
  const fourth = await next(third);
  assert.equal((await lookUp(fourth))['path'], 'auth/jwt/login');
  assert.ok(log.some((line) => line.includes('renewal_denied')));
  assert.ok(count('auth/jwt/login') <= 5, `${count('auth/jwt/login')} logins`);
  // the file is there a moment before the sidecar knows
  await until('it is ready', async () => (await fetch(`${daemon.ops}/readyz`)).ok);
});
