// Which readings of a file may have found half of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReadings, type Sighting } from '../../src/sources/torn-read.ts';

const OLD = 1000;

function sequence(...seen: readonly (Sighting | undefined)[]): boolean[] {
  const readings = openReadings();
  return seen.map((one) => {
    const see = readings.begin();
    if (one !== undefined) see(one);
    return readings.mayBeTorn;
  });
}

test('a file that was there before is whole, unless it was written to within 15 ms', () => {
  assert.equal(openReadings().mayBeTorn, false);
  const first = (ageMs: number) => sequence({ inode: 1, ageMs });
  assert.deepEqual([first(OLD), first(15), first(14)], [[false], [false], [true]]);
});

test('a file that is renamed into place is whole; one that is written in place may be torn', () => {
  assert.deepEqual(sequence({ inode: 1, ageMs: OLD }, { inode: 2, ageMs: OLD }), [false, false]);
  assert.deepEqual(sequence({ inode: 1, ageMs: OLD }, { inode: 1, ageMs: OLD }), [false, true]);
});

test('a file that comes after none may be torn', () => {
  assert.deepEqual(sequence(undefined, { inode: 1, ageMs: OLD }, { inode: 2, ageMs: OLD }), [false, true, false]);
});
