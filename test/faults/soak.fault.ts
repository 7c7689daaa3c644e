// The soak in small: what npm run soak does for minutes, for less than one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from './soak.ts';

test('a small heap at 2-second leases under outages and kills: memory and handles stay flat, no secret is shown (J1, J9)', async (t) => {
  const { table, problems } = await soak(25);
  for (const line of table.split('\n')) t.diagnostic(line);
  assert.deepEqual(problems, []);
});
