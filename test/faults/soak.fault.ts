// A short run of npm run soak.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from './soak.ts';

test('a short soak under outages and kills keeps memory and handles flat, and shows no secret (J1, J9)', async (t) => {
  const { table, problems } = await soak(25);
  for (const line of table.split('\n')) t.diagnostic(line);
  assert.deepEqual(problems, []);
});
