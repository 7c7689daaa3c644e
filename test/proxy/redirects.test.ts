// Redirects of a Vault standby: which the proxy follows, and with what.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { errorsIn, openProxy, TOKEN } from './open-proxy.ts';

/** A proxy to a standby that redirects every request to this address, which is a host to follow unless `redirectHosts` says otherwise. */
const openStandby = (t: Scope, address: string, redirectHosts = [new URL(address).host]) =>
  openProxy(t, {
    vault: { redirectHosts },
    answer: (asked, response) => {
      const location = `${address}${asked.url}`;
      asked.resume().on('end', () => response.writeHead(307, { location }).end('moved'));
    },
  });

test('follows a redirect as the exchange does, with the body again, but not to other hosts', async (t) => {
  const active = await openProxy(t, { answer: (asked, response) => void asked.pipe(response) });
  const { url, counted } = await openStandby(t, active.address);
  const reply = await fetch(`${url}/v1/x?version=2`, { method: 'POST', body: '{"a":1}' });
  assert.deepEqual([reply.status, await reply.text()], [200, '{"a":1}']);
  const [{ url: path, headers } = assert.fail()] = active.received;
  assert.deepEqual([path, headers['x-vault-token']], ['/v1/x?version=2', TOKEN]);
  await until('it is counted once', () => counted.join() === 'app POST 200');
  const refused = await fetch(`${(await openStandby(t, active.address, [])).url}/v1/x`);
  assert.equal(refused.status, 502);
  assert.match(await errorsIn(refused), /redirect/);
  assert.equal(active.received.length, 1);
});

test('follows one redirect, not two', async (t) => {
  const active = await openProxy(t);
  const between = await openStandby(t, active.address);
  const { url } = await openStandby(t, between.address);
  const reply = await fetch(`${url}/v1/x`);
  assert.equal(reply.status, 502);
  assert.match(await errorsIn(reply), /redirect/);
  assert.deepEqual([between.received.length, active.received.length], [1, 0]);
});

test('a 403 after a redirect raises a suspicion against the token, too', async (t) => {
  const active = await openProxy(t, { answer: (_request, response) => response.writeHead(403).end('{}') });
  const { url, view } = await openStandby(t, active.address);
  assert.equal((await fetch(`${url}/v1/x`)).status, 403);
  await until('it is suspected', () => view.suspected.length === 1);
});

test('a body of 64 KiB is sent again after a redirect; with a larger one, the client gets the redirect', async (t) => {
  const active = await openProxy(t);
  const { url } = await openStandby(t, active.address);
  for (const [bytes, status] of [
    [64 * 1024, 200],
    [64 * 1024 + 1, 307],
  ] as const) {
    const init = { method: 'POST', body: 'x'.repeat(bytes), redirect: 'manual' } as const;
    const reply = await fetch(`${url}/v1/x`, init);
    assert.equal(reply.status, status, `${bytes} bytes`);
    await reply.text();
  }
  assert.equal(active.received.length, 1);
});
