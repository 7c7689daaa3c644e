import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { CONTAINER_COMMANDS, HASHBANG, LAUNCHER, SCRIPTS } from './start.ts';

const flagsIn = (command: string): readonly string[] =>
  [...command.matchAll(/(?<=\s)--[\w-]+(=\S+)?/g)].map(([flag]) => flag);

test("the launcher and npm's scripts start node with the image's flags", () => {
  assert.ok(NODE_FLAGS.includes('--disable-sigusr1'));
  for (const command of [LAUNCHER, SCRIPTS.start, SCRIPTS.dev]) assert.deepEqual(flagsIn(command), NODE_FLAGS, command);
});

test('all other commands that start node disable SIGUSR1', () => {
  assert.ok(CONTAINER_COMMANDS.length > 0);
  for (const command of CONTAINER_COMMANDS) assert.deepEqual(flagsIn(command), ['--disable-sigusr1'], command);
  // older kernels truncate this line at 127 characters
  assert.equal(HASHBANG(), '#!/usr/bin/env -S node --disable-sigusr1');
});
