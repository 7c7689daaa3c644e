import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startDeadline } from '../../src/files/deadline.ts';

/** Keeps the event loop from its turn, as a stopped process does. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Resolves with the order in which the deadline and a read of a small file end, while the process is blocked for `ms`. */
async function race(deadlineMs: number, blockedMs: number): Promise<readonly string[]> {
  const order: string[] = [];
  const reached = new Promise<void>((resolve) => {
    startDeadline(deadlineMs, () => {
      order.push('deadline');
      resolve();
    });
  });
  const read = readFile('/proc/self/stat').then(() => order.push('result'));
  block(blockedMs);
  await Promise.all([reached, read]);
  return order;
}

test('a result that arrived while the process was blocked beats a deadline that passed meanwhile', async () => {
  assert.deepEqual(await race(400, 550), ['result', 'deadline']);
});

test('results in many steps beat it too in a process that runs a little at a time', async () => {
  const order: string[] = [];
  const reached = new Promise<void>((resolve) => {
    const reachedNow = () => {
      order.push('deadline');
      resolve();
    };
    startDeadline(1000, reachedNow, { mostMs: 3000 });
  });
  block(1200);
  let blocked = 0;
  const starve = () => {
    block(150);
    if (++blocked < 12) setImmediate(starve);
  };
  setImmediate(starve);
  for (let step = 0; step < 6; step += 1) await readFile('/proc/self/stat');
  order.push('result');
  await reached;
  assert.deepEqual(order, ['result', 'deadline']);
});

/** How long a deadline of 200 ms takes in a process that is blocked for `blockedMs` meanwhile: the shortest of five. */
async function shortest(blockedMs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const from = performance.now();
    const reached = new Promise<void>((resolve) => startDeadline(200, resolve));
    block(blockedMs);
    await reached;
    least = Math.min(least, performance.now() - from);
  }
  return least;
}

test('a deadline is reached on time in a process that runs, or pauses shortly', async () => {
  const running = await shortest(0);
  assert.ok(running >= 199 && running < 245, `${running} ms`);
  const pausing = await shortest(270);
  assert.ok(pausing < 315, `${pausing} ms`);
});

test('a process that never runs without interruption reaches a deadline at the end of the grace', async () => {
  const from = performance.now();
  let isReached = false;
  const reached = new Promise<void>((resolve) => {
    startDeadline(200, resolve, { mostMs: 600 });
  });
  const starve = () => {
    block(150);
    if (!isReached) setImmediate(starve);
  };
  starve();
  await reached;
  isReached = true;
  const tookMs = performance.now() - from;
  assert.ok(tookMs >= 800 && tookMs < 1500, `${tookMs} ms`);
});

test('a cancelled deadline is never reached, not even within its grace', async () => {
  let count = 0;
  const cancelEarly = startDeadline(200, () => (count += 1));
  const cancelLate = startDeadline(200, () => (count += 1));
  cancelEarly();
  block(400);
  // the late timer has fired by then, and waits for results
  await new Promise<void>((resolve) => setTimeout(resolve, 1));
  cancelLate();
  await new Promise<void>((resolve) => startDeadline(400, resolve));
  assert.equal(count, 0);
});
