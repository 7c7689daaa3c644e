// Notifications to systemd, with a fake systemd-notify that records its arguments. test/deploy/systemd.deploy.ts tests
// the real one.

import assert from 'node:assert/strict';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ExchangeStatus } from '../../src/core/status.ts';
import { openSystemd } from '../../src/host/systemd.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function setUp(t: TestContext, env: Record<string, string> = {}) {
  const directory = await temporaryDirectory(t);
  const [program, heard, deaf] = ['systemd-notify', 'heard', 'deaf'].map((name) => join(directory, name));
  assert.ok(program !== undefined && heard !== undefined && deaf !== undefined);
  if (env['DEAF'] !== undefined) await writeFile(deaf, '');
  await writeFile(program, `#!/bin/sh\ntest ! -e '${deaf}' || exit 1\necho "$*" >> '${heard}'\n`);
  await chmod(program, 0o755);
  const world = { now: 0, wake: () => {}, alive: true, unheard: [] as string[], ready: false, started: false };
  const systemd = openSystemd({
    clock: {
      now: () => world.now,
      wall: () => world.now,
      random: () => 0,
      wakeAt(at, wake) {
        world.wake = () => {
          world.now = at;
          wake();
        };
        return () => {};
      },
    },
    env: { PATH: `${directory}:/usr/bin:/bin`, ...env },
    statuses: () =>
      [
        { exchange: 'app', ready: world.ready, started: world.started, reasons: ['no Vault token yet'] },
      ] as unknown as readonly ExchangeStatus[],
    isAlive: () => world.alive,
    onUnheard: (reason) => void world.unheard.push(reason),
  });
  const lines = () =>
    readFile(heard, 'utf8').then(
      // leave out an incomplete last line
      (text) => text.split('\n').slice(0, -1),
      () => [],
    );
  const untilHeard = (count: number) =>
    until(`${count} lines`, async () => {
      const all = await lines();
      return all.length >= count && all;
    });
  return { systemd, world, program, deaf, lines, untilHeard };
}

test('sends STATUS, then READY once, and STOPPING at the stop', async (t) => {
  const { systemd, world, untilHeard } = await setUp(t);
  assert.deepEqual(await untilHeard(1), ['STATUS=app: no Vault token yet']);
  Object.assign(world, { ready: true, started: true });
  await until('the answer to the first is in', async () => {
    systemd.look();
    return (await untilHeard(1)).length === 2;
  });
  assert.deepEqual((await untilHeard(2))[1], 'READY=1 STATUS=every exchange is ready');
  world.wake();
  systemd.stopping();
  assert.deepEqual((await untilHeard(3))[2], 'STOPPING=1 STATUS=stopping');
});

test('sends WATCHDOG at a third of its interval, and only while the sidecar is alive', async (t) => {
  const { world, lines, untilHeard } = await setUp(t, { WATCHDOG_USEC: '6000000' });
  assert.match((await untilHeard(1))[0] ?? '', /WATCHDOG=1$/);
  const turnsUntil = async (what: string, seen: (line: string) => boolean) =>
    until(what, async () => {
      world.wake();
      return (await lines()).slice(1).find(seen);
    });
  await turnsUntil('it is fed again', (line) => line === 'WATCHDOG=1');
  assert.equal(world.now % 2000, 0);
  Object.assign(world, { alive: false, ready: true });
  // without WATCHDOG=1, though it is due at every turn
  assert.equal(
    await turnsUntil('the status is sent', (line) => line.includes('STATUS')),
    'STATUS=every exchange is ready',
  );
});

test('retries a failed notification', async (t) => {
  const { world, deaf, lines } = await setUp(t, { DEAF: '' });
  Object.assign(world, { ready: true, started: true });
  const turnsUntil = (what: string, seen: () => Promise<boolean> | boolean) =>
    until(what, () => {
      world.wake();
      return seen();
    });
  await turnsUntil('it is reported', () => world.unheard.length > 0);
  await rm(deaf);
  await turnsUntil('it is heard', async () => (await lines()).length > 0);
  assert.equal((await lines())[0], 'READY=1 STATUS=every exchange is ready');
});

test("reports once that systemd-notify can't be run", async (t) => {
  const { world, program, systemd } = await setUp(t, { PATH: '/nowhere' });
  await rm(program);
  const [reason] = await until('it is reported', () => world.unheard.length > 0 && world.unheard);
  assert.match(reason ?? '', /systemd-notify/);
  world.ready = true;
  systemd.look();
  systemd.stopping();
  assert.equal(world.unheard.length, 1);
});
