// Decoding the workload JWT: any text gives a JWT with valid claims, or a failure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeWorkloadJwt, isOlder, isStale, type WorkloadJwt } from '../../src/core/workload-jwt.ts';
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

test('reports an unexpected claim with the expected and the actual value', () => {
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

test('a JWT is stale after 90 % of its lifetime (A20)', () => {
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
