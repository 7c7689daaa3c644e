// A stop with on_stop "revoke" within the time that kubelet leaves: tokens are revoked, and hanging calls are
// abandoned.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { openFaultWorld, startSidecar } from './sidecar-process.ts';

/** The time that kubelet leaves a sidecar whose application used up the grace period, less a margin. */
const STOP_MS = 1500;

test('on_stop "revoke" with a hanging Vault: exits with 0 within 1.5 s and removes the file (K16)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('ready');
  world.vault.setFault(() => undefined);
  const { code, tookMs } = await sidecar.stop();
  assert.equal(code, 0);
  assert.ok(tookMs < STOP_MS, `${tookMs} ms`);
  assert.equal(existsSync(world.tokenFile), false);
});

test('on_stop "revoke" after four rotations: revokes all five tokens of the process (K23)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('ready');
  for (let rotation = 1; rotation <= 4; rotation++) {
    const before = world.token();
    await world.writeJwt();
    await until('another token', () => world.token() !== before, 15_000);
  }
  assert.equal(world.vault.alive().length, 5);
  const { code, tookMs } = await sidecar.stop();
  assert.deepEqual([code, world.vault.alive().length], [0, 0]);
  assert.ok(tookMs < STOP_MS, `${tookMs} ms`);
});

test("a stop doesn't wait for a peer that accepts the connection and never answers the TLS handshake (K2)", async (t) => {
  const port = await listen(t, createServer());
  const world = await openFaultWorld(t, {
    app: { on_stop: 'revoke', vault: { address: `https://127.0.0.1:${port}` } },
  });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('listening');
  const { code, tookMs } = await sidecar.stop();
  assert.equal(code, 0);
  assert.ok(tookMs < STOP_MS, `${tookMs} ms`);
});
