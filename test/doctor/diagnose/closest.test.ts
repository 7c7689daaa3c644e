// The suggestion for a misspelt name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest } from '../../../src/doctor/diagnose/closest.ts';

test('suggests the name with the fewest edits, at most two', () => {
  const names = ['app', 'app-read', 'billing', 'Billing-Admin'];
  for (const [wish, meant] of [
    ['ap', 'app'],
    ['apps', 'app'],
    ['aqp', 'app'],
    ['pap', 'app'],
    ['app-raed', 'app-read'],
    ['app-rae', 'app-read'],
    ['bililng', 'billing'],
    ['BILLING-ADMIN', 'Billing-Admin'],
    ['billing-admn', 'Billing-Admin'],
    ['a', undefined],
    ['xyz', undefined],
    ['billing-adm-xyz', undefined],
    ['', undefined],
  ] as const)
    assert.equal(closest(wish, names), meant, wish);
  assert.equal(closest('app', []), undefined);
});

test('prefers the nearer name over the earlier one', () => {
  assert.equal(closest('team-a', ['team-bc', 'team-aa', 'team-ab']), 'team-aa');
  assert.equal(closest('app2', ['app1', 'app']), 'app1');
});
