// Each client on each road, side by side, over two new JWTs and one maximum TTL. A client that reads the token again never
// fails. A client that reads it once fails when its first token ends, and doesn't recover.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageText } from '../support/readme.ts';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import type { Client, Running } from './client.ts';
import { clientsOf, installPrograms } from './clients.ts';
import { openWorld } from './world.ts';

const START_MS = 30_000;
/** consul-template retries and rereads within seconds; the others read every one or two */
const READ_MS = 15_000;

/** The ways of each client that follow the token, such as "curl: file, api". */
function waysOf(clients: readonly Client[]): readonly string[] {
  const names = [...new Set(clients.map(({ name }) => name))];
  const roads = (name: string) =>
    clients.filter((one) => one.name === name && one.road !== 'once').map(({ road }) => road);
  return names.map((name) => `${name}: ${roads(name).join(', ')}`);
}

/** The same from the table in docs/clients.md. */
function documentedWays(): readonly string[] {
  const rows = pageText('docs/clients.md').matchAll(/^\| ([^|]+?) +\|[^|]+\|[^|]+\| ([a-z, ]+?) +\|$/gm);
  return [...rows].flatMap(([, name, ways]) => (ways === 'none' || name === 'client' ? [] : [`${name}: ${ways}`]));
}

const untilRead = (client: Running, greeting: string, limitMs: number) =>
  until(
    `it reads ${greeting}`,
    async () => {
      const isRead = (await client.greetings()).includes(greeting);
      return isRead || assert.deepEqual(await client.failures(), []);
    },
    limitMs,
  );

test('over two new JWTs and a maximum TTL', async (t) => {
  scopeOf(t);
  installPrograms();
  const world = await openWorld(t);
  const clients = await clientsOf(world);
  assert.deepEqual(documentedWays(), waysOf(clients));
  const started = await Promise.all(clients.map(async (one) => ({ ...one, running: await one.start(t) })));
  await Promise.all(started.map(({ running }) => untilRead(running, 'hello', START_MS)));
  await world.rotate();
  await world.rotate();
  await world.reachMaxTtl();
  await world.greet('good-bye');
  for (const { name, road, running } of started) {
    if (road === 'once') {
      await t.test(`${name}, token read once: fails with 403 when the first token ends`, async () => {
        const isDenied = async () => /403|permission denied/.test((await running.failures()).join());
        await until('Vault denies the token', isDenied, READ_MS);
        assert.doesNotMatch(await running.greetings(), /good-bye/);
      });
    } else {
      await t.test(`${name}, ${road}: never fails`, async () => {
        await untilRead(running, 'good-bye', READ_MS);
        assert.deepEqual(await running.failures(), []);
      });
    }
  }
});
