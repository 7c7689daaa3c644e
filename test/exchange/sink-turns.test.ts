// The order of a sink's writes: one at a time, only the newest of the waiting ones, and no unbounded wait.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inTurn, type Turns } from '../../src/exchange/sink-turns.ts';
import type { TokenDocument, TokenSink } from '../../src/sinks/sink.ts';

const token = (accessor: string) => ({ accessor }) as TokenDocument;

/** A sink whose writes end when the test says so. */
function setUp() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) =>
    new Promise<{ written: boolean }>((resolve) => {
      begun.push(name);
      ends.set(name, () => resolve({ written: true }));
    });
  const sink: TokenSink = {
    id: '/vault/token',
    deliver: async ({ accessor }, isCurrent = () => true) => {
      await work(accessor);
      return { written: isCurrent() };
    },
    read: async () => undefined,
    age: async () => 0,
    check: async () => {},
    remove: async () => void (await work('removal')),
  };
  const world = { now: 0, owner: 'app' };
  const turns: Turns = new Map();
  const of = (exchange: string) =>
    inTurn(sink, { turns, now: () => world.now, isOurs: () => world.owner === exchange });
  const end = async (name: string) => {
    ends.get(name)?.();
    await nextTurn();
  };
  return { begun, world, of, end };
}

test('a write waits for the previous one; only the newest waiting write is done, the others end at once', async () => {
  const { begun, of, end } = setUp();
  const app = of('app');
  const first = app.deliver(token('1'));
  const [second, third] = [app.deliver(token('2')), app.deliver(token('3'))];
  assert.deepEqual(await second, { written: false });
  assert.deepEqual(begun, ['1']);
  await end('1');
  assert.deepEqual(begun, ['1', '3']);
  await end('3');
  assert.deepEqual([await first, await third], [{ written: true }, { written: true }]);
  const removal = app.remove();
  await end('removal');
  await removal;
  assert.equal(begun.at(-1), 'removal');
});

test("a failed write doesn't delay the next one", async () => {
  const turns: Turns = new Map();
  const failing = { deliver: async () => Promise.reject(new Error('full')) } as unknown as TokenSink;
  const sink = inTurn(failing, { turns, now: () => 0, isOurs: () => true });
  await assert.rejects(sink.deliver(token('1')), /full/);
  await assert.rejects(sink.deliver(token('2')), /full/);
});

test('waits at most 45 s for a write without a result, and allows at most three hanging writes (K1)', async () => {
  const { begun, world, of } = setUp();
  const app = of('app');
  for (const [index, at] of [0, 30_000, 46_000, 90_000, 200_000, 300_000].entries()) {
    world.now = at;
    void app.deliver(token(String(index)));
    await nextTurn();
  }
  assert.deepEqual(begun, ['0', '2', '4']);
});

test('a write that was hung and is over after a later one is no longer current (V2)', async () => {
  const { begun, world, of, end } = setUp();
  const app = of('app');
  const hung = app.deliver(token('1'));
  world.now = 45_000;
  const later = app.deliver(token('2'));
  await end('2');
  await end('1');
  assert.deepEqual(begun, ['1', '2']);
  assert.deepEqual([await hung, await later], [{ written: false }, { written: true }]);
});

test('a write is waited for until 45 s are over', async () => {
  const { begun, world, of } = setUp();
  const app = of('app');
  void app.deliver(token('1'));
  for (const at of [44_999, 45_000]) {
    world.now = at;
    void app.deliver(token(`${at}`));
    await nextTurn();
  }
  assert.deepEqual(begun, ['1', '45000']);
});

test('an exchange that has lost the sink writes nothing, also when it lost it while it waited', async () => {
  const { begun, world, of, end } = setUp();
  const app = of('app');
  void app.deliver(token('1'));
  const waiting = app.deliver(token('2'));
  world.owner = 'other';
  const other = of('other').deliver(token('3'));
  assert.deepEqual(await waiting, { written: false });
  assert.deepEqual(await app.deliver(token('4')), { written: false });
  await end('1');
  assert.deepEqual(begun, ['1', '3']);
  await end('3');
  assert.deepEqual(await other, { written: true });
});
