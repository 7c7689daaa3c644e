// What people read of an error: title, evidence and hint of one table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, ExchangeError, explain, hintFor, isRefusal, unlessFailure } from '../../src/core/errors.ts';
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

test('a hint about a login names its Vault, mount, role and issuer, unless a shell would interpret them', () => {
  const hint = 'vault write auth/<mount>/role/<role> at <address> of <issuer>, <claim>';
  const { vault, login } = settingsOf();
  const place = { vault, login: { ...login, mount: 'ci/jwt' }, expect: { issuer: 'https://issuer.example' } };
  const filled = 'vault write auth/ci/jwt/role/app at http://127.0.0.1:8200 of https://issuer.example, <claim>';
  assert.equal(hintFor(hint, place), filled);
  assert.equal(
    hintFor(hint, { ...place, login: { ...place.login, cel: true } }),
    filled.replace('/role/', '/cel/role/'),
  );
  assert.match(hintFor(hint, { ...place, expect: {} }), /of <issuer>/);
  assert.match(hintFor(hint, { ...place, login: { ...login, role: 'a;b' } }), /role\/<role> at/);
});

test('an outcome that is a failure is thrown with its facts, any other one is returned', () => {
  assert.equal(unlessFailure('fine'), 'fine');
  const failure = { code: 'vault_rate_limited', retryAfterMs: 7000 } as const;
  assert.throws(
    () => unlessFailure(failure),
    (error) => {
      assert.ok(error instanceof ExchangeError);
      assert.deepEqual(error.failure, failure);
      return true;
    },
  );
});

test('the hint about a missing variable is for a variable with the JWT, not for a request that needs one', () => {
  const facts = { kind: 'variable', name: 'JWT', problem: 'unset' } as const;
  assert.match(explain({ code: 'jwt_missing', facts }).hint, /^Set the variable; in GitLab CI/);
  assert.equal(explain({ code: 'jwt_request_incomplete', facts }).hint, ERRORS.jwt_request_incomplete.hint);
});

test('a hint about a path in Vault names the path and its capabilities; one about a listener is its own', () => {
  const { hint } = explain({
    code: 'setup_denied',
    facts: { kind: 'reply', status: 403, words: '', path: 'auth/jwt/config', capabilities: ['read', 'sudo'] },
  });
  assert.match(hint, /auth\/jwt\/config/);
  assert.match(hint, /"read", "sudo"/);
  const unknown = explain({ code: 'setup_denied', facts: { kind: 'reply', status: 403, words: '', path: 'auth/jwt' } });
  assert.equal(unknown.hint, ERRORS.setup_denied.hint);
  const listener = explain({
    code: 'listen_failed',
    facts: { kind: 'listener', address: 'unix:/run/a', problem: 'taken' },
  });
  assert.match(listener.hint, /^Stop that process/);
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
