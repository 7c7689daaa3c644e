// A secret can't be printed by accident, in any way of JavaScript.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  isTokenText,
  linesWithoutControls,
  Secret,
  scrub,
  shortened,
  unprintableIn,
  withoutControls,
} from '../../src/core/secret.ts';

const secret = new Secret('hvs.CAESIverysecret');

test('string conversion, JSON, inspection, spreading and errors show [redacted] (V5)', () => {
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

test('scrub removes JWTs, Vault tokens and known secrets', () => {
  const text = scrub(
    'a eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln b hvb.AAAAAQexample c s.abcdefghijklmnopqrstuvwx d plain-secret',
    [new Secret('plain-secret')],
  );
  assert.equal(text, 'a [redacted] b [redacted] c [redacted] d [redacted]');
});

test('a known secret of eight characters is taken out; a shorter one would take out words', () => {
  assert.equal(
    scrub('say eightch. or seven.', [new Secret('eightch.'), new Secret('or seve')]),
    'say [redacted] or seven.',
  );
});

test('a Vault token is one printable word of 8 to 8192 characters', () => {
  const lengths = [7, 8, 8192, 8193];
  assert.deepEqual(
    lengths.map((length) => isTokenText('x'.repeat(length))),
    [false, true, true, false],
  );
  for (const text of ['hvs.two words', 'hvs.with\nline', 'hvs.\u007fdelete', 'hvs.\u00fcmlaut'])
    assert.equal(isTokenText(text), false, text);
});

test('shows control and invisible characters as U+FFFD (K18)', () => {
  const bad = [
    '\u001b',
    '\n',
    '\r',
    '\t',
    '\u0085',
    '\u009b',
    '\u202e',
    '\u2066',
    '\u200b',
    '\ufeff',
    '\u2028',
    '\u2029',
    '\u{e0041}',
    '\ud800',
  ];
  for (const one of bad) assert.equal(withoutControls(`a${one}b`), 'a\ufffdb', JSON.stringify(one));
  const fine = 'Zürich, 東京, 🙂 \u00a0 ~';
  assert.equal(withoutControls(fine), fine);
  assert.equal(unprintableIn(fine), undefined);
  assert.equal(unprintableIn('a\u{e0041}'), 'U+E0041');
  assert.equal(linesWithoutControls('a\r\nb\u001b\n'), 'a\ufffd\nb\ufffd\n');
});

test('a long text is truncated with a mark, and never within a character', () => {
  assert.equal(shortened('abcde', 5), 'abcde');
  assert.equal(shortened('abcdef', 5), 'abcde...');
  assert.equal(shortened('🙂🙂', 3), '🙂\ufffd...');
});
