// The in-memory Vault says what the real one says, over plain HTTP, so that what is learnt against it holds.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import type { Role } from '../../src/dev/vault-jwt-auth.ts';

async function setUp(t: TestContext, settings: Role = {}) {
  let ahead = 0;
  const issuer = await openIssuer();
  const vault = await openDevVault({ now: () => Date.now() + ahead });
  t.after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'App', settings });
  const call = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${vault.url}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, ...(text === '' ? {} : JSON.parse(text)) };
  };
  const login = async (claims = {}, role = 'app') => call('auth/jwt/login', { role, jwt: await issuer.mint(claims) });
  const as = (token: string, path: string) => call(`auth/token/${path}`, {}, { 'x-vault-token': token });
  return { issuer, vault, call, login, as, pass: (seconds: number) => (ahead += seconds * 1000) };
}

const refused = ({ status, errors }: { status: number; errors?: string[] }): string => `${status} ${errors?.join()}`;

test('the issuer: discovery leads to keys that verify its JWTs', async (t) => {
  const { issuer } = await setUp(t);
  const getJson = async (url: string) => JSON.parse(await (await fetch(url)).text());
  const document = await getJson(`${issuer.url}/.well-known/openid-configuration`);
  assert.equal(document.issuer, issuer.issuer);
  const keys = createLocalJWKSet(await getJson(document.jwks_uri));
  const { payload } = await jwtVerify(await issuer.mint({ sub: 'me' }), keys, {
    issuer: issuer.issuer,
    audience: 'vault',
  });
  assert.equal(payload.sub, 'me');
});

test('a login in the wire format; the role is lower-cased', async (t) => {
  const { login } = await setUp(t, { token_policies: ['app-read'] });
  const { status, auth, wrap_info } = await login({}, 'APP');
  assert.equal(status, 200);
  assert.match(auth.client_token, /^hvs\.[\w-]{90,}$/);
  assert.deepEqual(
    [auth.lease_duration, auth.renewable, auth.policies, auth.metadata, wrap_info],
    [3600, true, ['default', 'app-read'], { role: 'app' }, null],
  );
});

test("each refusal of a login, in the plugin's words", async (t) => {
  const { issuer, vault, login, call } = await setUp(t, { bound_subject: 'app', bound_claims: { ref: 'main' } });
  const now = Math.floor(Date.now() / 1000);
  const fine = { ref: 'main' };
  assert.equal((await login(fine)).status, 200);
  assert.equal(refused(await call('auth/nowhere/login', {})), '403 permission denied');
  assert.equal(refused(await call('auth/jwt/login', {})), '400 missing role');
  assert.equal(refused(await call('auth/jwt/login', { role: 'app' })), '400 missing token');
  assert.equal(refused(await login(fine, 'other')), '400 role "other" could not be found');
  assert.match(refused(await call('auth/jwt/login', { role: 'app', jwt: 'a.b' })), /malformed jwt.*three parts/);
  assert.equal(refused(await login({ ...fine, sub: 'x' })), '400 error validating token: invalid subject (sub) claim');
  assert.equal(refused(await login({ ...fine, iss: 'x' })), '400 error validating token: invalid issuer (iss) claim');
  assert.match(
    refused(await login({ ...fine, aud: 'x' })),
    /invalid audience \(aud\) claim: audience claim does not match/,
  );
  assert.match(refused(await login({ ...fine, exp: now - 61 })), /token is expired/);
  assert.match(refused(await login({ ...fine, nbf: now + 70 })), /token not yet valid/);
  assert.match(refused(await login({ ...fine, iat: now + 70 })), /token issued in the future/);
  assert.equal(
    refused(await login({ ref: 'dev' })),
    '400 error validating claims: claim "ref" does not match any associated bound claim values',
  );
  assert.equal(refused(await login({})), '400 error validating claims: claim "ref" is missing');
  const mount = vault.mount('jwt');
  mount.roles.set('unbound', { role_type: 'jwt', user_claim: 'sub' });
  mount.roles.set('oidc', { user_claim: 'sub' });
  assert.equal(
    refused(await login(fine, 'unbound')),
    '400 audience claim found in JWT but no audiences bound to the role',
  );
  assert.equal(refused(await login(fine, 'oidc')), '400 role with oidc role_type is not allowed');
  await issuer.rotateKeys(false);
  assert.equal(
    (await login(fine)).status,
    200,
    'a signature that the cached keys do not explain makes it fetch them anew',
  );
  const other = await openIssuer({ issuer: issuer.issuer });
  t.after(() => other.close());
  assert.match(
    refused(await call('auth/jwt/login', { role: 'app', jwt: await other.mint(fine) })),
    /failed to verify id token signature/,
  );
  mount.config = { oidc_discovery_url: `${issuer.url}/` };
  assert.match(
    refused(await call('auth/jwt/login', { role: 'app', jwt: await other.mint(fine) })),
    /keyset configuration error/,
  );
  mount.config = undefined;
  assert.equal(refused(await login(fine)), '400 could not load configuration');
  vault.setSealed(true);
  assert.equal(refused(await login(fine)), '503 Vault is sealed');
});

test('renewals: extended, capped by the maximum TTL with a warning, refused past it, denied when dead', async (t) => {
  const { login, as, pass } = await setUp(t, { token_ttl: 100, token_max_ttl: 150 });
  const { auth } = await login();
  pass(60);
  const renewed = await as(auth.client_token, 'renew-self');
  assert.equal(renewed.auth.lease_duration, 90);
  assert.match(
    renewed.warnings[0],
    /^TTL of "100s" exceeded the effective max_ttl of "(89|90)s"; TTL value is capped accordingly$/,
  );
  pass(91);
  assert.match(refused(await as(auth.client_token, 'renew-self')), /^403 2 errors occurred:/);
});

test('periodic tokens live on; batch tokens and deleted roles do not renew', async (t) => {
  const { vault, login, as, pass } = await setUp(t, { token_period: 100, token_max_ttl: 150 });
  const periodic = (await login()).auth.client_token;
  for (let renewal = 0; renewal < 5; renewal++) {
    pass(90);
    assert.equal((await as(periodic, 'renew-self')).auth.lease_duration, 100);
  }
  vault.trust({
    issuer: vault.mount('jwt').config?.bound_issuer ?? '',
    role: 'batch',
    settings: { token_type: 'batch' },
  });
  const batch = (await login({ exp: Math.floor(Date.now() / 1000) + 3600 }, 'batch')).auth;
  assert.match(batch.client_token, /^hvb\./);
  assert.equal(refused(await as(batch.client_token, 'renew-self')), '400 batch tokens cannot be renewed');
  vault.mount('jwt').roles.delete('app');
  assert.equal(refused(await as(periodic, 'renew-self')), '500 role app does not exist during renewal');
});

test('a token without the default policy may not look after itself; limited uses are spent; revoked is dead', async (t) => {
  const { vault, login, as } = await setUp(t, { token_no_default_policy: true, token_policies: ['app'] });
  assert.match(refused(await as((await login()).auth.client_token, 'renew-self')), /^403 1 error occurred/);
  vault.mount('jwt').roles.set('few', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    token_ttl: 60,
    token_num_uses: 2,
  });
  const few = (await login({}, 'few')).auth.client_token;
  const uses = [];
  for (let use = 0; use < 3; use++) uses.push((await as(few, 'lookup-self')).status);
  assert.deepEqual(uses, [200, 200, 403]);
  vault.trust({ issuer: vault.mount('jwt').config?.bound_issuer ?? '', role: 'app' });
  const { client_token } = (await login()).auth;
  assert.equal((await as(client_token, 'revoke-self')).status, 204);
  assert.equal((await as(client_token, 'lookup-self')).status, 403);
});
