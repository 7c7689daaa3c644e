import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunnerObserver } from '../../src/exchange/runner.ts';
import { openLateObserver } from '../../src/observe/late-observer.ts';
import { World } from '../support/world.ts';

test('buffers calls until the observer exists, replays them in order, and forwards later ones directly', () => {
  const told: string[] = [];
  const observer: RunnerObserver = {
    added: ({ settings }) => void told.push(`added ${settings.name}`),
    left: (exchange, sink) => void told.push(`left ${exchange} ${sink}`),
    removed: (exchange) => void told.push(`removed ${exchange}`),
    stepped: (_policy, _before, _after, event) => void told.push(`stepped ${event.type}`),
    called: (_policy, { operation, code }) => void told.push(`called ${operation} ${code}`),
    hooked: (_policy, { sink }) => void told.push(`hooked ${sink}`),
  };
  const { policy, state, ...world } = new World();
  const moment = { now: world.now, wall: world.now, random: 0 };
  const late = openLateObserver();
  late.added(policy);
  late.stepped(policy, state, state, { type: 'woke' }, moment);
  assert.deepEqual(told, []);
  late.forwardTo(observer);
  assert.deepEqual(told, ['added app', 'stepped woke']);
  late.called(policy, { operation: 'login', code: 'ok', durationMs: 1, clockSkewMs: 0 });
  late.hooked(policy, { sink: '/vault/token', failure: undefined, output: '' });
  late.left('app', '/vault/token');
  late.removed('app');
  assert.deepEqual(told, [
    'added app',
    'stepped woke',
    'called login ok',
    'hooked /vault/token',
    'left app /vault/token',
    'removed app',
  ]);
});
