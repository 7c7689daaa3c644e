// The runner and its one timer, on a clock that the test owns: never far ahead, never in a burst, and awake soon after
// a sleep of the machine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Secret } from '../../src/core/secret.ts';
import type { VaultRequest } from '../../src/core/vault-protocol.ts';
import { type Clock, startRunner } from '../../src/exchange/runner.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf, T0 } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

interface Timer {
  /** on the clock that stops while the machine sleeps, as timers do */
  readonly dueAt: number;
  readonly wake: () => void;
}

function setUp({ leaseSeconds = 3600, vaultAheadMs = 0 } = {}) {
  let [now, asleepMs, longestMs, wakes] = [T0, 0, 0, 0];
  let timers: readonly Timer[] = [];
  const clock: Clock = {
    now: () => now,
    wall: () => now,
    random: () => 0.5,
    wakeAt(at, wake) {
      longestMs = Math.max(longestMs, at - now);
      const timer = { dueAt: at - asleepMs, wake };
      timers = [...timers, timer];
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
  };
  const calls: { readonly at: number; readonly path: string }[] = [];
  const vault = {
    async send({ path }: VaultRequest) {
      calls.push({ at: now - T0, path });
      const auth = { client_token: 'hvs.token-0001', lease_duration: leaseSeconds, renewable: true };
      const headers = { date: new Date(now + vaultAheadMs).toUTCString() };
      return { status: 200, headers, durationMs: 1, body: new Secret(JSON.stringify({ auth })) };
    },
    close: async () => {},
  };
  let readings = 0;
  const source = {
    watched: true,
    async read() {
      readings += 1;
      return new Secret(jwtText({ iat: T0 / 1000 }));
    },
    close: async () => {},
  };
  const observer = openObserver({ version: '0', nodeVersion: '0', nodeMetrics: false, level: 'error', target() {} });
  const settings = { ...settingsOf(), source: { kind: 'file', path: '/jwt', pollIntervalMs: HOUR } } as const;
  const policy = { settings, sinks: [] };
  const runner = startRunner({ policy, source, vault, sinks: [], clock, nextCorrelationId: () => 'id', observer });

  /** Lets time pass, and every timer come on its instant. */
  async function pass(ms: number): Promise<void> {
    const end = now + ms;
    for (;;) {
      await nextTurn();
      const [first] = timers.toSorted((a, b) => a.dueAt - b.dueAt);
      if (first === undefined || first.dueAt + asleepMs > end) break;
      timers = timers.filter((one) => one !== first);
      now = Math.max(now, first.dueAt + asleepMs);
      wakes += 1;
      first.wake();
    }
    now = end;
  }
  return {
    runner,
    calls,
    pass,
    /** Time goes on, timers don't. */
    sleep(ms: number) {
      now += ms;
      asleepMs += ms;
    },
    /** Time goes on, and what is due has to wait. */
    block(ms: number) {
      now += ms;
    },
    metrics: () => observer.metrics.render([]).then(({ body }) => body),
    seen: () => ({ longestMs, wakes, readings, timers: timers.length }),
  };
}

test('waits for the renewal of a 768 h lease with one timer, in steps of at most 30 s (H8, C19)', async (t) => {
  const { runner, calls, pass, seen } = setUp({ leaseSeconds: 768 * 3600 });
  t.after(() => runner.close());
  await pass(400 * HOUR);
  assert.deepEqual(
    calls.map(({ at, path }) => [Math.round(at / HOUR), path]),
    [
      [0, '/v1/auth/jwt/login'],
      [Math.round(768 * 0.4375), '/v1/auth/token/renew-self'],
    ],
  );
  const { longestMs, timers } = seen();
  assert.ok(longestMs <= 30 * SECOND, `a timer of ${longestMs} ms`);
  assert.equal(timers, 1);
});

test('notices within 30 s of waking from eight hours of sleep that the token has expired, and logs in (H4)', async (t) => {
  const { runner, calls, pass, sleep } = setUp();
  t.after(() => runner.close());
  await pass(10 * MINUTE);
  sleep(8 * HOUR);
  await pass(30 * SECOND);
  const [, login] = calls;
  assert.equal(login?.path, '/v1/auth/jwt/login');
  assert.ok((login?.at ?? 0) - (10 * MINUTE + 8 * HOUR) <= 30 * SECOND);
  assert.ok((runner.state().token?.expiresAt ?? 0) > T0 + 8 * HOUR);
});

test('an event loop blocked for a minute causes one wake-up and one call, and no burst (H7)', async (t) => {
  const { runner, calls, pass, block, seen } = setUp();
  t.after(() => runner.close());
  await pass(42 * MINUTE);
  const before = seen();
  block(MINUTE);
  await pass(0);
  const after = seen();
  assert.ok(after.wakes - before.wakes <= 1, `${after.wakes - before.wakes} wakes`);
  await pass(SECOND);
  assert.ok(after.readings - before.readings <= 1);
  assert.deepEqual(
    calls.slice(1).map(({ path }) => path),
    ['/v1/auth/token/renew-self'],
  );
  await pass(MINUTE);
  assert.ok(seen().wakes - before.wakes <= 5, `${seen().wakes - before.wakes} wakes`);
  assert.equal(calls.length, 2);
});

test("measures the skew to Vault's clock at every reply, without effect on the schedule (H5)", async (t) => {
  for (const minutes of [5, -5]) {
    const { runner, pass, metrics } = setUp({ vaultAheadMs: minutes * MINUTE });
    t.after(() => runner.close());
    await pass(SECOND);
    assert.match(await metrics(), new RegExp(`^vault_token_sidecar_vault_clock_skew_seconds ${-minutes * 60}$`, 'm'));
    assert.equal(runner.state().token?.expiresAt, T0 + HOUR);
  }
});
