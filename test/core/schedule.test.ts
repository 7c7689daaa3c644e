// Properties of the schedule for any lease, clock and random value: no NaN, no time in the past, everything within
// bounds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fullBucket, refilled, spend } from '../../src/core/bucket.ts';
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts';
import * as schedule from '../../src/core/schedule.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeEvent, State } from '../../src/core/state.ts';
import { initialState, step } from '../../src/core/step.ts';
import type { Grant } from '../../src/core/vault-protocol.ts';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf } from '../support/world.ts';

const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const lease = fc.integer({ min: 1, max: 315_360_000_000 });

test('plans a renewal between one half and three quarters of the lease, at least a second ahead', () => {
  fc.assert(
    fc.property(lease, draw, (leaseMs, random) => {
      const at = schedule.renewalPoint(leaseMs, random);
      assert.ok(at >= 1000 && (at <= leaseMs * 0.75 || at === 1000));
      if (leaseMs >= 60_000) assert.ok(at >= leaseMs * 0.66);
    }),
  );
});

test('serves a token for at least nine tenths of its lifetime', () => {
  fc.assert(fc.property(lease, (leaseMs) => schedule.expiryMargin(leaseMs) <= leaseMs / 10));
});

test('the backoff of every failure stays within its bounds (B5)', () => {
  const codes = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]));
  const ms = fc.option(fc.integer({ min: -1e15, max: 1e15 }), { nil: undefined });
  fc.assert(
    fc.property(
      codes,
      fc.integer({ min: 1, max: 10_000 }),
      draw,
      ms,
      ms,
      ms,
      (code, count, random, asked, left, until) => {
        const failure = asked === undefined ? { code } : { code, retryAfterMs: asked };
        const tokenLeftMs = left === undefined ? undefined : Math.abs(left);
        const delay = schedule.retryDelay(failure, { count, random, tokenLeftMs, untilValidMs: until });
        assert.ok(delay >= 500 && delay <= 300_000, `${delay}`);
      },
    ),
  );
});

test('the budget allows at most 12 failures in any minute and 40 in any 15 minutes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 100, maxLength: 300 }), (gaps) => {
      let bucket = fullBucket(schedule.FAILURE_BUDGET, 0);
      let now = 0;
      const spent: number[] = [];
      for (const gap of gaps) {
        now = Math.max(now + gap, schedule.budgetReadyAt(bucket, false));
        bucket = spend(bucket, schedule.FAILURE_BUDGET, { now, cost: 1 });
        spent.push(now);
      }
      for (const [index, at] of spent.entries()) {
        assert.ok(at - (spent[index - 12] ?? Number.NEGATIVE_INFINITY) >= 60_000);
        assert.ok(at - (spent[index - 40] ?? Number.NEGATIVE_INFINITY) >= 900_000);
      }
    }),
  );
});

test("a bucket never exceeds its capacity, and isn't refilled when the clock goes back", () => {
  const limit = { capacity: 5, refillPerMs: 0.001 };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1e9 })), (instants) => {
      let bucket = fullBucket(limit, 0);
      for (const now of instants) {
        const next = refilled(bucket, limit, now);
        assert.ok(next.level <= limit.capacity && next.level >= bucket.level && next.at >= bucket.at);
        bucket = spend(next, limit, { now, cost: 1 });
      }
    }),
  );
});

test('after any sequence of events, the next wake-up is in the future and the state has no NaN', () => {
  const policy = { settings: settingsOf(), sinks: ['/vault/token', '/vault/token.json'] };
  const grant = fc.record({ leaseMs: lease, renewable: fc.boolean(), numUses: fc.nat(3) }).map(
    (some): Grant => ({
      ...some,
      secret: new Secret(`hvs.${some.leaseMs}-token`),
      accessor: 'a',
      type: 'service',
      policies: [],
      warnings: [],
    }),
  );
  const failure = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])).map((code) => ({ code }));
  const jwt = fc
    .record({ exp: fc.anything(), iat: fc.anything(), nbf: fc.anything() })
    .map((claims) => new Secret(jwtText(claims)));
  const attempt = fc.nat(20);
  const event: fc.Arbitrary<ExchangeEvent | 'result'> = fc.oneof(
    fc.constantFrom(
      'result' as const,
      { type: 'woke' } as const,
      { type: 'jwt-hinted' } as const,
      { type: 'refresh-requested' } as const,
    ),
    fc.record({ type: fc.constant('jwt-read' as const), attempt, secret: jwt, watched: fc.boolean() }),
    fc.record({ type: fc.constant('jwt-unreadable' as const), attempt, failure, watched: fc.boolean() }),
    fc.record({
      type: fc.constant('delivered' as const),
      attempt,
      sink: fc.constantFrom('/vault/token', 'other'),
      written: fc.boolean(),
    }),
    fc.record({ type: fc.constant('last-login-found' as const), ageMs: fc.integer({ min: -1e6, max: 1e12 }) }),
    fc.record({ type: fc.constant('stop-requested' as const) }),
  );
  const happening = fc.record({
    event,
    grant,
    failure,
    succeeds: fc.boolean(),
    afterMs: fc.integer({ min: 0, max: 1e10 }),
    wall: fc.integer({ min: -1e13, max: 1e13 }),
    random: draw,
  });
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (story) => {
      let now = Date.UTC(2026, 0, 1);
      let state = initialState(policy, { now, wall: now, random: 0 });
      for (const { event, afterMs, wall, random, ...outcome } of story) {
        now += afterMs;
        const decision = step(policy, state, event === 'result' ? resultFor(state, outcome) : event, {
          now,
          wall,
          random,
        });
        assert.ok(decision.wakeAt > now);
        assert.ok(
          decision.effects.filter(({ type }) => type === 'log-in' || type === 'renew' || type === 'revoke').length <= 1,
        );
        assertNoNaN(decision.state);
        state = decision.state;
      }
    }),
  );
});

function resultFor(
  { call, stopping }: State,
  { grant, failure, succeeds }: { grant: Grant; failure: { code: ErrorCode }; succeeds: boolean },
): ExchangeEvent {
  const attempt = call?.attempt ?? 0;
  switch (call?.operation) {
    case 'login':
      return succeeds ? { type: 'logged-in', attempt, grant } : { type: 'login-failed', attempt, failure };
    case 'renew':
      return succeeds ? { type: 'renewed', attempt, grant } : { type: 'renewal-failed', attempt, failure };
    default: {
      const { attempt: revoking = 0 } = stopping?.revocation ?? {};
      return succeeds
        ? { type: 'revoked', attempt: revoking }
        : { type: 'revocation-failed', attempt: revoking, failure };
    }
  }
}

function assertNoNaN(value: unknown, path = 'state'): void {
  if (typeof value === 'number') assert.ok(!Number.isNaN(value), `${path} is NaN`);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) assertNoNaN(member, `${path}.${key}`);
}
