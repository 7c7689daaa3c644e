// The ids of the calls to Vault: one random part per process, and a number that no call shares.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCorrelationIds } from '../../src/exchange/correlation.ts';

test('the ids of a process share 8 hex digits and are numbered', () => {
  for (const [random, instance] of [
    [0, '00000000'],
    [1e-9, '00000004'],
    [0.5, '80000000'],
    [1 - 2 ** -53, 'ffffffff'],
  ] as const) {
    const next = openCorrelationIds(() => random);
    assert.deepEqual([next(), next(), next()], [`${instance}-1`, `${instance}-2`, `${instance}-3`]);
  }
});

test('the random part is drawn once', () => {
  let drawn = 0;
  const next = openCorrelationIds(() => {
    drawn += 1;
    return 0.25;
  });
  next();
  next();
  assert.equal(drawn, 1);
});
