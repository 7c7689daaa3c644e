import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { NODE_FLAGS } from './support/node-flags.ts';

test('the package starts node as the image does, and both keep debuggers out', () => {
  const wrapper = readFileSync('deploy/debian/vault-token-sidecar.sh', 'utf8');
  assert.deepEqual(
    wrapper.match(/ --[\w-]+(=\d+)?/g)?.map((flag) => flag.trim()),
    NODE_FLAGS,
  );
  assert.ok(NODE_FLAGS.includes('--disable-sigusr1'));
});
