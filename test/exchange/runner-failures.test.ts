// Any value that an effect throws becomes its failure event: the exchange goes on, and no secret is quoted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { ExchangeEvent } from '../../src/core/state.ts';
import { openSystemClock } from '../../src/exchange/clock.ts';
import { type RunnerParts, startRunner } from '../../src/exchange/runner.ts';
import { jwtText } from '../support/jwt-text.ts';
import { SILENT_OBSERVER } from '../support/silent-observer.ts';
import { settingsOf } from '../support/world.ts';

const JWT = jwtText({ iat: Math.floor(Date.now() / 1000) });
const GRANT = { auth: { client_token: 'hvs.CANARY-0001', lease_duration: 3600, renewable: true } };

/** Runs an exchange of which parts throw, for a moment; returns its events. */
async function run(parts: Partial<RunnerParts>, settings: Partial<ExchangeSettings> = {}) {
  const events: ExchangeEvent[] = [];
  const reply = { status: 200, headers: {}, durationMs: 1, body: new Secret(JSON.stringify(GRANT)) };
  const runner = startRunner({
    nextCorrelationId: () => 'id',
    policy: { settings: { ...settingsOf(), ...settings }, sinks: ['/vault/token'] },
    source: { watched: true, read: async () => new Secret(JWT), close: async () => {} },
    vault: { send: async () => reply, close: async () => {} },
    sinks: [
      {
        id: '/vault/token',
        deliver: async () => ({ written: true }),
        read: async () => undefined,
        age: async () => 0,
        check: async () => {},
        remove: async () => {},
      },
    ],
    clock: openSystemClock(),
    observer: {
      ...SILENT_OBSERVER,
      stepped: (_policy, _before, _after, event) => void events.push(event),
    },
    ...parts,
  });
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  const stopped = runner.stop();
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  await stopped;
  await runner.close();
  return events;
}

const failureIn = (events: readonly ExchangeEvent[], type: ExchangeEvent['type']) => {
  const event = events.find((one) => one.type === type);
  assert.ok(event !== undefined, `${type} in ${events.map((one) => one.type)}`);
  assert.ok('failure' in event);
  return event.failure;
};

test('a mount that is invalid in a URL fails the login, and the process survives (K7)', async () => {
  const events = await run({}, { login: { mount: 'a\ud800', role: 'app' } });
  assert.equal(failureIn(events, 'login-failed').code, 'internal');
});

test('survives any value that a source, a Vault client or a sink throws, at once or later (K7)', async () => {
  for (const thrown of ['text', undefined, null, 7, { code: 'EACCES' }, new Error('hvs.CANARY-0001 in a message')]) {
    const later = () => Promise.reject(thrown);
    const atOnce = () => {
      throw thrown;
    };
    for (const fails of [later, atOnce]) {
      const sink = { id: '/vault/token', deliver: fails, read: fails, age: fails, check: fails, remove: fails };
      for (const [type, parts] of [
        ['jwt-unreadable', { source: { watched: true, read: fails, close: async () => {} } }],
        ['login-failed', { vault: { send: fails, close: async () => {} } }],
        ['delivery-failed', { sinks: [sink], beginning: { honoursLastLogin: true } }],
      ] as const) {
        const failure = failureIn(await run(parts, { onStop: 'revoke' }), type);
        assert.equal(failure.code, 'internal');
        assert.doesNotMatch(explain(failure).evidence ?? '', /CANARY/);
      }
    }
  }
});
