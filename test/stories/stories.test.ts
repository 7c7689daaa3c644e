// The main scenarios of an exchange, with short transcripts. The seconds at the left of a transcript are virtual,
// counted from the start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../../src/core/state.ts';
import { jwtText } from '../support/jwt-text.ts';
import { T0, World } from '../support/world.ts';
import { assertTranscript } from './transcripts.ts';

const HOUR = 3_600_000;
const jwtOf = (fromMs: number, lifeMs = HOUR): string =>
  jwtText({ iat: (T0 + fromMs) / 1000, exp: (T0 + fromMs + lifeMs) / 1000 });

function begin(world: World, jwt: World['jwt'] = jwtOf(0)): World {
  world.jwt = jwt;
  world.post({ type: 'woke' });
  return world;
}

/** The effects that call Vault while a token is held. */
const CALLS: ReadonlySet<Effect['type']> = new Set(['log-in', 'renew']);
const tail = (world: World, from: number): string[] => world.transcript.slice(from);
const fails = (world: World): string[] =>
  world.calls.flatMap(({ outcome }) => (outcome === 'ok' || outcome === undefined ? [] : [outcome]));

test('logs in, writes the file, renews before half of the lease, and logs in with each new JWT', () => {
  const world = begin(new World());
  world.pass(0.75 * HOUR);
  world.writeJwt(jwtOf(0.75 * HOUR));
  world.pass(0.1 * HOUR);
  assertTranscript('logs-in', world);
});

test("starts without Vault, isn't ready, and logs in soon after Vault is reachable (C3)", () => {
  const world = new World();
  world.vault.outage = { code: 'vault_unreachable' };
  begin(world);
  world.pass(10 * 60_000);
  const status = world.status();
  assert.equal(status.phase, 'logging-in');
  assert.deepEqual(status.reasons, ["no Vault token yet: Vault can't be reached"]);
  assert.ok(fails(world).length <= 40, `${fails(world).length} failed calls in ten minutes`);
  world.vault.outage = undefined;
  const from = world.transcript.length;
  world.pass(60_000);
  assert.equal(world.status().ready, true);
  assert.match(tail(world, from)[0] ?? '', /logged-in/);
  assertTranscript('starts-without-vault', world);
});

test('keeps the token and stays ready while Vault is sealed for half of the lease, with few calls (C1)', () => {
  const world = new World();
  world.vault.ttlMs = 2 * HOUR;
  begin(world, jwtOf(0, 24 * HOUR));
  world.pass(0.5 * HOUR);
  world.vault.outage = { code: 'vault_sealed' };
  for (let quarter = 0; quarter < 4; quarter++) {
    const before = world.calls.length;
    world.pass(HOUR / 4);
    assert.equal(world.status().ready, true);
    assert.ok(world.calls.length - before <= 40, `${world.calls.length - before} calls in 15 minutes`);
  }
  assert.equal(world.status().phase, 'overdue');
  world.vault.outage = undefined;
  world.pass(60_000);
  assert.equal(world.status().phase, 'active');
  assertTranscript('keeps-the-token-and-stays-ready-while-vault-is-sealed-for-half-of-the-lease', world);
});

test("serves the token until it expires during an outage, then isn't ready, then recovers (C2)", () => {
  const world = begin(new World(), jwtOf(0, 24 * HOUR));
  world.pass(1000);
  world.vault.outage = { code: 'vault_timeout' };
  world.pass(HOUR - 11_000);
  assert.equal(world.status().ready, true);
  world.pass(20_000);
  const { phase, ready, reasons } = world.status();
  assert.deepEqual(
    { phase, ready, reasons },
    { phase: 'expired', ready: false, reasons: ["the Vault token has expired: Vault didn't answer in time"] },
  );
  world.vault.outage = undefined;
  world.pass(60_000);
  assert.equal(world.status().ready, true);
  assertTranscript('serves-the-token-until-it-expires-during-an-outage', world);
});

test('replaces a token that Vault revoked or forgot within two seconds of the next renewal (C14, C28)', () => {
  const world = begin(new World());
  world.pass(1000);
  world.vault.forget();
  world.pass(HOUR / 2);
  assert.deepEqual(world.transcript.slice(3), [
    '1575.0s  renewal-failed renewal_denied',
    '1576.0s  logged-in',
    '1576.0s  delivered',
  ]);
  assertTranscript('replaces-a-token-that-vault-revoked-or-forgot-within-two-seconds-of-the-next-renewal', world);
});

test('learns within two lifetimes that the policy lacks renew-self, then tries one renewal a lifetime (C15)', () => {
  const world = new World();
  world.vault.renewalRefusal = { code: 'renewal_denied' };
  begin(world, jwtOf(0, 24 * HOUR));
  world.pass(5 * HOUR);
  const inWindow = (from: number, to: number) =>
    world.calls.filter(({ at }) => at >= T0 + from * HOUR && at < T0 + to * HOUR).length;
  assert.ok(inWindow(2, 5) <= 7, `${inWindow(2, 5)} calls in three hours`);
  assert.equal(world.status().ready, true);
  assertTranscript('learns-within-two-lifetimes-that-the-policy-lacks-renew-self', world);
});

test('tries one renewal again when logins start to fail after renewals were denied: the policies may allow it now', () => {
  const world = new World();
  world.vault.renewalRefusal = { code: 'renewal_denied' };
  begin(world, jwtOf(0, 24 * HOUR));
  world.pass(5 * HOUR);
  world.vault.renewalRefusal = undefined;
  world.vault.refusal = { code: 'jwt_not_yet_valid' };
  world.pass(5 * HOUR);
  assert.equal(world.status().ready, true, 'renewals alone keep the token');
  assertTranscript('tries-one-renewal-again-when-logins-start-to-fail', world);
});

test('keeps the token until it expires after its role is deleted, without a loop of renewals (C16)', () => {
  const world = begin(new World(), jwtOf(0, 24 * HOUR));
  world.pass(1000);
  world.vault.renewalRefusal = { code: 'role_deleted' };
  world.vault.refusal = { code: 'role_missing' };
  world.pass(0.99 * HOUR);
  assert.equal(world.status().ready, true);
  assert.equal(world.calls.filter(({ operation }) => operation === 'renew').length, 1);
  assert.ok(fails(world).length <= 20, `${fails(world).length} failed calls`);
  world.vault.refusal = undefined;
  world.pass(6 * 60_000);
  assert.equal(world.status().ready, true);
  assertTranscript('keeps-the-token-until-it-expires-after-its-role-is-deleted', world);
});

test('logs in before the token reaches its maximum TTL, without a gap (C17)', () => {
  const world = new World();
  world.vault.maxTtlMs = 1.9 * HOUR;
  begin(world, jwtOf(0, 24 * HOUR));
  for (let minute = 0; minute < 300; minute++) {
    world.pass(60_000);
    assert.equal(world.status().ready, true, `minute ${minute}`);
    assert.ok(
      world.file && world.vault.isAlive(world.file, world.now),
      `minute ${minute}: the file holds a live token`,
    );
  }
  assertTranscript('logs-in-before-the-token-reaches-its-maximum-ttl', world);
});

test('replaces a batch token before half of its life, and never renews it (C18)', () => {
  const world = new World();
  world.vault.overrides = { type: 'batch', renewable: false, accessor: '' };
  begin(world, jwtOf(0, 24 * HOUR));
  for (let minute = 0; minute < 10 * 60; minute++) {
    world.pass(60_000);
    assert.equal(world.status().ready, true, `minute ${minute}`);
    assert.ok(
      world.file && world.vault.isAlive(world.file, world.now),
      `minute ${minute}: the file holds a live token`,
    );
  }
  assert.deepEqual([...new Set(world.calls.map(({ operation }) => operation))], ['login']);
  const gaps = world.calls.slice(1).map(({ at }, index) => at - (world.calls[index]?.at ?? 0));
  assert.ok(gaps.length >= 21 && gaps.length <= 25, `${gaps.length + 1} logins in ten lifetimes`);
  for (const gap of gaps) assert.ok(gap >= 0.4 * HOUR && gap < 0.5 * HOUR, `${gap / 60_000} minutes to the next login`);
  assertTranscript('replaces-a-batch-token-before-half-of-its-life', world);
});

test('a full disk makes the exchange not ready, with the reason; the write is retried until it succeeds (F1)', () => {
  const world = new World();
  world.sinkFailure = { code: 'sink_no_space' };
  begin(world);
  world.pass(60_000);
  assert.deepEqual(world.status().reasons, ["sink /vault/token: there is no space left for the sink's file"]);
  assert.equal(world.calls.length, 1, 'a full disk causes no call to Vault');
  world.sinkFailure = undefined;
  world.pass(30_000);
  assert.equal(world.status().ready, true);
  assertTranscript('a-full-disk-makes-the-exchange-not-ready', world);
});

test('restores a deleted token file within ten seconds (F15)', () => {
  const world = begin(new World());
  world.pass(60_000);
  world.file = undefined;
  world.pass(10_000);
  assert.ok(world.file !== undefined);
  assertTranscript('restores-a-deleted-token-file-within-ten-seconds', world);
});

test('backs off to five minutes while the role is missing, and a reload ends the backoff (C10)', () => {
  const world = new World();
  world.vault.refusal = { code: 'role_missing' };
  begin(world);
  world.pass(HOUR / 2);
  const gaps = world.calls.slice(1).map(({ at }, index) => at - (world.calls[index]?.at ?? 0));
  assert.ok(Math.max(...gaps) <= 300_000 && Math.max(...gaps) >= 150_000, `gaps ${gaps}`);
  world.vault.refusal = undefined;
  world.post({ type: 'retry-requested' });
  world.pass(5000);
  assert.equal(world.status().ready, true);
  assertTranscript('backs-off-to-five-minutes-while-the-role-is-missing', world);
});

test('honours Retry-After, clamped to five minutes (C7)', () => {
  const world = new World();
  world.vault.refusal = { code: 'vault_rate_limited', retryAfterMs: 30_000 };
  begin(world);
  world.pass(60_000);
  assert.equal(world.calls.length, 2);
  world.vault.refusal = { code: 'vault_rate_limited', retryAfterMs: 1e12 };
  world.pass(330_000);
  assert.ok(world.calls.length <= 4, `${world.calls.length} calls`);
  assertTranscript('honours-retry-after', world);
});

test('never renews a token with limited uses, since a renewal would spend one (C21)', () => {
  const world = new World();
  world.vault.overrides = { numUses: 3, renewable: false };
  begin(world, jwtOf(0, 24 * HOUR));
  world.pass(3 * HOUR);
  assert.ok(world.calls.every(({ operation }) => operation === 'login'));
  assertTranscript('never-renews-a-token-with-limited-uses', world);
});

test('keeps the token when the wall clock is set an hour ahead or back, with one early renewal (H1, H2)', () => {
  for (const jump of [HOUR, -HOUR]) {
    const world = begin(new World(), jwtOf(-2 * HOUR, 24 * HOUR));
    world.pass(60_000);
    world.wallOffsetMs = jump;
    world.pass(20_000);
    assert.deepEqual(
      world.calls.map(({ operation }) => operation),
      ['login', 'renew'],
    );
    world.pass(HOUR / 2);
    assert.equal(world.calls.length, 3, 'one early renewal, then back on schedule');
    assert.equal(world.status().ready, true);
  }
});

test('replaces the expired token at once after the machine has slept for eight hours (H4)', () => {
  const world = begin(new World(), jwtOf(0, 24 * HOUR));
  world.pass(60_000);
  world.now += 8 * HOUR;
  assert.equal(world.status().ready, false);
  world.post({ type: 'woke' });
  world.pass(1000);
  assert.equal(world.status().ready, true);
  assertTranscript('replaces-the-expired-token-at-once-after-the-machine-has-slept-for-eight-hours', world);
});

test('on_new_jwt "when-needed": keeps renewing the token, and uses a new JWT at the next login only', () => {
  const world = begin(new World({ settings: { onNewJwt: 'when-needed' } }));
  world.pass(1000);
  world.writeJwt(jwtOf(60_000, 24 * HOUR));
  world.pass(3 * HOUR);
  assert.equal(world.calls.filter(({ operation }) => operation === 'login').length, 1);
  world.vault.forget();
  world.pass(HOUR);
  assert.equal(world.calls.filter(({ operation }) => operation === 'login').length, 2);
  assertTranscript('on-new-jwt-when-needed', world);
});

test('keeps renewing the token while Vault refuses a new JWT (V3)', () => {
  const world = begin(new World());
  world.pass(1000);
  world.vault.refusal = { code: 'audience_mismatch' };
  world.writeJwt(jwtOf(1000));
  world.pass(3 * HOUR);
  assert.equal(world.status().ready, true);
  assert.ok(world.calls.some(({ operation, outcome }) => operation === 'renew' && outcome === 'ok'));
  assertTranscript('keeps-renewing-the-token-while-vault-refuses-a-new-jwt', world);
});

test('on_stop "revoke": revokes the token and removes it from the sinks', () => {
  const world = begin(new World({ settings: { onStop: 'revoke' } }));
  world.pass(1000);
  world.post({ type: 'stop-requested' });
  world.pass(1000);
  assert.deepEqual(world.transcript.slice(-2).sort(), ['1.0s  revoked', '1.0s  withdrawn']);
  assert.equal(world.file, undefined);
  assert.equal(world.vault.issued.size, 0);
  assertTranscript('on-stop-revoke', world);
});

test('failing logins never starve renewals: a renewable token stays alive', () => {
  for (const [code, leases] of [
    ['issuer_unreachable', [20, 60, 100, 120]],
    ['role_missing', [20, 45, 90]],
    ['vault_timeout', [90, 120, 180, 240]],
  ] as const) {
    for (const lease of leases) {
      const world = new World({
        latencyMs: (effect) => (effect === 'log-in' && world.vault.refusal?.code === 'vault_timeout' ? 15_000 : 20),
      });
      world.vault.ttlMs = lease * 1000;
      begin(world, jwtOf(0, 24 * HOUR));
      world.pass(1000);
      world.vault.refusal = { code };
      for (let second = 1; second <= 900; second += 1) {
        // each new JWT causes another failing login
        if (second % 60 === 0) world.writeJwt(jwtOf(second * 1000, 24 * HOUR));
        world.pass(1000);
        assert.equal(world.status().authenticated, true, `${code}, a lease of ${lease} s: lost after ${second} s`);
      }
    }
  }
});

test('a refresh that fails is retried until one login succeeds, and causes no further login', () => {
  const world = begin(new World());
  world.pass(60_000);
  world.vault.outage = { code: 'vault_unavailable' };
  world.post({ type: 'refresh-requested' });
  world.pass(300);
  world.vault.outage = undefined;
  world.pass(10_000);
  const logins = () => world.calls.filter(({ operation }) => operation === 'login').map(({ outcome }) => outcome);
  assert.deepEqual(logins(), ['ok', 'vault_unavailable', 'ok']);
  world.pass(20 * 60_000);
  assert.equal(logins().length, 3);
  assert.equal(world.status().failure, undefined);
  assertTranscript('a-refresh-that-fails-is-retried-until-one-login-succeeds', world);
});

test('on_stop "revoke": revokes the token and removes the file within a second while a renewal hangs', () => {
  const settings = { onStop: 'revoke' } as const;
  const world = begin(new World({ settings, latencyMs: (effect) => (effect === 'renew' ? 15_000 : 20) }));
  world.pass(0.76 * HOUR);
  assert.equal(world.calls.at(-1)?.operation, 'renew');
  world.post({ type: 'stop-requested' });
  world.pass(1000);
  assert.equal(world.file, undefined);
  assert.equal(world.vault.issued.size, 0);
  assertTranscript('on-stop-revoke-while-renewing', world);
});

test('a token of ten seconds never expires while any one call hangs, or while its result is lost', () => {
  for (const isLost of [false, true]) {
    for (let hanging = 1; hanging < 8; hanging += 1) {
      const isHanging = () => world.calls.length === hanging;
      const world: World = new World({
        latencyMs: (effect) => (!isLost && CALLS.has(effect) && isHanging() ? HOUR : 20),
        loses: ({ type }) => isLost && CALLS.has(type) && world.calls.length === hanging + 1,
      });
      world.vault.ttlMs = 10_000;
      begin(world);
      world.pass(1000);
      for (let ms = 0; ms < 60_000; ms += 50) {
        world.pass(50);
        assert.ok(world.status().authenticated, `call ${hanging}, ${isLost ? 'lost' : 'hanging'}, after ${ms} ms`);
      }
      assert.ok(world.calls.length > hanging);
    }
  }
});
