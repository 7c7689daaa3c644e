// What is in Vault, read with an operator's token, from replies that the test sets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { VaultRequest } from '../../src/core/vault-protocol.ts';
import { readCurrent } from '../../src/setup/read-current.ts';

const STEP = { kind: 'policy', path: 'sys/policies/acl/app' } as const;

async function read(status: number, body: unknown) {
  const asked: VaultRequest[] = [];
  const client = {
    async send(request: VaultRequest) {
      asked.push(request);
      return { status, headers: {}, durationMs: 1, body: new Secret(JSON.stringify(body)) };
    },
    async close() {},
  };
  const current = await readCurrent(STEP, client, new Secret('hvs.of-the-operator'));
  assert.equal(asked[0]?.token?.reveal(), 'hvs.of-the-operator');
  return current;
}

test('returns the current content, undefined for 404, and throws a refusal', async () => {
  assert.ok((await read(200, { data: { policy: 'path "a" {}' } })) !== undefined);
  assert.equal(await read(404, { errors: [] }), undefined);
  await assert.rejects(read(403, { errors: ['permission denied'] }), {
    failure: {
      code: 'setup_denied',
      facts: {
        kind: 'reply',
        status: 403,
        words: 'permission denied',
        path: 'sys/policies/acl/app',
        capabilities: ['read'],
      },
    },
  });
});
