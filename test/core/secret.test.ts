// A secret can't be printed by accident, in any of the ways that JavaScript has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Secret, scrub } from '../../src/core/secret.ts';

const secret = new Secret('hvs.CAESIverysecret');

test('text, JSON, inspection, spreading and errors show [redacted] (V5)', () => {
  const shown = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }),
    inspect(secret, { showHidden: true }),
    `${secret}x`,
  ];
  shown.push(JSON.stringify({ ...secret }), String(new Error(`${secret}`)), Object.values(secret).join());
  for (const text of shown) assert.ok(!text.includes('very'), text);
  assert.equal(secret.reveal(), 'hvs.CAESIverysecret');
});

test('scrub takes out what looks like a JWT or a Vault token, and what is known', () => {
  const text = scrub(
    'a eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln b hvb.AAAAAQexample c s.abcdefghijklmnopqrstuvwx d plain-secret',
    [new Secret('plain-secret')],
  );
  assert.equal(text, 'a [redacted] b [redacted] c [redacted] d [redacted]');
});
