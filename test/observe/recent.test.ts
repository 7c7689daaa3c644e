import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRecent } from '../../src/observe/recent.ts';

const MINUTE = 60_000;
const AT = Date.UTC(2026, 10, 1, 12);

test('an exchange without calls has nothing', () => {
  assert.deepEqual(openRecent().statusOf('app', AT), { lastCall: undefined, failures: [] });
});

test('the last call is remembered with its end; a success is no failure', () => {
  const recent = openRecent();
  recent.called('app', 'login', 'vault_sealed', AT);
  recent.called('app', 'login', 'ok', AT + 1);
  recent.called('other', 'renew', 'vault_timeout', AT + 2);
  assert.deepEqual(recent.statusOf('app', AT + 3), {
    lastCall: { operation: 'login', code: 'ok', at: AT + 1 },
    failures: [{ code: 'vault_sealed', count: 1, at: AT }],
  });
});

test('failures are counted by code over the last hour, the latest code first', () => {
  const recent = openRecent();
  for (let minute = 0; minute < 90; minute += 1) {
    recent.failed('app', 'vault_sealed', AT + minute * MINUTE);
    recent.failed('app', 'vault_sealed', AT + minute * MINUTE + 1);
  }
  recent.failed('app', 'jwt_missing', AT + 89 * MINUTE + 2);
  assert.deepEqual(recent.statusOf('app', AT + 89 * MINUTE).failures, [
    { code: 'jwt_missing', count: 1, at: AT + 89 * MINUTE + 2 },
    { code: 'vault_sealed', count: 120, at: AT + 89 * MINUTE + 1 },
  ]);
  assert.deepEqual(recent.statusOf('app', AT + 149 * MINUTE).failures, [], 'an hour later, they are forgotten');
});

test('after the clock was set back, failures of the future are forgotten', () => {
  const recent = openRecent();
  recent.failed('app', 'vault_sealed', AT + 60 * MINUTE);
  recent.failed('app', 'vault_sealed', AT);
  assert.deepEqual(recent.statusOf('app', AT).failures, [{ code: 'vault_sealed', count: 1, at: AT }]);
});

test('the failures of a removed exchange are forgotten', () => {
  const recent = openRecent();
  recent.failed('app', 'vault_sealed', AT);
  recent.removed('app');
  assert.deepEqual(recent.statusOf('app', AT).failures, []);
});
