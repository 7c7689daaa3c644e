// When a hook is due: once for each new token in each sink.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeEvent, HeldToken, SinkState, State } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import { holding, MOMENT, POLICY, policyOf, sink, stateOf, stopping, token } from '../support/states.ts';

const onChange = { kind: 'command', command: ['/bin/true'], timeoutMs: 1000 } as const;
const WITH_HOOK = policyOf({ sinks: [{ kind: 'file', path: '/vault/token', mode: 0o600, format: 'raw', onChange }] });
const WRITING = { ...holding, attempt: 7, startedAt: MOMENT.now };
const DELIVERED: ExchangeEvent = { type: 'delivered', sink: '/vault/token', attempt: 7, written: true };

function hooksAfter(held: Partial<HeldToken>, at: Partial<SinkState>, event = DELIVERED, changes: Partial<State> = {}) {
  const state = stateOf({ token: token(held), sinks: [sink({ writing: WRITING, ...at })], ...changes });
  const { effects, state: after } = step(WITH_HOOK, state, event, MOMENT);
  const hooks = effects.filter(({ type }) => type === 'run-hook');
  return { hooks: hooks.length, announced: after.sinks[0]?.announced };
}

test('a hook is due when a sink holds a new token', () => {
  assert.deepEqual(hooksAfter({}, {}), { hooks: 1, announced: 1 });
  assert.deepEqual(hooksAfter({}, { announced: 0 }), { hooks: 1, announced: 1 });
  // the file was right already, after the result of the write was lost
  assert.deepEqual(hooksAfter({}, {}, { ...DELIVERED, written: false } as ExchangeEvent), { hooks: 1, announced: 1 });
});

test('no hook is due after a renewal, for an older token, before the delivery, or during a stop', () => {
  assert.deepEqual(hooksAfter({ revision: 2 }, { announced: 1 }), { hooks: 0, announced: 1 });
  assert.deepEqual(hooksAfter({ generation: 2 }, { announced: 0 }), { hooks: 0, announced: 0 });
  assert.deepEqual(hooksAfter({}, {}, { type: 'woke' }), { hooks: 0, announced: undefined });
  const failed: ExchangeEvent = {
    type: 'delivery-failed',
    sink: '/vault/token',
    attempt: 7,
    failure: { code: 'sink_failed' },
  };
  assert.deepEqual(hooksAfter({}, {}, failed), { hooks: 0, announced: undefined });
  assert.deepEqual(hooksAfter({}, {}, DELIVERED, { stopping: stopping() }).hooks, 0);
});

test('no hook is due for the token of an earlier process, but for the next one', () => {
  assert.deepEqual(hooksAfter({ takenOver: true }, {}), { hooks: 0, announced: 1 });
  assert.deepEqual(hooksAfter({}, { announced: 0 }), { hooks: 1, announced: 1 });
});

test('a sink without a hook counts as announced, so that a hook that a reload adds waits for the next token', () => {
  const state = stateOf({ token: token(), sinks: [sink({ writing: WRITING })] });
  const { effects, state: after } = step(POLICY, state, DELIVERED, MOMENT);
  assert.deepEqual([effects.filter(({ type }) => type === 'run-hook'), after.sinks[0]?.announced], [[], 1]);
  const { effects: later } = step(WITH_HOOK, after, { type: 'woke' }, MOMENT);
  assert.deepEqual(
    later.filter(({ type }) => type === 'run-hook'),
    [],
  );
});
