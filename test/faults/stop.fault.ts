// The end of the process: in time whatever hangs, with its exit code, and with every token revoked where that was asked for.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
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

test('a client holds a long poll, and one never reads: the stop takes no longer for them (I1)', async (t) => {
  const world = await openFaultWorld(t);
  const sidecar = await startSidecar(t, world.configFile);
  await sidecar.event('listening');
  const poll = fetch(`${world.api}/v1/token/app?wait_for_change=true&timeout_sec=60`, {
    headers: { 'x-vault-request': 'true' },
  }).catch(() => undefined);
  await until('the poll is held', async () => (await fetch(`${world.ops}/livez`)).ok);
  const { code, tookMs } = await sidecar.stop();
  assert.equal(code, 0);
  assert.ok(tookMs < STOP_MS, `${tookMs} ms`);
  await poll;
});

test('the CA file, the JWT or the caller token is a FIFO: started, told of, and stopped in time (K2)', async (t) => {
  for (const [what, members] of [
    ['ca_file', (fifo: string) => ({ app: { vault: { address: 'https://127.0.0.1:1', tls: { ca_file: fifo } } } })],
    ['jwt', (fifo: string) => ({ app: { source: { file: { path: fifo } } } })],
    ['caller_token_file', (fifo: string) => ({ whole: { api: { listen: '127.0.0.1:0', caller_token_file: fifo } } })],
  ] as const) {
    const world = await openFaultWorld(t);
    const fifo = join(world.directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const { app = {}, whole = {} } = members(fifo) as { app?: object; whole?: object };
    await world.configure({ ...app }, { ...whole });
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('listening');
    if (what !== 'caller_token_file')
      await until(`the ${what} is told of`, () => sidecar.out().includes(fifo) || sidecar.out().includes('fifo'));
    const { code, tookMs } = await sidecar.stop();
    assert.equal(code, 0, what);
    assert.ok(tookMs < STOP_MS, `${what}: ${tookMs} ms`);
  }
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
