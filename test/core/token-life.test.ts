// What Vault says of a token, and which tokens an exchange takes over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeLookup, whyNotReusable } from '../../src/core/token-life.ts';
import { settingsOf } from '../support/world.ts';

const TOKEN = new Secret('hvs.looked-up-token');
/** A reply of Vault 1.21 for a token of a jwt login. */
const DATA = {
  accessor: 'acc',
  creation_time: 1_790_000_000,
  creation_ttl: 3600,
  display_name: 'jwt-app',
  entity_id: 'e',
  explicit_max_ttl: 0,
  identity_policies: ['team'],
  meta: { role: 'app' },
  num_uses: 0,
  path: 'auth/jwt/login',
  policies: ['app', 'default'],
  renewable: true,
  ttl: 1800,
  type: 'service',
};

const lookup = (body: unknown, status = 200) =>
  judgeLookup({ status, headers: {}, durationMs: 1, body: new Secret(JSON.stringify(body)) }, TOKEN);
const lifeOf = (changes: Record<string, unknown> = {}) => {
  const life = lookup({ data: { ...DATA, ...changes } });
  assert.ok(!isFailure(life));
  return life;
};

test('reads the lease, the policies and the origin of a token', () => {
  const { grant, ...life } = lifeOf();
  assert.deepEqual(life, {
    leftMs: 1_800_000,
    issuedWall: 1_790_000_000_000,
    path: 'auth/jwt/login',
    role: 'app',
    displayName: 'jwt-app',
  });
  assert.deepEqual(grant, {
    secret: TOKEN,
    accessor: 'acc',
    leaseMs: 3_600_000,
    renewable: true,
    type: 'service',
    numUses: 0,
    policies: ['app', 'default', 'team'],
    warnings: [],
  });
  // a renewal may have extended the lease beyond the first one
  assert.equal(lifeOf({ ttl: 7200 }).grant.leaseMs, 7_200_000);
  assert.deepEqual([lifeOf({ num_uses: 3 }).grant.renewable, lifeOf({ ttl: 0 }).leftMs], [false, 0]);
});

test('tells a rejected token from a Vault that is down and from an unusable reply', () => {
  const codeOf = (body: unknown, status?: number) => {
    const life = lookup(body, status);
    return isFailure(life) ? life.code : 'alive';
  };
  assert.equal(codeOf({ errors: ['permission denied'] }, 403), 'token_rejected');
  assert.equal(codeOf({ errors: ['Vault is sealed'] }, 503), 'vault_sealed');
  assert.equal(codeOf({ auth: {} }), 'bad_response');
});

test('takes over a token only of this mount, role and subject, with life left and unlimited uses', () => {
  const { login } = settingsOf();
  const why = (changes: Record<string, unknown>, expect = {}, more = {}) =>
    whyNotReusable({ login: { ...login, ...more }, expect }, lifeOf(changes));
  assert.equal(why({}), undefined);
  assert.equal(why({ meta: { role: 'APP' } }), undefined);
  assert.equal(why({ path: 'auth/jwt/cel/login' }, {}, { cel: true }), undefined);
  assert.equal(why({}, { subject: 'app' }), undefined);
  assert.equal(why({ ttl: 10 }), undefined);
  assert.equal(why({ path: 'auth/other/login' }), 'it is from another mount');
  assert.equal(why({}, {}, { cel: true }), 'it is from another mount');
  assert.equal(why({ path: 'auth/token/root', meta: null }), 'it is from another mount');
  assert.equal(why({ meta: { role: 'other' } }), 'it is from another role');
  assert.equal(why({ meta: null }), 'it is from another role');
  assert.equal(
    why({ display_name: 'ci-gitlab-app', path: 'auth/ci/gitlab/login' }, { subject: 'app' }, { mount: 'ci/gitlab' }),
    undefined,
  );
  assert.equal(why({}, { subject: 'ap' }), 'it is of another subject');
  assert.equal(why({ display_name: 'jwt-team-app' }, { subject: 'app' }), 'it is of another subject');
  assert.equal(why({ num_uses: 1 }), 'its uses are limited');
  assert.equal(why({ ttl: 9 }), 'it is about to expire');
  assert.equal(why({ ttl: 0 }), 'it is about to expire');
});
