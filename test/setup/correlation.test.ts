// Vault's audit log shows which calls belong to one run of setup or doctor, and how many there were.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { invoke } from '../support/invoke.ts';
import { openGate } from './gate.ts';
import { setUp } from './set-up.ts';

test('all calls of setup and of doctor to Vault have correlation ids, with one prefix for each run', async (t) => {
  const world = await setUp(t);
  const gate = await openGate(t, world.vault.url);
  await world.write({ vault: { address: gate.url } });
  const env = { VAULT_ADDR: gate.url, VAULT_TOKEN: ROOT_TOKEN };
  const prefixes = new Set<string>();
  let seen = 0;
  const newIds = () => {
    const ids = gate.requests.slice(seen).map(({ path, headers }) => {
      const id = String(headers['x-correlation-id']);
      assert.match(id, /^[0-9a-f]{8}-\d+$/, path);
      return id;
    });
    seen = gate.requests.length;
    return ids;
  };
  for (const run of [
    () => world.run({ apply: true, yes: true }, { env }),
    () => invoke(doctor, { config: world.config }, { env }),
  ]) {
    await run();
    const ids = newIds();
    assert.ok(ids.length > 5, `${ids.length} calls`);
    assert.equal(new Set(ids).size, ids.length, 'no id is used twice');
    const [prefix, ...others] = new Set(ids.map((id) => id.slice(0, 8)));
    assert.deepEqual([others, prefixes.has(prefix ?? '')], [[], false]);
    prefixes.add(prefix ?? '');
  }
});
