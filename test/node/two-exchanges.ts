// A pod with two exchanges: one service account, two audiences, two roles and two files.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { isRunning } from './cluster.ts';
import { type Here, policiesOf } from './example-pod.ts';

export async function twoExchanges(_t: TestContext, here: Here): Promise<void> {
  const { cluster, vault } = here;
  const subject = 'system:serviceaccount:my-app:my-app';
  await vault.write('auth/jwt/role/other', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['other'],
    bound_subject: subject,
  });
  const data = here.config(({ exchanges }) => {
    const expect = { issuer: 'https://k8s-prod.oidc.pub', audience: 'other', subject };
    Object.assign(exchanges, {
      other: {
        source: { file: { path: '/var/run/secrets/oidc/other' } },
        login: { mount: 'jwt', role: 'other' },
        expect,
        sinks: [{ file: { path: '/vault/other', mode: '0640' } }],
      },
    });
  });
  await cluster.ask('POST', '/api/v1/namespaces/my-app/configmaps', { metadata: { name: 'two' }, data });
  const sources = ['vault', 'other'].map((audience) => ({
    serviceAccountToken: { path: audience === 'vault' ? 'token' : audience, audience, expirationSeconds: 3600 },
  }));
  await cluster.create('two', ({ metadata, spec: { volumes = [], ...spec } }) => ({
    metadata,
    spec: {
      ...spec,
      volumes: volumes.map((one) => {
        if (one.configMap !== undefined) return { ...one, configMap: { name: 'two' } };
        return one.projected === undefined ? one : { ...one, projected: { sources } };
      }),
    },
  }));
  await cluster.untilPod('two', 'the application runs', isRunning);
  const token = (file: string) => cluster.exec('two', 'app', 'cat', `/vault/${file}`);
  assert.deepEqual(await policiesOf(here, await token('token')), ['default', 'my-app']);
  assert.deepEqual(await policiesOf(here, await token('other')), ['default']);
  await cluster.remove('two');
}
