import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost } from './figures.ts';

test('a value beyond its tolerance misses the target, and so does NaN', () => {
  const limit = { most: 50, unit: 'ms', tolerance: 0.1 };
  assert.deepEqual(atMost(55, limit), { text: '50 ms (+10 %), is 55', isMissed: false });
  assert.equal(atMost(55.1, limit).isMissed, true);
  assert.equal(atMost(Number.NaN, limit).isMissed, true);
});
