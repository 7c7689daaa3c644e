// An application without a token, as in deploy/kubernetes/README.md: it asks the API proxy on a socket beside the token.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { readmeBlock } from '../support/readme.ts';
import { isRunning } from './cluster.ts';
import type { Change } from './example.ts';
import type { Here } from './example-pod.ts';
import { createConfigured, withApp } from './pod-changes.ts';

export async function proxied(_t: TestContext, here: Here): Promise<void> {
  const { cluster, vault } = here;
  const [proxy = '', variables = ''] = ['json', 'yaml'].map((language) =>
    readmeBlock('deploy/kubernetes/README.md', 'An application without a token', language),
  );
  const [, name = '', value = ''] = /name: (\w+), value: "(.+)"/.exec(variables) ?? [];
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await vault.write('secret/data/my-app', { data: { greeting: 'hello' } });
  const change: Change = ({ exchanges }) => Object.assign(exchanges.app, JSON.parse(`{${proxy}}`));
  await createConfigured(here, 'proxied', change, withApp({ env: [{ name, value }] }));
  await cluster.untilPod('proxied', 'the application runs', isRunning);
  assert.equal(
    await cluster.exec('proxied', 'app', 'vault', 'read', '-field=data', 'secret/data/my-app'),
    'map[greeting:hello]',
  );
  await cluster.remove('proxied');
}
