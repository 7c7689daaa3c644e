// A pod with two exchanges: one service account, two audiences, two roles and two files.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { isRunning } from './cluster.ts';
import type { Config } from './example.ts';
import { type Here, policiesOf } from './example-pod.ts';
import { createConfigured, withJwts } from './pod-changes.ts';

export async function twoExchanges(_t: TestContext, here: Here): Promise<void> {
  const { cluster } = here;
  const subject = 'system:serviceaccount:my-app:my-app';
  await here.writeRole('other', { bound_audiences: ['other'] });
  const both = ({ exchanges }: Config) => {
    const expect = { issuer: 'https://k8s-prod.oidc.pub', audience: 'other', subject };
    Object.assign(exchanges, {
      other: {
        source: { file: { path: '/var/run/secrets/oidc/other' } },
        login: { mount: 'jwt', role: 'other' },
        expect,
        sinks: [{ file: { path: '/vault/other', mode: '0640' } }],
      },
    });
  };
  const jwts = withJwts(
    { path: 'token', audience: 'vault', expirationSeconds: 3600 },
    { path: 'other', audience: 'other', expirationSeconds: 3600 },
  );
  await createConfigured(here, 'two', both, jwts);
  await cluster.untilPod('two', 'the application runs', isRunning);
  const token = (file: string) => cluster.token('two', file);
  assert.deepEqual(await policiesOf(here, await token('token')), ['default', 'my-app']);
  assert.deepEqual(await policiesOf(here, await token('other')), ['default']);
  await cluster.remove('two');
}
