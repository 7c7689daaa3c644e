// Decoding the workload JWT: any text gives a JWT with valid claims, or a failure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  claimAt,
  decodeWorkloadJwt,
  isExpired,
  isOlder,
  isStale,
  readJwt,
  shownClaims,
  type WorkloadJwt,
} from '../../src/core/workload-jwt.ts';
import { jwtText } from '../support/jwt-text.ts';

const decode = (text: string, expected = {}) => decodeWorkloadJwt(new Secret(text), expected);

function decoded(text: string): WorkloadJwt {
  const jwt = decode(text);
  assert.ok(!('code' in jwt));
  return jwt;
}

test('decodes issuer, subject, audience and times of a Kubernetes token', () => {
  const jwt = decoded(jwtText({ iat: 1_790_000_000, nbf: 1_790_000_000, exp: 1_790_003_600 }));
  assert.equal(jwt.subject, 'system:serviceaccount:default:app');
  assert.deepEqual(jwt.audience, ['vault']);
  assert.equal(jwt.expiresAt, 1_790_003_600_000);
});

test('accepts an audience that is a string', () =>
  assert.deepEqual(decoded(jwtText({ aud: 'https://gitlab.oidc.pub' })).audience, ['https://gitlab.oidc.pub']));

test('refuses a malformed JWT, without its text in the evidence (A13)', () => {
  const payloadArray = `${jwtText().split('.')[0]}.${Buffer.from('[1]').toString('base64url')}.c2ln`;
  for (const text of [
    'not-a-jwt',
    'a.b.c.d.e',
    '!!.!!.!!',
    'eyJ.eyJ.sig',
    payloadArray,
    jwtText().slice(0, 40),
    'a.b.',
    '..',
  ]) {
    const failure = decode(text);
    assert.ok('code' in failure && failure.code === 'jwt_malformed', text);
    assert.ok(!(explain(failure).evidence ?? '').includes(text));
  }
});

test('treats an exp that is not a valid date as absent (A14)', () => {
  for (const exp of ['1790003600', -1, 1e300, 1_790_003_600_000, null, undefined, {}]) {
    assert.equal(decoded(jwtText({ exp })).expiresAt, undefined);
  }
});

test('an instant is a date from 2001 to 2286, in whole milliseconds', () => {
  const expiresAt = (exp: number) => decoded(jwtText({ exp })).expiresAt;
  assert.deepEqual([expiresAt(1e9 - 1), expiresAt(1e9)], [undefined, 1e12]);
  assert.deepEqual([expiresAt(1e10), expiresAt(1e10 + 1)], [1e13, undefined]);
  assert.equal(expiresAt(1_790_003_600.0009), 1_790_003_600_000);
});

test('a malformed JWT is described by the number of its parts', () => {
  const evidence = (text: string) => {
    const failure = decode(text);
    return 'code' in failure ? explain(failure).evidence : 'fine';
  };
  assert.equal(evidence('word'), 'it has 1 part instead of 3');
  assert.equal(evidence('a.b'), 'it has 2 parts instead of 3');
});

test('names the text around a JWT', () => {
  const jwt = jwtText();
  const evidence = (text: string) => {
    const failure = decode(text);
    return 'code' in failure ? `${failure.code}: ${explain(failure).evidence}` : 'fine';
  };
  for (const [text, words] of [
    [`Bearer ${jwt}`, 'jwt_wrapped: it begins with "Bearer"'],
    [`bearer\t${jwt}`, 'jwt_wrapped: it begins with "Bearer"'],
    [`Authorization: Bearer ${jwt}`, 'jwt_wrapped: it begins with "Bearer"'],
    [JSON.stringify({ token: jwt }), 'jwt_wrapped: it is in a JSON document'],
    [JSON.stringify([{ access_token: jwt }], undefined, 2), 'jwt_wrapped: it is in a JSON document'],
    [JSON.stringify(jwt), 'jwt_wrapped: it is in quotes'],
    [`'${jwt}'`, 'jwt_wrapped: it is in quotes'],
    [`JWT=${jwt}`, 'jwt_wrapped: there is other text before or after it'],
    [`${jwt}\n${jwt}`, 'jwt_wrapped: there is other text before or after it'],
    [`# ${jwt}`, 'jwt_wrapped: there is other text before or after it'],
    [`${jwt.slice(0, 30)}\n${jwt.slice(30)}`, 'jwt_malformed: there is whitespace in it'],
    [jwt.replaceAll('.', ' . '), 'jwt_malformed: there is whitespace in it'],
    ['hvs.CAESIJ-abcdefgh', 'jwt_malformed: it is a Vault token'],
    [`${jwt}.${jwt}`, 'jwt_malformed: it has 6 parts instead of 3'],
    [`${jwt}=`, 'jwt_malformed: a part is empty or not base64url'],
  ] as const)
    assert.equal(evidence(text), words, text.slice(0, 20));
});

test('names both values of a claim that differs from the expected one', () => {
  const evidence = (expected: object) => {
    const failure = decode(jwtText(), expected);
    return 'code' in failure ? `${failure.code}: ${explain(failure).evidence}` : 'fine';
  };
  assert.equal(
    evidence({ issuer: 'https://x' }),
    'jwt_wrong_issuer: iss is "https://k8s-prod.oidc.pub", expected "https://x"',
  );
  assert.equal(evidence({ audience: 'x' }), 'jwt_wrong_audience: aud is "vault", expected "x"');
  assert.equal(
    evidence({ subject: 'x' }),
    'jwt_wrong_subject: sub is "system:serviceaccount:default:app", expected "x"',
  );
  assert.equal(evidence({ audience: 'vault' }), 'fine');
  assert.equal(evidence({ issuer: 'https://k8s-prod.oidc.pub', subject: 'system:serviceaccount:default:app' }), 'fine');
  for (const aud of [undefined, '', []]) {
    const failure = decode(jwtText({ aud }), { audience: 'vault' });
    assert.equal('code' in failure && explain(failure).evidence, 'aud is none, expected "vault"');
  }
});

test('compares ages by iat, then by exp; a JWT without times is never older (A22)', () => {
  const [old, young] = [decoded(jwtText({ iat: 1_790_000_000 })), decoded(jwtText({ iat: 1_790_000_060 }))];
  assert.deepEqual([isOlder(old, young), isOlder(young, old), isOlder(old, old)], [true, false, false]);
  const [early, late] = [decoded(jwtText({ exp: 1_790_000_000 })), decoded(jwtText({ exp: 1_790_000_060 }))];
  assert.deepEqual(
    [isOlder(early, late), isOlder(late, early), isOlder(decoded(jwtText()), late)],
    [true, false, false],
  );
});

test('a JWT is older only where both have an iat, or both an exp', () => {
  const of = (claims: Record<string, unknown>) => decoded(jwtText(claims));
  const [early, late] = [
    { iat: 1_790_000_000, exp: 1_790_000_900 },
    { iat: 1_790_000_000, exp: 1_790_000_960 },
  ];
  assert.deepEqual([isOlder(of(early), of(late)), isOlder(of(late), of(early))], [true, false], 'the same iat');
  const [iatOnly, expOnly] = [of({ iat: 1_790_000_000 }), of({ exp: 1_790_000_960 })];
  assert.deepEqual([isOlder(iatOnly, expOnly), isOlder(expOnly, iatOnly)], [false, false]);
  assert.equal(isOlder(of({ exp: 1_790_000_900 }), of(late)), true);
  assert.equal(isOlder(of(late), of({ exp: 1_790_000_900 })), false);
  assert.equal(isOlder(of(late), of(late)), false);
});

test('a JWT expires at its exp; without one it never does', () => {
  const jwt = decoded(jwtText({ exp: 1_790_000_000 }));
  assert.deepEqual([isExpired(jwt, 1_789_999_999_999), isExpired(jwt, 1_790_000_000_000)], [false, true]);
  assert.equal(isExpired(decoded(jwtText()), 1e15), false);
});

test('stale without a usable iat is by nbf, else at expiry; without an exp it never is', () => {
  const staleAt = (claims: Record<string, unknown>, seconds: number) =>
    isStale(decoded(jwtText(claims)), seconds * 1000);
  const byNotBefore = { nbf: 1_790_000_000, exp: 1_790_001_000 };
  assert.deepEqual([staleAt(byNotBefore, 1_790_000_899), staleAt(byNotBefore, 1_790_000_900)], [false, true]);
  for (const claims of [{ exp: 1_790_001_000 }, { iat: 1_790_001_000, exp: 1_790_001_000 }])
    assert.deepEqual([staleAt(claims, 1_790_000_999), staleAt(claims, 1_790_001_000)], [false, true]);
  assert.equal(staleAt({ iat: 1_790_000_000 }, 2_000_000_000), false);
});

test('all claims are read for comparison, members of objects by JSON pointer', () => {
  const claims = { 'kubernetes.io': { namespace: 'team', 'a/b~c': 1 }, '/odd': 2 };
  const jwt = readJwt(new Secret(jwtText(claims)));
  assert.equal(claimAt(jwt?.claims ?? {}, 'sub'), 'system:serviceaccount:default:app');
  assert.equal(claimAt(claims, '/kubernetes.io/namespace'), 'team');
  assert.equal(claimAt(claims, '/kubernetes.io/a~1b~0c'), 1);
  assert.equal(claimAt({ text: 'a', none: null }, '/text/length'), undefined);
  assert.equal(claimAt({ text: 'a', none: null }, '/none/x'), undefined);
  assert.equal(readJwt(new Secret('no JWT')), undefined);
});

test('claims are shown short: ten audiences and a count of the rest, 200 characters each', () => {
  const audience = Array.from({ length: 11 }, (_, index) => `a${index}`);
  const shown = (count: number) => shownClaims({ issuer: undefined, subject: 's', audience: audience.slice(0, count) });
  assert.deepEqual(shown(10), { issuer: undefined, subject: 's', audience: audience.slice(0, 10) });
  assert.deepEqual(shown(11).audience, [...audience.slice(0, 10), 'and 1 more']);
  const { issuer } = shownClaims({ issuer: 'x'.repeat(201), subject: undefined, audience: [] });
  assert.equal(issuer, `${'x'.repeat(200)}...`);
});

test('stale is past 90 % of its life (A20)', () => {
  const jwt = decoded(jwtText({ iat: 1_790_000_000, exp: 1_790_001_000 }));
  assert.deepEqual([isStale(jwt, 1_790_000_899_000), isStale(jwt, 1_790_000_901_000)], [false, true]);
});

test('decodes any text without an exception', () => {
  const part = fc.oneof(
    fc.string(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  );
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), (parts) => void decode(parts.join('.'))));
});

test('a malformed JWT is malformed whatever is expected, and a header that is no JSON makes it so', () => {
  const codeOf = (text: string, expected = {}) => {
    const outcome = decode(text, expected);
    return 'code' in outcome ? outcome.code : 'fine';
  };
  assert.equal(codeOf('word', { issuer: 'https://x' }), 'jwt_malformed');
  const [, payload = '', signature = ''] = jwtText().split('.');
  assert.equal(codeOf(`bm90.${payload}.${signature}`), 'jwt_malformed');
});
