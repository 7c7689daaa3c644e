// The limits of a soak: they detect a leak if the soak is long enough for it to show, and tolerate noise.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../support/random.ts';
import { judge, type Sample } from './soak-figures.ts';

const HOUR = 3_600_000;

/** A soak with a sample a second: 20 MiB of warming up in the first minutes, random garbage, and a leak. */
function soak(minutes: number, leak: Partial<Record<keyof Sample, number>>, seed = 1): Sample[] {
  const random = seededRandom(seed);
  return Array.from({ length: minutes * 60 }, (_, second): Sample => {
    const atMs = second * 1000;
    const warming = 20 * (1 - Math.exp(-second / 30));
    const grown = (kind: keyof Sample) => ((leak[kind] ?? 0) * atMs) / HOUR;
    return {
      atMs,
      rssMiB: 55 + warming + 4 * random() + grown('rssMiB'),
      anonymousMiB: 20 + warming + 4 * random() + grown('anonymousMiB'),
      heapMiB: 12 + 6 * random() + grown('heapMiB'),
      descriptors: Math.floor(24 + 6 * random() + grown('descriptors')),
      handles: Math.floor(12 + 6 * random() + grown('handles')),
    };
  });
}

const kindsOf = (problems: readonly string[]) => [...new Set(problems.map((line) => line.split(':')[0]))];

test('soaks without a leak pass, short or long, with noise (J1)', () => {
  for (let seed = 1; seed <= 30; seed += 1) assert.deepEqual(judge(soak(5, {}, seed)), [], `seed ${seed}`);
  for (const minutes of [1, 30, 120]) assert.deepEqual(judge(soak(minutes, {})), [], `${minutes} minutes`);
});

for (const [minutes, anHour] of [
  [5, 60],
  [30, 10],
  [120, 3],
] as const) {
  test(`a leak of ${anHour} an hour is detected within ${minutes} minutes, for each figure (J1)`, () => {
    for (const [kind, name] of [
      ['rssMiB', 'resident memory'],
      ['anonymousMiB', 'of it anonymous'],
      ['heapMiB', 'used heap'],
      ['descriptors', 'descriptors'],
      ['handles', 'active handles'],
    ] as const)
      assert.deepEqual(kindsOf(judge(soak(minutes, { [kind]: anHour }))), [name]);
  });
}

test('a figure above its maximum fails, also without growth (J1)', () => {
  const heavy = soak(5, {}).map((sample) => ({ ...sample, rssMiB: 101 }));
  assert.deepEqual(kindsOf(judge(heavy)), ['resident memory']);
  assert.deepEqual(kindsOf(judge([])).length, 5, 'a soak without samples fails');
});
