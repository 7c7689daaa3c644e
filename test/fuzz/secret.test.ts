// The scrubber, the last step before a log line, removes JWTs and Vault tokens from any text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Secret, scrub } from '../../src/core/secret.ts';
import { openLooseLog } from '../support/loose-log.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const random = (length: number) => fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{${length}}$`));
/** compact, or with whitespace, as some issuers write it */
const joseHeader = fc.constantFrom(
  '{"alg":"ES256"}',
  '{ "alg": "RS256" }',
  '{\n  "alg": "ES256"\n}',
  '{\r\n"alg":"PS256"}',
  '{\t"alg":"ES256"}',
);
const jwt = fc.tuple(
  joseHeader.map(encode),
  fc.jsonValue().map((value) => encode(JSON.stringify({ value }))),
  random(86),
);
/** [the part that must not be seen, the token] */
const jwtText = jwt.map((parts) => [parts[2], parts.join('.')] as const);
const today = fc.tuple(fc.constantFrom('hvs.', 'hvb.', 'hvr.'), random(90));
// Vault before 1.10, and OpenBao: service tokens are base62, batch tokens base64url
const old = fc.oneof(
  fc.tuple(fc.constantFrom('s.', 'r.'), fc.stringMatching(/^[A-Za-z0-9]{24}$/)),
  fc.tuple(
    fc.constant('b.'),
    random(90).map((text) => `AAAAAQ${text}`),
  ),
);
const token = fc.oneof(today, old).map(([prefix, text]) => [text, prefix + text] as const);
const around = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\n', '\t', 'a\r\n', '\u001b', '"', "'", '=', 'Bearer ', '/', '\\', 'é', '\u2028', '_', '{"a":"'),
);
/** text that ends in a delimiter, without which an old token is an ordinary word */
const delimited = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => `${text} `),
  fc.constantFrom('\n', '\t', '"', '=', '/', '\u001b', ''),
);

const secret = fc.oneof(
  fc.tuple(
    around,
    fc.oneof(
      jwtText,
      today.map(([prefix, text]) => [text, prefix + text] as const),
    ),
    around,
  ),
  fc.tuple(delimited, token, delimited),
);

test('removes a JWT or a Vault token from any surrounding text (J9)', () => {
  fc.assert(
    fc.property(secret, ([before, [part, whole], after]) => {
      const clean = scrub(before + whole + after);
      assert.ok(!clean.includes(whole) && !clean.includes(part), clean);
      assert.ok(!clean.includes(part.slice(-20)), clean);
    }),
    { numRuns: 1500 },
  );
});

test('removes secrets from log lines, where JSON escapes the surrounding text (J9)', () => {
  const lines: string[] = [];
  const log = openLooseLog(
    'info',
    (line) => void lines.push(line),
    () => {},
  );
  fc.assert(
    fc.property(secret, ([before, [part, whole], after]) => {
      lines.length = 0;
      log.write('info', 'told', { evidence: before + whole + after, list: [whole] });
      assert.ok(!lines.join('').includes(part.slice(-20)), lines.join(''));
      JSON.parse(lines.join(''));
    }),
    { numRuns: 1500 },
  );
});

test('removes a known secret in any format, and keeps ordinary text', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[\x21-\x7e]{8,40}$/), fc.string(), fc.string(), (known, before, after) => {
      fc.pre(!'[redacted]'.includes(known));
      assert.ok(!scrub(`${before} ${known} ${after}`, [new Secret(known)]).includes(known));
    }),
  );
  for (const plain of [
    'https://vault.example.com:8200/v1/auth/jwt/login',
    'https://vaults.averyveryverylongcompanyname.example',
    'system:serviceaccount:default:app',
    'error validating token: invalid audience (aud) claim',
    'Post "https://servers.internal.example/keys": EOF',
  ])
    assert.equal(scrub(plain), plain);
});
