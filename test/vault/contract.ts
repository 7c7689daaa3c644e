// What the in-memory Vault, a real one and OpenBao must have in common: the same cases run against each, over plain HTTP, and
// each refusal is also judged by the core, so that what the daemon would tell is checked against the real server's
// words.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { judgeGrant, type Operation } from '../../src/core/vault-protocol.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { until } from '../support/settling.ts';
import type { AdminVault, Answer } from './admin.ts';

export interface SealableVault extends AdminVault {
  seal(): Promise<void>;
  unseal(): Promise<void>;
}

export type OpenVault = (t: TestContext) => Promise<SealableVault>;

const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app-read', ttl: '1h' };
/** The refusals of a token that the server doesn't know: Vault's, and OpenBao's. */
const UNKNOWN_TOKEN = [
  '403 2 errors occurred: * permission denied * invalid token -> renewal_denied',
  '403 permission denied -> renewal_denied',
];
const NOBODY = { 'x-vault-token': '' };

/** A Vault that trusts an issuer, with the role "app", set up as documented. */
async function setUp(t: TestContext, open: OpenVault, role: Record<string, unknown> = {}) {
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await open(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  await vault.write('auth/jwt/role/app', { ...ROLE, ...role });
  const logIn = async (claims: Record<string, unknown> = {}, name = 'app') =>
    vault.call('POST', 'auth/jwt/login', { role: name, jwt: await issuer.mint(claims) }, NOBODY);
  const self = (token: string, what: string) =>
    vault.call('POST', `auth/token/${what}-self`, {}, { 'x-vault-token': token });
  return { issuer, vault, logIn, self };
}

const authOf = ({
  status,
  body,
}: Answer): Record<string, unknown> & { client_token: string; lease_duration: number } => {
  assert.equal(status, 200, JSON.stringify(body));
  return body['auth'] as ReturnType<typeof authOf>;
};

/** Describes a reply as "status errors -> the core's result". */
function told({ status, body }: Answer, operation: Operation = 'login'): string {
  const reply = { status, headers: {}, body: new Secret(JSON.stringify(body)), durationMs: 1 };
  const outcome = judgeGrant(operation, reply, []);
  const words = (body['errors'] as string[] | undefined)?.join('; ').replace(/\s+/g, ' ').trim();
  return `${status} ${words ?? ''} -> ${'code' in outcome ? outcome.code : 'granted'}`;
}

export function testContract(open: OpenVault): void {
  test('a login returns all fields of the wire format', async (t) => {
    const { logIn } = await setUp(t, open);
    const answer = await logIn({}, 'APP');
    const { client_token, accessor, entity_id, ...auth } = authOf(answer);
    assert.match(client_token, /^(hv)?s\.[\w-]{24,}$/);
    assert.ok(accessor !== '' && entity_id !== undefined);
    assert.deepEqual(auth, {
      policies: ['app-read', 'default'],
      token_policies: ['app-read', 'default'],
      metadata: { role: 'app' },
      lease_duration: 3600,
      renewable: true,
      token_type: 'service',
      orphan: true,
      mfa_requirement: null,
      num_uses: 0,
    });
    const { wrap_info, data, lease_duration } = answer.body;
    assert.deepEqual({ wrap_info, data, lease_duration }, { wrap_info: null, data: null, lease_duration: 0 });
  });

  test('the core classifies each refusal of a login', async (t) => {
    const { issuer, vault, logIn } = await setUp(t, open, { bound_subject: 'app', bound_claims: { ref: 'main' } });
    const fine = { ref: 'main' };
    const now = Math.floor(Date.now() / 1000);
    const send = async (body: unknown, mount = 'jwt') =>
      told(await vault.call('POST', `auth/${mount}/login`, body, NOBODY));
    const refused = async (claims: Record<string, unknown>, role?: string) => told(await logIn(claims, role));
    assert.equal(await refused(fine), '200  -> granted');
    assert.equal(await send({ role: 'app', jwt: 'x' }, 'nowhere'), '403 permission denied -> login_forbidden');
    assert.equal(await send({ jwt: 'x' }), '400 missing role -> role_missing');
    assert.equal(await send({ role: 'app' }), '400 missing token -> jwt_refused');
    assert.equal(await refused(fine, 'other'), '400 role "other" could not be found -> role_missing');
    const invalid = '400 error validating token:';
    assert.equal(
      await send({ role: 'app', jwt: 'a.b' }),
      `${invalid} error verifying token signature: oidc: malformed jwt: go-jose/go-jose: compact JWS format must have three parts -> jwt_refused`,
    );
    assert.equal(await refused({ ...fine, sub: 'x' }), `${invalid} invalid subject (sub) claim -> subject_mismatch`);
    assert.equal(await refused({ ...fine, iss: 'x' }), `${invalid} invalid issuer (iss) claim -> issuer_mismatch`);
    assert.equal(
      await refused({ ...fine, aud: 'x' }),
      `${invalid} invalid audience (aud) claim: audience claim does not match any expected audience -> audience_mismatch`,
    );
    assert.equal(
      await refused({ ...fine, exp: now - 120 }),
      `${invalid} invalid expiration time (exp) claim: token is expired -> jwt_expired`,
    );
    assert.equal(await refused({ ...fine, exp: now - 30 }), '200  -> granted', 'a minute of leeway');
    assert.equal(
      await refused({ ...fine, nbf: now + 120 }),
      `${invalid} invalid not before (nbf) claim: token not yet valid -> jwt_not_yet_valid`,
    );
    assert.equal(
      await refused({ ...fine, iat: now + 120, nbf: now }),
      `${invalid} invalid issued at (iat) claim: token issued in the future -> jwt_not_yet_valid`,
    );
    assert.equal(
      await refused({ ...fine, iat: undefined, exp: undefined }),
      `${invalid} no issued at (iat), not before (nbf), or expiration time (exp) claims in token -> jwt_refused`,
    );
    const claims = '400 error validating claims: claim "ref"';
    assert.equal(await refused({}), `${claims} is missing -> claims_mismatch`);
    assert.equal(
      await refused({ ref: 'dev' }),
      `${claims} does not match any associated bound claim values -> claims_mismatch`,
    );
    await vault.write('auth/jwt/role/unbound', { role_type: 'jwt', user_claim: 'sub', bound_subject: 'app' });
    assert.equal(
      await refused(fine, 'unbound'),
      '400 audience claim found in JWT but no audiences bound to the role -> audience_unbound',
    );
    await vault.write('auth/jwt/role/user', { ...ROLE, user_claim: 'email' });
    assert.equal(await refused(fine, 'user'), '400 claim "email" not found in token -> claims_mismatch');
    assert.equal(
      await refused({ ...fine, email: 7 }, 'user'),
      '400 claim "email" could not be converted to string -> claims_mismatch',
    );
    await vault.write('auth/jwt/role/groups', { ...ROLE, groups_claim: 'groups' });
    assert.equal(
      await refused(fine, 'groups'),
      '400 failed to fetch groups: "groups" claim not found in token -> claims_mismatch',
    );
    await vault.write('auth/jwt/role/far', { ...ROLE, token_bound_cidrs: '192.0.2.0/24' });
    assert.equal(await refused(fine, 'far'), '403 permission denied -> login_forbidden');
    await vault.write('auth/jwt/role/oidc', { user_claim: 'sub', allowed_redirect_uris: 'http://127.0.0.1' });
    assert.equal(await refused(fine, 'oidc'), '400 role with oidc role_type is not allowed -> role_type_oidc');
    const impostor = await openIssuer({ issuer: issuer.issuer });
    t.after(() => impostor.close());
    assert.equal(
      await send({ role: 'app', jwt: await impostor.mint(fine) }),
      `${invalid} error verifying token signature: failed to verify id token signature -> signature_invalid`,
    );
    const [, payload] = (await issuer.mint(fine)).split('.');
    const symmetric = `${Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')}.${payload}.c2ln`;
    assert.match(await send({ role: 'app', jwt: symmetric }), /^400 error validating token: .* -> algorithm_refused$/);
  });

  test('Vault refetches rotated keys, and reports an unreachable issuer', async (t) => {
    const { issuer, vault, logIn } = await setUp(t, open);
    assert.equal(told(await logIn()), '200  -> granted');
    await issuer.rotateKeys(false);
    assert.equal(told(await logIn()), '200  -> granted');
    await issuer.rotateKeys(false);
    issuer.setDown(true);
    assert.match(told(await logIn()), /^400 error validating token: .*fetching keys.* -> issuer_unreachable$/);
    issuer.setDown(false);
    assert.equal(told(await logIn()), '200  -> granted');
    await vault.write('sys/auth/blank', { type: 'jwt' });
    assert.equal(
      told(await vault.call('POST', 'auth/blank/login', { role: 'app', jwt: 'a.b.c' }, NOBODY)),
      '400 could not load configuration -> mount_unconfigured',
    );
  });

  test('a renewal extends the lease, is capped by the maximum TTL with a warning, and fails for a dead token', async (t) => {
    const { logIn, self } = await setUp(t, open, { ttl: '2s', max_ttl: '3s' });
    const { client_token: token } = authOf(await logIn());
    const capped = await until('a capped renewal', async () => {
      const answer = await self(token, 'renew');
      return authOf(answer).lease_duration < 2 && answer;
    });
    assert.match(
      String((capped.body['warnings'] as string[])[0]),
      /^TTL of "2s" exceeded the effective max_ttl of "[01]s"; TTL value is capped accordingly$/,
    );
    const dead = await until('the end', async () => {
      const answer = await self(token, 'renew');
      return answer.status !== 200 && told(answer, 'renew');
    });
    // which one depends on whether Vault has already removed the expired lease
    const ends = [...UNKNOWN_TOKEN, '500 1 error occurred: * past the max TTL, cannot renew -> renewal_exhausted'];
    assert.ok(ends.includes(dead), dead);
  });

  test('an explicit maximum TTL caps the lease from the start', async (t) => {
    const { logIn } = await setUp(t, open, { ttl: '1h', token_explicit_max_ttl: '10m' });
    const { lease_duration } = authOf(await logIn());
    assert.equal(lease_duration, 600);
  });

  test('a renewal of a periodic token extends it to its period', async (t) => {
    const { logIn, self } = await setUp(t, open, { ttl: undefined, period: '1m' });
    const { client_token, lease_duration } = authOf(await logIn());
    assert.deepEqual([lease_duration, authOf(await self(client_token, 'renew')).lease_duration], [60, 60]);
  });

  test("a batch token isn't renewable and has no accessor", async (t) => {
    const { logIn, self } = await setUp(t, open, { token_type: 'batch' });
    const auth = authOf(await logIn());
    assert.match(auth.client_token, /^(hv)?b\./);
    assert.deepEqual([auth['renewable'], auth['accessor'], auth['token_type']], [false, '', 'batch']);
    assert.equal(
      told(await self(auth.client_token, 'renew'), 'renew'),
      '400 batch tokens cannot be renewed -> renewal_impossible',
    );
  });

  test('a login returns the limited uses, and renewals spend them', async (t) => {
    const { logIn, self } = await setUp(t, open, { num_uses: 2 });
    const { client_token, num_uses } = authOf(await logIn());
    assert.equal(num_uses, 2);
    assert.equal(told(await self(client_token, 'renew'), 'renew'), '200  -> granted');
    // the last use revokes the token before its renewal is done
    assert.equal(told(await self(client_token, 'renew'), 'renew'), '400 token not found -> renewal_impossible');
    assert.match(told(await self(client_token, 'renew'), 'renew'), /^403 .*-> renewal_denied$/);
  });

  test('a token without the default policy may not renew itself', async (t) => {
    const { logIn, self } = await setUp(t, open, { token_no_default_policy: true });
    const { client_token } = authOf(await logIn());
    assert.equal(
      told(await self(client_token, 'renew'), 'renew'),
      '403 1 error occurred: * permission denied -> renewal_denied',
    );
  });

  test('Vault refuses to renew a revoked or unknown token', async (t) => {
    const { vault, logIn, self } = await setUp(t, open);
    const { client_token } = authOf(await logIn());
    assert.equal((await self(client_token, 'revoke')).status, 204);
    const isDenied = async (token: string) => {
      const words = told(await self(token, 'renew'), 'renew');
      assert.ok(UNKNOWN_TOKEN.includes(words), words);
    };
    await isDenied(client_token);
    const other = authOf(await logIn()).client_token;
    await vault.write('auth/token/revoke', { token: other });
    await isDenied(other);
    assert.equal(told(await self('', 'renew'), 'renew'), '403 permission denied -> renewal_denied');
  });

  test('Vault refuses to renew a token whose role was deleted', async (t) => {
    const { vault, logIn, self } = await setUp(t, open);
    const { client_token } = authOf(await logIn());
    await vault.call('DELETE', 'auth/jwt/role/app');
    assert.match(told(await self(client_token, 'renew'), 'renew'), /^500 .*role app does not exist.* -> role_deleted$/);
  });

  test('a wrapped login returns no token', async (t) => {
    const { issuer, vault } = await setUp(t, open);
    const body = { role: 'app', jwt: await issuer.mint() };
    const answer = await vault.call('POST', 'auth/jwt/login', body, { ...NOBODY, 'x-vault-wrap-ttl': '60s' });
    assert.equal(answer.body['auth'], null);
    assert.equal((answer.body['wrap_info'] as { ttl: number }).ttl, 60);
    assert.equal(told(answer), '200  -> token_wrapped');
  });

  test('a sealed Vault refuses logins until it is unsealed', async (t) => {
    const { vault, logIn } = await setUp(t, open);
    await vault.seal();
    assert.equal(told(await logIn()), '503 Vault is sealed -> vault_sealed');
    assert.equal((await vault.call('GET', 'sys/health')).status, 503);
    await vault.unseal();
    assert.equal(told(await logIn()), '200  -> granted');
  });

  test('a rate limit returns 429', async (t) => {
    const { vault, logIn } = await setUp(t, open);
    await vault.write('sys/quotas/rate-limit/small', { rate: 1, interval: '1m' });
    assert.equal(told(await logIn()), '200  -> granted');
    assert.equal(
      told(await logIn()),
      '429 request path "auth/jwt/login": rate limit quota exceeded -> vault_rate_limited',
    );
  });

  test("the administrator's API returns the same errors and data", async (t) => {
    const { issuer, vault } = await setUp(t, open);
    const errors = async (method: string, path: string, body?: unknown) => {
      const answer = await vault.call(method, path, body);
      return `${answer.status} ${(answer.body['errors'] as string[] | undefined)?.join() ?? ''}`;
    };
    assert.equal(await errors('POST', 'sys/auth/jwt', { type: 'jwt' }), '400 path is already in use at jwt/');
    assert.equal(
      await errors('POST', 'auth/none/config', { oidc_discovery_url: issuer.issuer }),
      '404 no handler for route "auth/none/config". route entry not found.',
    );
    assert.equal(
      await errors('POST', 'auth/jwt/config', { oidc_discovery_url: 'http://127.0.0.1:1' }),
      '400 error checking oidc discovery URL',
    );
    assert.equal(await errors('GET', 'auth/jwt/role/none'), '404 ');
    assert.equal(
      await errors('POST', 'auth/jwt/role/x', { role_type: 'jwt' }),
      '400 a user claim must be defined on the role',
    );
    assert.equal(
      await errors('POST', 'auth/jwt/role/x', { role_type: 'jwt', user_claim: 'sub' }),
      '400 must have at least one bound constraint when creating/updating a role',
    );
    await vault.write('sys/policies/acl/app-read', { policy: 'path "secret/*" { capabilities = ["read"] }' });
    const data = async (path: string) => (await vault.call('GET', path)).body['data'] as Record<string, unknown>;
    assert.match(String((await data('sys/policies/acl/app-read'))['policy']), /^path/);
    const { role_type, user_claim, bound_audiences, token_policies, token_ttl } = await data('auth/jwt/role/app');
    assert.deepEqual(
      { role_type, user_claim, bound_audiences, token_policies, token_ttl },
      {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: ['vault'],
        token_policies: ['app-read'],
        token_ttl: 3600,
      },
    );
    assert.equal((await data('auth/jwt/config'))['bound_issuer'], issuer.issuer);
    assert.equal(((await data('sys/auth'))['jwt/'] as { type: string }).type, 'jwt');
  });
}
