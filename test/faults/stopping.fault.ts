// SIGTERM during logins, writes and with stuck clients: the process exits with 0 within five seconds, and the sink's
// file holds one complete token.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { portOf, request } from '../http/raw-socket.ts';
import { openFullPipe } from '../support/full-pipe.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { type FaultWorld, openFaultWorld, type SidecarProcess, served, startSidecar } from './sidecar-process.ts';

const LIMIT_MS = 5000;

/** The file's content must be a token that Vault granted, byte for byte. */
function holdsWholeToken({ token, vault }: FaultWorld): void {
  const content = token();
  assert.ok(
    vault.alive().some((one) => one.token === content),
    `the file holds ${content?.length} bytes`,
  );
}

async function stopsInTime(world: FaultWorld, { stopWithin, event, log }: SidecarProcess): Promise<void> {
  await stopWithin(LIMIT_MS);
  await event('stopping');
  assert.ok(!log().some((line) => line.event === 'crashed'));
  holdsWholeToken(world);
}

/** A client of the token API or the ops API that sends `bytes` and never reads what comes back. */
async function deafClient(t: TestContext, url: string, bytes: string): Promise<Socket> {
  const socket = connect(portOf(url), '127.0.0.1').pause();
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.write(bytes, resolve));
  return socket;
}

/** Opens stuck clients of both listeners; resolves when the sidecar has received their requests. */
async function deafClients(t: TestContext, world: FaultWorld): Promise<void> {
  const [api, ops] = [portOf(world.api), portOf(world.ops)];
  const kept = ['Connection: keep-alive'];
  const poll = request(api, kept, 'GET /v1/token?wait_for_change=true&timeout_sec=300 HTTP/1.1');
  await Promise.all([
    deafClient(t, world.api, poll),
    deafClient(t, world.api, request(api, kept)),
    deafClient(t, world.api, request(api, kept).slice(0, -2)),
    // a pipeline that fills both socket buffers
    deafClient(t, world.ops, request(ops, kept, 'GET /metrics HTTP/1.1').repeat(100)),
    deafClient(t, world.ops, 'GET /livez HT'),
    deafClient(t, world.ops, ''),
  ]);
  await until('the token API has the requests', async () => (await served(world)) === world.token());
}

/** A sidecar's environment in which every fsync hangs once hang() was called. */
async function hangingDisk(t: TestContext) {
  debian('gcc', 'libc6-dev');
  const [libraries, hanging] = await Promise.all([temporaryDirectory(t), temporaryDirectory(t)]);
  const [library, now] = [join(libraries, 'hanging-disk.so'), join(hanging, 'now')];
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, join(import.meta.dirname, 'hanging-disk.c')]);
  return { env: { LD_PRELOAD: library, HANGS_WHILE: now }, hang: () => writeFile(now, '') };
}

// these wait more than they work
describe('SIGTERM', { concurrency: true }, () => {
  test('while idle: exits with 0 at once, and leaves the file whole (I1)', async (t) => {
    const world = await openFaultWorld(t);
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('ready');
    const token = world.token();
    await stopsInTime(world, sidecar);
    assert.equal(world.token(), token);
  });

  test('while a login is in flight: exits with 0 in time, and the file keeps the token from before (I1)', async (t) => {
    const world = await openFaultWorld(t);
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('ready');
    const token = world.token();
    let logins = 0;
    world.vault.setFault(({ path }) => {
      if (path.endsWith('/login')) logins += 1;
      return undefined;
    });
    await world.writeJwt();
    await until('a login is in flight', () => logins === 1);
    await stopsInTime(world, sidecar);
    assert.equal(world.token(), token);
  });

  test('while a write hangs on its disk: exits with 0 in time, and the file holds the old token or the new one (I1)', async (t) => {
    const world = await openFaultWorld(t);
    const { env, hang } = await hangingDisk(t);
    const sidecar = await startSidecar(t, world.configFile, { env });
    await sidecar.event('ready');
    await hang();
    const before = world.token();
    await world.writeJwt();
    await until('the next token is served', async () => (await served(world)) !== before);
    await until('its write is under way', () => readdirSync(world.directory).some((name) => name.endsWith('.tmp')));
    assert.equal(world.token(), before);
    await stopsInTime(world, sidecar);
  });

  test('with clients that never read, never finish their request, or wait for a change: exits with 0 in time (I1)', async (t) => {
    const world = await openFaultWorld(t);
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('ready');
    await deafClients(t, world);
    await stopsInTime(world, sidecar);
  });

  test('with such clients and a Vault that hangs at the revocation: exits with 0 in time (I1)', async (t) => {
    const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('ready');
    await deafClients(t, world);
    world.vault.setFault(() => undefined);
    t.diagnostic(`${Math.round(await sidecar.stopWithin(LIMIT_MS))} ms`);
  });

  test('after a reload took the sink from a hanging disk: revokes the token in time (I1, K22)', async (t) => {
    const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
    const { env, hang } = await hangingDisk(t);
    const sidecar = await startSidecar(t, world.configFile, { env });
    await sidecar.event('ready');
    await hang();
    await world.writeJwt();
    await until('a write hangs', () => readdirSync(world.directory).some((name) => name.endsWith('.tmp')));
    await world.configure({ on_stop: 'revoke', sinks: [] });
    sidecar.signal('SIGHUP');
    await sidecar.event('config_reloaded');
    await sidecar.stopWithin(LIMIT_MS);
    assert.deepEqual(world.vault.alive(), []);
  });

  test('during the start, with a Vault that hangs: exits in time, opens nothing more, and leaves no socket (I1)', async (t) => {
    const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
    const socket = (name: string) => ({ listen: `unix:${join(world.directory, name)}` });
    await world.configure({ on_stop: 'revoke' }, { api: socket('api.sock'), ops: socket('ops.sock') });
    world.vault.setFault(() => undefined);
    const sidecar = await startSidecar(t, world.configFile);
    await sidecar.event('starting');
    await sidecar.stopWithin(2000);
    assert.deepEqual(sidecar.log().at(-1)?.event, 'stopping');
    assert.deepEqual(
      readdirSync(world.directory).filter((name) => name.includes('.sock')),
      [],
    );
  });

  test('twice, while its log is not read: exits at once (I2, J4)', async (t) => {
    const world = await openFaultWorld(t, { app: { on_stop: 'revoke' } });
    const stdout = openFullPipe(t, join(world.directory, 'stdout'));
    const { signal, stopWithin } = await startSidecar(t, world.configFile, { stdout });
    closeSync(stdout);
    const token = await until('a token', world.token);
    await until('it is served', async () => (await served(world).catch(() => undefined)) === token);
    let revocations = 0;
    world.vault.setFault(() => {
      revocations += 1;
      return undefined;
    });
    signal('SIGTERM');
    await until('the revocation hangs', () => revocations > 0);
    await stopWithin(800);
  });
});
