// What people read of an error: title, evidence and hint of one table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, ExchangeError, explain, isRefusal } from '../../src/core/errors.ts';
import { settingsOf } from '../support/world.ts';

test('an error reads as its title, its evidence if there is any, and its hint', () => {
  const { title, hint } = ERRORS.jwt_missing;
  const [bare, evident] = [
    new ExchangeError('jwt_missing'),
    new ExchangeError('jwt_missing', { kind: 'file', path: '/jwt/token' }),
  ];
  assert.deepEqual([bare.message, bare.failure], [`${title}. ${hint}`, { code: 'jwt_missing' }]);
  assert.equal(evident.message, `${title}: /jwt/token. ${hint}`);
  assert.deepEqual(evident.failure, { code: 'jwt_missing', facts: { kind: 'file', path: '/jwt/token' } });
});

test('only an answer of Vault against what it was sent is a refusal', () => {
  assert.deepEqual([isRefusal({ code: 'audience_mismatch' }), isRefusal({ code: 'vault_sealed' })], [true, false]);
});

test('a signature of an issuer at oidc.pub may be of a key that is not yet published', () => {
  const hintAt = (issuer: string) => {
    const { vault, login } = settingsOf();
    return explain({ code: 'signature_invalid' }, { vault, login, expect: { issuer } }).hint;
  };
  assert.match(
    hintAt('https://k8s-prod.oidc.pub'),
    /sync worker publishes the new key within six minutes; the sidecar keeps trying\.$/,
  );
  assert.equal(hintAt('https://oidc.pub.example'), ERRORS.signature_invalid.hint);
});
