// The state that an exchange begins with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialState } from '../../src/core/step.ts';
import { settingsOf, T0 } from '../support/world.ts';

test('numbers tokens upwards across a restart, also when a process logs in twice and restarts within a second', () => {
  const policy = { settings: settingsOf(), sinks: [] };
  const generationAt = (wall: number) => initialState(policy, { now: 0, wall, random: 0.5 }).generation;
  assert.ok(generationAt(T0 + 999) > generationAt(T0) + 2);
});
