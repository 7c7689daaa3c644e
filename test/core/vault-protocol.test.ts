// The classification of every kind of reply of Vault, or of another server in its place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  identityRequest,
  judgeGrant,
  judgeIdentity,
  judgeRefusal,
  judgeRevocation,
  loginRequest,
  lookupRequest,
  renewalRequest,
  requestIdOf,
  revocationRequest,
  type VaultReply,
} from '../../src/core/vault-protocol.ts';

const JWT = new Secret('eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl');
const AUTH = {
  client_token: 'hvs.CAESIexample',
  accessor: 'acc',
  lease_duration: 3600,
  renewable: true,
  token_type: 'service',
  policies: ['app'],
  num_uses: 0,
};

const reply = (status: number, body: unknown, headers: Record<string, string> = {}): VaultReply => ({
  status,
  headers,
  body: new Secret(typeof body === 'string' ? body : JSON.stringify(body)),
  durationMs: 1,
});
test('the id of a request is a safe line without its secrets; a reply with an error has none', () => {
  const token = new Secret('a-token-without-a-prefix');
  const idIn = (request_id: unknown, more: object = {}) =>
    requestIdOf(reply(200, { request_id, ...more }), { ...renewalRequest({ mount: 'jwt', role: 'app' }, token) });
  assert.equal(idIn('36f7a5a6-7a5c'), '36f7a5a6-7a5c');
  for (const id of [undefined, 7, '']) assert.equal(idIn(id), undefined);
  assert.equal(idIn(`of ${token.reveal()}`), 'of [redacted]');
  assert.equal(idIn('of another-plain-token', { auth: { client_token: 'another-plain-token' } }), 'of [redacted]');
  const login = loginRequest({ mount: 'jwt', role: 'app' }, JWT);
  assert.equal(requestIdOf(reply(200, { request_id: 'one' }), login), 'one');
});

const loginCode = (status: number, body: unknown): string | undefined =>
  codeIn(judgeGrant('login', reply(status, body), [JWT]));
const renewalCode = (status: number, body: unknown): string | undefined =>
  codeIn(judgeGrant('renew', reply(status, body), [JWT]));
const codeIn = (outcome: object): string | undefined => ('code' in outcome ? String(outcome.code) : undefined);
const errors = (...words: string[]) => ({ errors: words });

test('a login is one POST with the role and the JWT', () => {
  const request = loginRequest({ mount: 'team/jwt 2', role: 'app', namespace: 'ns' }, JWT);
  assert.equal(request.path, '/v1/auth/team/jwt%202/login');
  assert.equal(request.namespace, 'ns');
  assert.deepEqual(JSON.parse(request.body?.reveal() ?? ''), { role: 'app', jwt: JWT.reveal() });
  assert.ok(!JSON.stringify(request).includes('eyJ'));
});

test('a namespace goes with each request where there is one', () => {
  const token = new Secret('hvs.CAESIexample');
  const vault = { address: 'http://v', tls: {}, timeoutMs: 1, redirectHosts: [], useProxyEnv: false };
  const requests = (namespace?: string) => {
    const inNamespace = namespace === undefined ? {} : { namespace };
    const login = { mount: 'jwt', role: 'app', ...inNamespace };
    const identityVault = { ...vault, ...inNamespace };
    return [
      loginRequest(login, JWT),
      renewalRequest(login, token),
      revocationRequest({ address: 'http://v', namespace }, token),
      lookupRequest(login, token),
      identityRequest({ kind: 'vault-identity', role: 'a b', vault: identityVault, token: { file: '/t' } }, token),
    ];
  };
  assert.deepEqual(
    requests('ns').map(({ method, path, namespace }) => `${method} ${path} ${namespace}`),
    [
      'POST /v1/auth/jwt/login ns',
      'POST /v1/auth/token/renew-self ns',
      'POST /v1/auth/token/revoke-self ns',
      'GET /v1/auth/token/lookup-self ns',
      'GET /v1/identity/oidc/token/a%20b ns',
    ],
  );
  for (const request of requests()) assert.ok(!('namespace' in request), request.path);
});

test('a plain grant', () => {
  const grant = judgeGrant('login', reply(200, { auth: AUTH, warnings: ['TTL of "2h" exceeded'] }), [JWT]);
  assert.ok(!('code' in grant));
  assert.equal(grant.secret.reveal(), AUTH.client_token);
  assert.deepEqual(
    [grant.leaseMs, grant.renewable, grant.policies, grant.warnings],
    [3_600_000, true, ['app'], ['TTL of "2h" exceeded']],
  );
});

test('classifies extreme and malformed leases, and caps them at ten years (C19)', () => {
  const lease = (value: unknown) => {
    const grant = judgeGrant('login', reply(200, { auth: { ...AUTH, lease_duration: value } }), [JWT]);
    return 'code' in grant ? grant.code : [grant.leaseMs, grant.renewable];
  };
  assert.deepEqual(lease(0), [3_600_000, false]);
  assert.deepEqual(lease(1.5), [1500, true]);
  assert.deepEqual(lease(1e18), [315_360_000_000, true]);
  assert.deepEqual(lease(2_764_800), [2_764_800_000, true]);
  for (const odd of [-1, null, '3600', undefined, [], {}]) assert.equal(lease(odd), 'bad_response');
  const endless = JSON.stringify({ auth: { ...AUTH, lease_duration: 7 } }).replace(':7', ':1e999');
  assert.equal(loginCode(200, endless), 'bad_response');
});

test('a lease is at least a millisecond, and what a grant leaves out has its default', () => {
  const grantOf = (auth: object) => {
    const grant = judgeGrant('login', reply(200, { auth: { client_token: AUTH.client_token, ...auth } }), [JWT]);
    assert.ok(!('code' in grant));
    return grant;
  };
  assert.equal(grantOf({ lease_duration: 0.0001 }).leaseMs, 1);
  const { secret: _, ...bare } = grantOf({ lease_duration: 60 });
  assert.deepEqual(bare, {
    accessor: '',
    leaseMs: 60_000,
    renewable: false,
    type: 'service',
    numUses: 0,
    policies: [],
    warnings: [],
  });
  const odd = { renewable: 'true', num_uses: '3', policies: ['a', 7], accessor: 7, token_type: 'batch' };
  const { policies, accessor, type, numUses, renewable } = grantOf({ lease_duration: 60, ...odd });
  assert.deepEqual([policies, accessor, type, numUses, renewable], [['a'], '', 'batch', 0, false]);
  assert.equal(grantOf({ lease_duration: 60, num_uses: -1, renewable: true }).renewable, true);
  assert.equal(grantOf({ lease_duration: 60, num_uses: 1 }).numUses, 1);
});

test('an identity token is taken with status 200 alone', () => {
  const judged = (status: number, body: unknown) => {
    const outcome = judgeIdentity(reply(status, body), []);
    return outcome instanceof Secret ? outcome.reveal() : outcome.code;
  };
  const data = { token: 'a.b.c' };
  assert.equal(judged(200, { data }), 'a.b.c');
  assert.equal(judged(200, { data: { token: 7 } }), 'bad_response');
  assert.equal(judged(200, { data: null }), 'bad_response');
  assert.deepEqual(
    [202, 400, 403, 404, 405, 500].map((status) => judged(status, { data })),
    ['bad_response', 'identity_refused', 'identity_refused', 'identity_refused', 'bad_response', 'vault_unavailable'],
  );
});

test('a token with limited uses is never renewed (C21)', () => {
  const grant = judgeGrant('login', reply(200, { auth: { ...AUTH, num_uses: 3 } }), [JWT]);
  assert.ok(!('code' in grant) && !grant.renewable && grant.numUses === 3);
});

test('refuses a reply without a token (C22)', () => {
  assert.equal(loginCode(200, { auth: null }), 'bad_response');
  assert.equal(loginCode(200, { auth: { ...AUTH, client_token: '' } }), 'bad_response');
  assert.equal(loginCode(200, { auth: null, wrap_info: { token: 'hvs.wrapping' } }), 'token_wrapped');
  assert.equal(
    loginCode(200, { auth: { ...AUTH, client_token: '', mfa_requirement: { mfa_request_id: 'x' } } }),
    'mfa_required',
  );
});

test('refuses a malformed token (C23)', () => {
  for (const token of ['hvs.with\nnewline', 'hvs.with\0nul', 'x'.repeat(100_000), 'hvs.ünïcode', 'short', 7, null]) {
    assert.equal(loginCode(200, { auth: { ...AUTH, client_token: token } }), 'bad_response');
  }
});

test("refuses replies that are not Vault's (C24, C27)", () => {
  for (const body of ['<html>', '', '[]', 'null', '"text"', '{"auth"', '{"auth":[]}'])
    assert.equal(loginCode(200, body), 'bad_response');
  assert.equal(renewalCode(204, ''), 'bad_response');
  assert.equal(loginCode(400, '<html>Bad Request</html>'), 'bad_response');
  assert.equal(loginCode(400, 'Client sent an HTTP request to an HTTPS server.\n'), 'vault_not_http');
});

const LOGIN_REFUSALS: readonly (readonly [number, string, string])[] = [
  [400, 'could not load configuration', 'mount_unconfigured'],
  [400, 'missing role', 'role_missing'],
  [400, 'role "app" could not be found', 'role_missing'],
  [400, 'role with oidc role_type is not allowed', 'role_type_oidc'],
  [
    400,
    'error configuring token validator: keyset configuration error: Get "https://x": dial tcp: lookup x',
    'issuer_unreachable',
  ],
  [
    400,
    'error configuring token validator: keyset configuration error: Get "https://x": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'issuer_tls',
  ],
  [
    400,
    'error validating token: error verifying token signature: fetching keys oidc: get keys failed Get "https://x": tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
    'issuer_tls',
  ],
  [
    400,
    'error configuring token validator: keyset configuration error: issuer did not match the returned issuer, expected "a" got "b"',
    'mount_misconfigured',
  ],
  [400, 'error configuring token validator: unsupported config type', 'mount_misconfigured'],
  [
    400,
    'error validating token: error verifying token signature: fetching keys oidc: get keys failed',
    'issuer_unreachable',
  ],
  [
    400,
    'error validating token: error verifying token signature: failed to verify id token signature',
    'signature_invalid',
  ],
  [400, 'error validating token: error verifying token signature: oidc: malformed jwt: three parts', 'jwt_refused'],
  [400, 'error validating token: no known key successfully validated the token signature', 'signature_invalid'],
  [
    400,
    'error validating token: invalid algorithm (alg) header parameter: unsupported signing algorithm "HS256"',
    'algorithm_refused',
  ],
  [400, 'error validating token: invalid issuer (iss) claim', 'issuer_mismatch'],
  [400, 'error validating token: invalid subject (sub) claim', 'subject_mismatch'],
  [
    400,
    'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
    'audience_mismatch',
  ],
  [400, 'audience claim found in JWT but no audiences bound to the role', 'audience_unbound'],
  [400, 'error validating token: invalid expiration time (exp) claim: token is expired', 'jwt_expired'],
  [400, 'error validating token: invalid not before (nbf) claim: token not yet valid', 'jwt_not_yet_valid'],
  [400, 'error validating token: invalid issued at (iat) claim: token issued in the future', 'jwt_not_yet_valid'],
  [
    400,
    'error validating token: no issued at (iat), not before (nbf), or expiration time (exp) claims in token',
    'jwt_refused',
  ],
  [400, 'claim "email" not found in token', 'claims_mismatch'],
  [400, 'error validating claims: claim "ref" does not match any associated bound claim values', 'claims_mismatch'],
  [400, 'something that no version says yet', 'login_refused'],
  [403, 'permission denied', 'login_forbidden'],
  [404, 'no handler for route "auth/jwt/login"', 'mount_missing'],
  [429, 'request path "auth/jwt/login": rate limit quota exceeded', 'vault_rate_limited'],
  [500, 'internal error', 'vault_unavailable'],
  [501, 'Vault is not initialized', 'vault_uninitialized'],
  [503, 'Vault is sealed', 'vault_sealed'],
  [503, 'no active Vault instance found', 'vault_no_leader'],
  [503, 'API access to this namespace has been locked by an administrator', 'vault_locked'],
  [412, 'required index state not present', 'vault_behind'],
  [307, '', 'redirect_blocked'],
];

test('a status at the edge of its class is read as what it is', () => {
  for (const [status, code] of [
    [204, 'bad_response'],
    [299, 'bad_response'],
    [300, 'redirect_blocked'],
    [399, 'redirect_blocked'],
    [400, 'bad_response'],
    [405, 'mount_missing'],
    [499, 'bad_response'],
    [500, 'vault_unavailable'],
  ] as const)
    assert.equal(loginCode(status, ''), code, `${status}`);
  assert.equal(loginCode(503, errors('no leader')), 'vault_no_leader');
  assert.equal(loginCode(503, errors('something else')), 'vault_unavailable');
  assert.equal(loginCode(500, errors('Vault is sealed')), 'vault_unavailable');
  assert.equal(loginCode(500, errors('no active Vault')), 'vault_unavailable');
  assert.equal(loginCode(403, 'Client sent an HTTP request to an HTTPS server'), 'login_forbidden');
  assert.equal(loginCode(402, 'Client sent an HTTP request to an HTTPS server'), 'bad_response');
  for (const [status, code] of [
    [399, 'redirect_blocked'],
    [400, 'setup_refused'],
    [409, 'setup_refused'],
    [410, 'bad_response'],
  ] as const)
    assert.equal(judgeRefusal('setup', reply(status, errors('no')), []).code, code, `${status}`);
  assert.equal(judgeRefusal('health', reply(403, ''), []).code, 'bad_response');
});

test('evidence is the status alone where Vault has no words', () => {
  const evidence = (body: unknown) => explain(judgeRefusal('login', reply(404, body), [])).evidence;
  assert.deepEqual(
    [evidence(''), evidence({ errors: [] }), evidence({ errors: 'no list' }), evidence(errors('one', 'two'))],
    ['status 404', 'status 404', 'status 404', 'status 404, one; two'],
  );
});

test('maps the messages of refused logins to codes', () => {
  for (const [status, words, code] of LOGIN_REFUSALS) assert.equal(loginCode(status, errors(words)), code, words);
});

test('classifies each error of a refused renewal', () => {
  assert.equal(
    renewalCode(403, errors('2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')),
    'renewal_denied',
  );
  assert.equal(renewalCode(400, errors('batch tokens cannot be renewed')), 'renewal_impossible');
  assert.equal(renewalCode(400, errors('lease is not renewable')), 'renewal_impossible');
  assert.equal(renewalCode(500, errors('past the max TTL, cannot renew')), 'renewal_exhausted');
  assert.equal(renewalCode(500, errors('role app does not exist during renewal')), 'role_deleted');
  assert.equal(renewalCode(500, errors('failed to validate role app during renewal: x')), 'role_deleted');
  assert.equal(renewalCode(500, errors('failed to fetch role_name during renewal')), 'role_deleted');
  // OpenBao, for a CEL role
  assert.equal(renewalCode(500, errors('cel role app does not exist during renewal')), 'role_deleted');
  assert.equal(renewalCode(500, errors('failed to validate cel role app during renewal: x')), 'role_deleted');
  assert.equal(renewalCode(500, errors('failed to fetch cel role_name during renewal')), 'role_deleted');
  assert.equal(renewalCode(500, errors('internal error')), 'vault_unavailable');
  assert.equal(renewalCode(400, errors('something new')), 'renewal_impossible');
  assert.equal(renewalCode(400, ''), 'bad_response');
  assert.deepEqual([renewalCode(404, ''), renewalCode(403, '')], ['renewal_denied', 'renewal_denied']);
  assert.equal(renewalCode(503, errors('past the max TTL')), 'vault_unavailable');
  assert.equal(renewalCode(503, errors('Vault is sealed')), 'vault_sealed');
});

test('a revocation is well with 204', () => {
  assert.equal(judgeRevocation(reply(200, ''), []), undefined);
  assert.equal(judgeRevocation(reply(202, ''), [])?.code, 'bad_response');
  assert.equal(judgeRevocation(reply(204, ''), []), undefined);
  assert.equal(judgeRevocation(reply(403, errors('permission denied')), [])?.code, 'revocation_denied');
});

test('reads Retry-After as seconds or as a date, and ignores malformed values (C7)', () => {
  const asked = (headers: Record<string, string>) => {
    const outcome = judgeGrant('login', reply(429, errors('rate limit quota exceeded'), headers), []);
    return 'code' in outcome ? outcome.retryAfterMs : undefined;
  };
  assert.equal(asked({ 'retry-after': '30' }), 30_000);
  assert.equal(
    asked({ 'retry-after': 'Tue, 03 Nov 2026 10:00:30 GMT', date: 'Tue, 03 Nov 2026 10:00:00 GMT' }),
    30_000,
  );
  for (const date of ['Tue, 03 Nov 2026 10:00:30 GMT', 'Tue, 03 Nov 2026 10:00:31 GMT'])
    assert.equal(asked({ 'retry-after': 'Tue, 03 Nov 2026 10:00:30 GMT', date }), undefined, 'no time left');
  assert.equal(asked({ 'retry-after': 'Tue, 03 Nov 2026 10:00:30 GMT' }), undefined);
  assert.ok(!('retryAfterMs' in judgeRefusal('login', reply(429, ''), [])));
  for (const odd of ['-1', 'soon', '', '1e9', 'NaN']) assert.equal(asked({ 'retry-after': odd }), undefined);
});

test("evidence is one line of Vault's error without known secrets or anything like a secret (V5)", () => {
  const outcome = judgeGrant('login', reply(400, errors(`bad\n\tthing ${JWT.reveal()} and hvs.CAESIJabcdefgh`)), [JWT]);
  assert.ok('code' in outcome);
  assert.equal(explain(outcome).evidence, 'status 400, bad thing [redacted] and [redacted]');
});

test('any bytes of a reply are classified without an exception, and the body is never in the evidence', () => {
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string().map((text) => JSON.stringify({ auth: { client_token: text, lease_duration: 5 } })),
  );
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 599 }), body, (status, text) => {
      for (const operation of ['login', 'renew', 'revoke'] as const) {
        const outcome = judgeGrant(operation, reply(status, text), [JWT]);
        if ('code' in outcome) assert.ok((explain(outcome).evidence ?? '').length < 400);
        else assert.match(outcome.secret.reveal(), /^[\x21-\x7e]{8,8192}$/);
      }
    }),
  );
});
