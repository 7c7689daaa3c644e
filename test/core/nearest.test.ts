// Did you mean: which names are near, and which aren't.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest, suggestion } from '../../src/core/nearest.ts';

const NAMES = ['run', 'once', 'status', 'token', 'token-helper', 'refresh', 'validate', 'version'];

test('finds the name that was meant', () => {
  for (const [given, name] of [
    ['rum', 'run'],
    ['rn', 'run'],
    ['urn', 'run'],
    ['RUN', 'run'],
    ['stauts', 'status'],
    ['satus', 'status'],
    ['tokens', 'token'],
    ['token-hepler', 'token-helper'],
    ['valid', 'validate'],
    ['refresch', 'refresh'],
  ] as const)
    assert.equal(nearest(given, NAMES), name, given);
});

test('finds nothing for a word that is far from every name', () => {
  for (const given of ['', 'x', 'va', 'start', 'kubernetes', 'a'.repeat(100_000)])
    assert.equal(nearest(given, NAMES), undefined, given.slice(0, 20));
  assert.equal(nearest('run', []), undefined);
  const long = 'a'.repeat(65);
  assert.equal(nearest(long, [long]), undefined, 'a config may have keys of megabytes');
});

test('takes the nearest of several names', () => {
  assert.equal(nearest('ref-typ', ['ref', 'ref-type']), 'ref-type');
  for (const names of [
    ['status', 'statues'],
    ['statues', 'status'],
  ])
    assert.equal(nearest('statu', names), 'status');
  assert.equal(suggestion('rol', ['mount', 'role']), '; did you mean "role"?');
  assert.equal(suggestion('colour', ['mount', 'role']), '');
});
