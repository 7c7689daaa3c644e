// A stop with on_stop "revoke" in the time that kubelet leaves: every token is revoked, and what hangs is left behind.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { openFaultWorld, startSidecar } from './sidecar-process.ts';

/** What kubelet leaves a sidecar when the application used up the grace, less a margin. */
const STOP_MS = 1500;

test('Vault hangs at a stop with on_stop "revoke": exit 0 within 1.5 s, and the file is gone (K16)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('ready');
  world.vault.setFault(() => undefined);
  const { code, tookMs } = await sidecar.stop();
  assert.equal(code, 0);
  assert.ok(tookMs < STOP_MS, `${tookMs} ms`);
  assert.equal(existsSync(world.tokenFile), false);
});

test('a JWT that rotated four times, on_stop "revoke": no token of the process is left (K23)', async (t) => {
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

test('a peer takes the connection and never speaks TLS: the stop waits for nothing (K2)', async (t) => {
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
