// A stop with on_stop "revoke" within the time that kubelet leaves: tokens are revoked, and hanging calls are
// abandoned.

import assert from 'node:assert/strict';
import { closeSync, existsSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFullPipe } from '../support/full-pipe.ts';
import { isWaitingForMount, openHangingMount, withoutHangingMounts } from '../support/hanging-mount.ts';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { openFaultWorld, served, startSidecar } from './sidecar-process.ts';

/** The time that kubelet leaves a sidecar whose application used up the grace period, less a margin. */
const STOP_MS = 1500;
/** That time, where the program is still being loaded or its log can't be written. */
const KUBELET_MS = 2000;

test('on_stop "revoke" with a hanging Vault: exits with 0 within 1.5 s and removes the file (K16)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('ready');
  world.vault.setFault(() => undefined);
  await sidecar.stopWithin(STOP_MS);
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

test('a stop during the first login exits with 0 within 2 s, also if Vault hangs (K16)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  let asked = 0;
  world.vault.setFault(() => {
    asked += 1;
    return undefined;
  });
  const sidecar = await startSidecar(t, world.configFile);
  await until('the login is sent', () => asked > 0);
  await sidecar.stopWithin(KUBELET_MS);
});

test('a stop while the config hangs exits with 0 at once (K16)', { skip: withoutHangingMounts() }, async (t) => {
  const world = await openFaultWorld(t);
  const mount = openHangingMount(t);
  await rm(world.configFile);
  await symlink(join(mount.path, 'config.json'), world.configFile);
  const sidecar = await startSidecar(t, world.configFile);
  await until('it reads the config', () => isWaitingForMount(sidecar.pid));
  await sidecar.stopWithin(500);
});

test('a stop with a hanging Vault and a log that nobody reads exits with 0 within 2 s (K16)', async (t) => {
  const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
  const stdout = openFullPipe(t, join(world.directory, 'stdout'));
  const sidecar = await startSidecar(t, world.configFile, { stdout });
  closeSync(stdout);
  await until('a token', world.token);
  await until('it is served', () => served(world).then(Boolean, () => false));
  world.vault.setFault(() => undefined);
  await sidecar.stopWithin(KUBELET_MS);
});

test("a stop doesn't wait for a peer that accepts the connection and never answers the TLS handshake (K2)", async (t) => {
  const port = await listen(t, createServer());
  const world = await openFaultWorld(t, {
    app: { on_stop: 'revoke', vault: { address: `https://127.0.0.1:${port}` } },
  });
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('listening');
  await sidecar.stopWithin(STOP_MS);
});
