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
import { decodeWorkloadJwt } from '../../src/core/workload-jwt.ts';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf } from '../support/world.ts';

const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const lease = fc.integer({ min: 1, max: 315_360_000_000 });

test('a renewal leaves half of the lease to a token that is replaced, and 1.5 s for the login', () => {
  fc.assert(
    fc.property(lease, draw, (leaseMs, random) => {
      const at = schedule.renewalPoint(leaseMs, random);
      assert.ok(at >= 1000 && (at >= leaseMs * 0.4 || at === 1000));
      if (leaseMs >= 15_000) assert.ok(at <= leaseMs / 2 - 1500);
    }),
  );
});

test('a renewal comes at 40 % of a lease below a minute, and from 40 to 47.5 % of a longer one', () => {
  const at = schedule.renewalPoint;
  assert.deepEqual(
    [at(50_000, 0), at(50_000, 0.9), at(60_000, 0.6), at(120_000, 0.6)],
    [20_000, 20_000, 26_700, 53_400],
  );
  assert.deepEqual([at(100, 0), schedule.loginPoint(100)], [1000, 1000], 'never within the first second');
  assert.equal(schedule.loginPoint(100_000), 85_000);
});

test('a token is no longer handed out in the last tenth of its lease, or the last five seconds of a long one', () => {
  assert.deepEqual([schedule.expiryMargin(10_000), schedule.expiryMargin(3_600_000)], [1000, 5000]);
});

test('a backoff doubles from one second to its cap, half of it by chance', () => {
  const delay = (code: ErrorCode, count: number, random: number, facts: Partial<schedule.RetryFacts> = {}) =>
    schedule.retryDelay({ code }, { count, random, tokenLeftMs: undefined, untilValidMs: undefined, ...facts });
  assert.deepEqual(
    [1, 2, 3, 7, 5000].map((count) => delay('vault_timeout', count, 0.5)),
    [750, 1500, 3000, 45_000, 45_000],
  );
  assert.equal(delay('vault_timeout', 9, 0, { tokenLeftMs: 300_000 }), 15_000, 'a tenth of what the token lives');
  assert.equal(delay('role_missing', 20, 0), 150_000);
  assert.deepEqual([delay('signature_invalid', 20, 0), delay('signature_invalid', 3, 0)], [150_000, 2000]);
  const nearItsEnd = { tokenLeftMs: 1000 };
  assert.deepEqual(
    [delay('signature_invalid', 3, 0, nearItsEnd), delay('signature_invalid', 4, 0, nearItsEnd)],
    [1000, 4000],
  );
  assert.deepEqual([delay('jwt_expired', 1, 0), delay('jwt_expired', 1, 0.5)], [60_000, 63_000]);
});

test('a JWT of the future is sent again one second after the leeway of a minute lets it pass', () => {
  const delay = (untilValidMs: number | undefined, count = 1) =>
    schedule.retryDelay({ code: 'jwt_not_yet_valid' }, { count, random: 0, tokenLeftMs: undefined, untilValidMs });
  assert.deepEqual([delay(100_000), delay(undefined), delay(1e9)], [41_000, 5000, 300_000]);
  assert.equal(delay(undefined, 9), 30_000);
});

test('Retry-After delays from one second to five minutes, and never shortens the backoff', () => {
  const delay = (retryAfterMs: number, count = 1) =>
    schedule.retryDelay(
      { code: 'vault_rate_limited', retryAfterMs },
      { count, random: 0, tokenLeftMs: undefined, untilValidMs: undefined },
    );
  assert.deepEqual([delay(0), delay(7000), delay(1e9), delay(1, 20)], [1000, 7000, 300_000, 30_000]);
});

test('after an overload, the jitter on top of Retry-After and backoff grows with each failure, up to the cap', () => {
  const delay = (code: ErrorCode, count: number, facts: Partial<schedule.RetryFacts & { asked: number }> = {}) => {
    const { asked, ...others } = facts;
    const failure = asked === undefined ? { code } : { code, retryAfterMs: asked };
    return schedule.retryDelay(failure, {
      ...{ count, random: 0.5, tokenLeftMs: undefined, untilValidMs: undefined },
      ...others,
    });
  };
  assert.deepEqual(
    [1, 2, 20].map((count) => delay('vault_rate_limited', count, { asked: 7000 })),
    [12_000, 17_000, 45_000],
  );
  assert.deepEqual([delay('vault_rate_limited', 1), delay('vault_sealed', 1, { asked: 1000 })], [5000, 6000]);
  assert.deepEqual(
    [1, 2, 20].map((count) => delay('vault_unavailable', count)),
    [2500, 5000, 45_000],
  );
  assert.equal(delay('vault_unavailable', 1, { random: 0.01 }), 505, 'the backoff is the minimum');
  assert.equal(delay('vault_rate_limited', 3, { asked: 7000, tokenLeftMs: 40_000 }), 9000, 'a tenth of the lease left');
  assert.equal(delay('vault_rate_limited', 3, { asked: 1e9 }), 300_000);
  assert.equal(delay('vault_sealed', 1), 750);
  assert.equal(schedule.requestRetryDelay({ code: 'jwt_endpoint_failing', retryAfterMs: 7000 }, 1, 0.5), 12_000);
});

test('the budget holds ten failures, a timeout costs two, and what must leave room waits for three more', () => {
  const spent = (cost: number) =>
    spend(fullBucket(schedule.FAILURE_BUDGET, 0), schedule.FAILURE_BUDGET, { now: 0, cost });
  assert.deepEqual(
    [schedule.failureCost({ code: 'vault_timeout' }), schedule.failureCost({ code: 'internal' })],
    [2, 1],
  );
  assert.deepEqual(
    [9, 9.5, 10].map((cost) => schedule.budgetReadyAt(spent(cost), false)),
    [0, 15_000, 30_000],
  );
  assert.deepEqual(
    [7, 8, 10].map((cost) => schedule.budgetReadyAt(spent(cost), true)),
    [0, 30_000, 90_000],
  );
});

test('the JWT is looked for again three times at once, then at each poll or minute; a poll varies by a tenth', () => {
  assert.deepEqual(
    [1, 3, 4].map((count) => schedule.rereadDelay(count, 10_000)),
    [200, 200, 10_000],
  );
  assert.deepEqual([schedule.rereadDelay(1, 100), schedule.rereadDelay(4, 1_800_000)], [100, 60_000]);
  assert.deepEqual([schedule.pollDelay(10_000, 0), schedule.pollDelay(10_000, 0.5)], [9000, 10_000]);
});

test('a requested JWT is replaced at half of the life that is left, in five seconds at the earliest', () => {
  const delay = (lifeMs: number | undefined, passedMs = 0) => {
    const issuedAt = 1_790_000_000_000;
    const iat = issuedAt / 1000;
    const jwt = decodeWorkloadJwt(
      new Secret(jwtText(lifeMs === undefined ? { iat } : { iat, exp: iat + lifeMs / 1000 })),
      {},
    );
    assert.ok(!('code' in jwt));
    return schedule.requestDelay(jwt, issuedAt + passedMs);
  };
  assert.deepEqual([delay(600_000), delay(4000), delay(0), delay(undefined)], [300_000, 5000, 60_000, 60_000]);
  // the server answered with a JWT that it had issued earlier; the clock is behind the server's, then ahead
  assert.deepEqual(
    [delay(600_000, 400_000), delay(600_000, -90_000), delay(600_000, 600_000)],
    [100_000, 300_000, 60_000],
  );
  const retry = schedule.requestRetryDelay;
  assert.equal(retry({ code: 'jwt_endpoint_failing', retryAfterMs: 90_000 }, 1, 0), 90_000);
  assert.equal(retry({ code: 'jwt_request_incomplete' }, 1, 0), 200);
  assert.deepEqual(
    [retry({ code: 'identity_token_missing' }, 1, 0), retry({ code: 'identity_token_missing' }, 4, 0)],
    [200, 5000],
  );
  assert.deepEqual(
    [retry({ code: 'identity_refused' }, 1, 0), retry({ code: 'identity_refused' }, 9, 0)],
    [500, 15_000],
  );
});

test('a sink that fails is tried again after one second, then ever later up to half a minute', () => {
  assert.deepEqual(
    [1, 2, 9].map((count) => schedule.sinkDelay(count, 0)),
    [1000, 2000, 15_000],
  );
});

test('a reading has fifteen seconds, and more than the timeout of a request; a call has one to five more than its timeout', () => {
  const { vault } = settingsOf();
  assert.equal(schedule.readDeadline({ kind: 'env', name: 'JWT' }), 15_000);
  assert.equal(
    schedule.readDeadline({ kind: 'vault-identity', vault, role: 'r', token: { file: '/t' } }),
    15_000 + 1.25 * vault.timeoutMs,
  );
  const http = { kind: 'http', url: { env: 'U' }, query: {}, method: 'GET', headers: {}, jsonPointer: '' } as const;
  assert.equal(schedule.readDeadline({ ...http, tls: {}, timeoutMs: 10_000, useProxyEnv: false }), 27_500);
  assert.equal(schedule.callDeadline(vault), vault.timeoutMs + 5000);
  assert.deepEqual(
    [60_000, 6000, 3000, 2000].map((timeoutMs) => schedule.callDeadline({ timeoutMs })),
    [65_000, 8000, 4000, 3000],
  );
});

test('a call leaves half of the rest of the lease for another try, two seconds for itself at least', () => {
  const timeout = (tokenLeftMs: number) => schedule.callTimeout({ timeoutMs: 15_000 }, tokenLeftMs);
  assert.deepEqual([3_600_000, 30_000, 29_000, 5000, 4000, 1].map(timeout), [15_000, 15_000, 14_500, 2500, 2000, 2000]);
  assert.deepEqual([0, -1].map(timeout), [15_000, 15_000], 'without a valid token');
  assert.equal(schedule.callTimeout({ timeoutMs: 500 }, 1), 500);
});

test('a token is handed out for nine tenths of its life at least', () => {
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

test('a clock that goes back leaves the bucket at its latest instant', () => {
  const limit = { capacity: 5, refillPerMs: 0.001 };
  assert.deepEqual(refilled({ level: 1, at: 5000 }, limit, 2000), { level: 1, at: 5000 });
  assert.deepEqual(refilled({ level: 1, at: 5000 }, limit, 6000), { level: 2, at: 6000 });
});

test('from any sequence of events at any instants, the exchange wakes later than now and holds no NaN', () => {
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
