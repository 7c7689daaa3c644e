// The in-memory Vault behaves as the real one does over HTTP, so that tests against it are meaningful.

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

test("the issuer's discovery document leads to the keys that verify its JWTs", async (t) => {
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

test('renewals extend the lease, are capped by the maximum TTL with a warning, and fail for a dead token', async (t) => {
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

test('renews periodic tokens beyond the maximum TTL, and refuses batch tokens and tokens of deleted roles', async (t) => {
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
