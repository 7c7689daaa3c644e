import assert from 'node:assert/strict';
import { test } from 'node:test';
import sea from '../../deploy/standalone/sea.json' with { type: 'json' };
import { NODE_FLAGS } from '../support/node-flags.ts';
import { HASHBANG, IMAGE_LAUNCHER, LAUNCHER, SCRIPTS } from './start.ts';

const flagsIn = (command: string): readonly string[] =>
  [...command.matchAll(/(?<=[\s'])--[\w-]+(=[^\s']+)?/g)].map(([flag]) => flag);

test("the launchers and npm's scripts start node with the image's flags", () => {
  assert.ok(NODE_FLAGS.includes('--disable-sigusr1'));
  for (const command of [LAUNCHER, SCRIPTS.start, SCRIPTS.dev]) assert.deepEqual(flagsIn(command), NODE_FLAGS, command);
  const [hashbang = '', ...script] = IMAGE_LAUNCHER.split('\n');
  assert.equal(hashbang, '#!/nodejs/bin/node --disable-sigusr1');
  assert.deepEqual(flagsIn(script.join('\n')), NODE_FLAGS);
});

test("the standalone program has the image's flags", () => {
  assert.deepEqual(sea.execArgv, NODE_FLAGS);
});

test('the program that npm links disables SIGUSR1', () => {
  // older kernels truncate this line at 127 characters
  assert.equal(HASHBANG(), '#!/usr/bin/env -S node --disable-sigusr1');
});
