// What systemd is told, through a systemd-notify of the test's own that writes down its arguments. The real one, under a
// real systemd, has a suite of its own among the deployments.

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
      // the shell makes the file a moment before it writes the line
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

test('the status is told, then that it is ready, once, and at last that it stops', async (t) => {
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

test('the watchdog is fed at a third of its time, and only while the sidecar does its work', async (t) => {
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
  // nothing comes with it, though food is due at every turn
  assert.equal(
    await turnsUntil('the status is told', (line) => line.includes('STATUS')),
    'STATUS=every exchange is ready',
  );
});

test('what systemd did not hear is told again', async (t) => {
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

test('what systemd cannot be told is reported once', async (t) => {
  const { world, program, systemd } = await setUp(t, { PATH: '/nowhere' });
  await rm(program);
  const [reason] = await until('it is reported', () => world.unheard.length > 0 && world.unheard);
  assert.match(reason ?? '', /systemd-notify/);
  world.ready = true;
  systemd.look();
  systemd.stopping();
  assert.equal(world.unheard.length, 1);
});
