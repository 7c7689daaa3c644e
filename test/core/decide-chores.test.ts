// The calls that no client waits for: which one comes next, and when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextChore } from '../../src/core/decide-chores.ts';
import { originOf } from '../../src/core/origin.ts';
import { Secret } from '../../src/core/secret.ts';
import type { LiveToken, State } from '../../src/core/state.ts';
import { HOUR, MINUTE, NOW, POLICY, policyOf, SECOND, stateOf, token } from '../support/states.ts';

const REVOKING = policyOf({ onReplace: 'revoke' });
const DELAY = REVOKING.settings.revokeDelayMs;
const old = (changes: Partial<LiveToken> = {}): LiveToken => ({
  secret: new Secret('hvs.replaced-token'),
  accessor: 'old',
  origin: originOf(POLICY.settings),
  expiresAt: NOW + HOUR,
  outOfUseAt: NOW,
  ...changes,
});
const chore = (changes: Partial<State>, policy = REVOKING) => {
  const found = nextChore(policy, stateOf(changes), NOW);
  return found && [found.operation, found.at - NOW];
};

test('the earlier one of a check and a revocation comes first', () => {
  const held = { token: token(), replaced: [old()] };
  assert.deepEqual(chore({ ...held, checkAt: NOW + DELAY + 1 }), ['revoke', DELAY]);
  assert.deepEqual(chore({ ...held, checkAt: NOW + DELAY - 1 }), ['lookup', DELAY - 1]);
});

test('a chore comes at least a second after the last call, and leaves budget for the calls that clients need', () => {
  const due = { token: token(), checkAt: NOW };
  assert.deepEqual(chore({ ...due, lastCallAt: NOW }), ['lookup', SECOND]);
  assert.deepEqual(chore({ ...due, budget: { level: 4, at: NOW } }), ['lookup', 30 * SECOND]);
});

test('only a live token of this config is checked', () => {
  for (const changes of [
    { checkAt: NOW },
    { checkAt: NOW, token: token({ fromEarlierConfig: true }) },
    { checkAt: NOW, token: token({ expiresAt: NOW }) },
    { checkAt: Number.POSITIVE_INFINITY, token: token() },
  ])
    assert.equal(chore(changes), undefined);
});

test('a replaced token is revoked while it lives, once no sink holds it and it is not the held one', () => {
  const lasting = (expiresAt: number) => chore({ replaced: [old({ expiresAt })] });
  assert.deepEqual([lasting(NOW + DELAY), lasting(NOW + DELAY + 1)], [undefined, ['revoke', DELAY]]);
  assert.equal(chore({ replaced: [old()] }, POLICY), undefined, 'only with on_replace: revoke');
  const { outOfUseAt: _, ...inUse } = old();
  assert.equal(chore({ replaced: [inUse] }), undefined);
  const held = token();
  assert.equal(chore({ token: held, replaced: [old({ secret: held.secret })] }), undefined);
  assert.deepEqual(chore({ replaced: [old({ retryAt: NOW + MINUTE })] }), ['revoke', MINUTE]);
});
