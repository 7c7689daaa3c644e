// Which sink operations run while others hang.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inSlot } from '../../src/sinks/slots.ts';

/** Starts operations that end when the test calls `end`. */
function setUp() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const start = (sink: string) =>
    inSlot(sink, () => {
      begun.push(sink);
      return new Promise<string>((resolve) => ends.push(() => resolve(sink)));
    });
  const end = async () => {
    ends.shift()?.();
    await nextTurn();
  };
  const endAll = async () => {
    while (ends.length > 0) await end();
  };
  return { begun, start, end, endAll };
}

test('eight sink operations run at once, and the next one when one of them ends', async () => {
  const { begun, start, end, endAll } = setUp();
  const all = Array.from({ length: 9 }, (_, index) => start(`${index}`));
  assert.equal(begun.length, 8);
  await end();
  assert.deepEqual(begun.slice(8), ['8']);
  await endAll();
  assert.equal((await Promise.all(all)).at(-1), '8');
});

test('a sink with an operation in flight gets a second thread only while no other sink uses one', async () => {
  const { begun, start, end, endAll } = setUp();
  const all = ['a', 'a', 'a', 'a', 'a', 'b', 'c'].map(start);
  assert.deepEqual(begun, ['a', 'a', 'b', 'c']);
  await end();
  assert.equal(begun.length, 4, "a's other one, b's and c's are in flight");
  await end();
  assert.equal(begun.at(-1), 'a', 'none of its own is in flight');
  await endAll();
  await Promise.all(all);
});

test('a failed operation frees its thread', async () => {
  const { begun, start, endAll } = setUp();
  const failing = Array.from({ length: 8 }, (_, index) => inSlot(`${index}`, () => Promise.reject(new Error('full'))));
  const last = start('last');
  for (const one of failing) await assert.rejects(one, /full/);
  await nextTurn();
  assert.deepEqual(begun, ['last']);
  await endAll();
  await last;
});
