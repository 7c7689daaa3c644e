import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayOf } from '../../src/core/delay.ts';
import type { State } from '../../src/core/state.ts';
import { jwt, NOW, POLICY, SECOND, stateOf, stopping, streak, token } from '../support/states.ts';

const empty = { level: 0, at: NOW };
const delay = (changes: Partial<State>) => delayOf(POLICY, stateOf(changes), NOW);

test('a login waits for the budget of logins, or for that of failed calls', () => {
  assert.deepEqual(delay({ logins: empty }), { operation: 'login', until: NOW + 5 * SECOND, limit: 'logins' });
  assert.deepEqual(delay({ budget: empty }), { operation: 'login', until: NOW + 30 * SECOND, limit: 'failures' });
  const later = { operation: 'login', until: NOW + 30 * SECOND, limit: 'failures' };
  assert.deepEqual(delay({ logins: empty, budget: empty }), later, 'the later limit is the reason');
});

test('a due renewal waits for the budget of failed calls', () => {
  const due = token({ renewAt: NOW });
  assert.deepEqual(delay({ token: due, budget: empty })?.operation, 'renew');
  assert.equal(delay({ token: due, logins: empty }), undefined, 'the limit of logins does not concern it');
});

test('nothing is delayed that is not due, in flight, in its backoff, stopping, before its start, or due within a second', () => {
  for (const changes of [
    { token: token() },
    { jwt: undefined },
    { loginStreak: streak(1, NOW + 10 * SECOND) },
    { loginStreak: streak(3, NOW - SECOND), budget: empty },
    { token: token({ renewAt: NOW }), renewalStreak: streak(3, NOW - SECOND), budget: empty },
    { stopping: stopping() },
    { startsAt: NOW + SECOND },
    { call: { operation: 'login', attempt: 1, startedAt: NOW, timeoutMs: SECOND, jwtSerial: 1 } },
  ] as const)
    assert.equal(delay({ logins: empty, ...changes }), undefined, Object.keys(changes).join());
  const waiting = (ms: number) => delay({ logins: { level: 1 - ms / 5000, at: NOW } })?.until;
  assert.deepEqual([waiting(1000), waiting(1250)], [undefined, NOW + 1250]);
  assert.notEqual(delay({ logins: empty, jwt: jwt(2), token: token() }), undefined, 'a new JWT is due');
});
