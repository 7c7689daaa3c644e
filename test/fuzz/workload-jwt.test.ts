// Any content of the JWT's file gives a JWT with valid claims, or a failure that doesn't quote it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ERRORS, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeWorkloadJwt, isExpired, isOlder, isStale } from '../../src/core/workload-jwt.ts';

const CLAIMS = ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', '__proto__', 'constructor'];
const encode = (text: string): string => Buffer.from(text).toString('base64url');
const objectText = fc
  .dictionary(
    fc.constantFrom(...CLAIMS),
    fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.double(), fc.bigInt().map(Number)),
  )
  .map((claims) => JSON.stringify(claims));
/** invalid payloads; JSON.parse reads 1e999 as Infinity */
const odd = fc.constantFrom('{"exp":1e999}', '{"exp":-1e999,"iat":1e999}', '[]', 'null', '"x"', '{', '', '\u0000');
const part = fc.oneof(
  { weight: 4, arbitrary: objectText.map(encode) },
  fc.oneof(odd, fc.string({ unit: 'binary' })).map(encode),
  fc.string(),
);
const text = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(part, part, part).map((parts) => parts.join('.')) },
  fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const expected = fc.oneof(
  fc.constant({}),
  fc.record({ issuer: fc.string(), audience: fc.string(), subject: fc.string() }, { requiredKeys: [] }),
);

test("any text gives a JWT with valid claims, or a failure that doesn't quote it (A13, A14)", () => {
  let decoded = 0;
  fc.assert(
    fc.property(text, expected, fc.double(), (jwt, wanted, wall) => {
      const outcome = decodeWorkloadJwt(new Secret(jwt), wanted);
      if ('code' in outcome) {
        assert.ok(outcome.code in ERRORS);
        if (jwt.length > 20) assert.ok(!(explain(outcome).evidence ?? '').includes(jwt));
        assert.match(explain(outcome).evidence ?? '', /^\P{Cc}*$/u);
        return;
      }
      decoded += 1;
      for (const at of [outcome.issuedAt, outcome.notBefore, outcome.expiresAt])
        assert.ok(at === undefined || (Number.isInteger(at) && at >= 1e12 && at <= 1e13), String(at));
      assert.ok(outcome.audience.every((one) => typeof one === 'string'));
      for (const claim of [outcome.issuer, outcome.subject])
        assert.ok(claim === undefined || typeof claim === 'string');
      for (const judged of [isStale(outcome, wall), isExpired(outcome, wall), isOlder(outcome, outcome)])
        assert.equal(typeof judged, 'boolean');
    }),
    { numRuns: 800 },
  );
  assert.ok(decoded > 20, `the texts are not all rubbish: ${decoded} were taken`);
});

test('evidence has no control characters from claims (A13)', () => {
  const jwt = ['{"alg":"ES256"}', JSON.stringify({ iss: 'a\u001b[2Jb\u009b2Jc' }), 'x'].map(encode).join('.');
  const outcome = decodeWorkloadJwt(new Secret(jwt), { issuer: 'https://issuer' });
  assert.ok('code' in outcome && outcome.code === 'jwt_wrong_issuer');
  assert.match(explain(outcome).evidence ?? '', /^\P{Cc}*$/u);
});
