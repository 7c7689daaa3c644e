// A virtual year in the life of one exchange, under faults drawn from a seed: outages, refusals, clock jumps, sleeps, torn
// files, full disks, revocations. After every step the promises are checked; a broken one names its seed.
// More seeds: SIMULATION_SEEDS=100 npm test

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, type Failure } from '../../src/core/errors.ts';
import type { ExchangeEvent, State } from '../../src/core/state.ts';
import { servedToken } from '../../src/core/status.ts';
import { jwtText } from '../support/jwt-text.ts';
import { seededRandom } from '../support/random.ts';
import { T0, World } from '../support/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const YEAR = 365 * 24 * HOUR;
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 2);
const FIRST_SEED = Number(process.env['SIMULATION_FIRST_SEED'] ?? 1);

const OUTAGES: readonly Failure[] = [
  { code: 'vault_sealed' },
  { code: 'vault_timeout' },
  { code: 'vault_unreachable' },
  { code: 'vault_rate_limited', retryAfterMs: 45_000 },
  { code: 'bad_response' },
  { code: 'vault_unavailable' },
];
const REFUSALS: readonly Failure[] = [
  { code: 'role_missing' },
  { code: 'signature_invalid' },
  { code: 'login_forbidden' },
  { code: 'issuer_unreachable' },
  { code: 'jwt_not_yet_valid' },
];
const UNREADABLE: readonly Failure[] = [{ code: 'jwt_missing' }, { code: 'jwt_empty' }, { code: 'jwt_unreadable' }];

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
  test(`a virtual year, seed ${seed}`, (t) => {
    const { world, steps, faults } = liveOneYear(seed);
    t.diagnostic(`seed ${seed}: ${steps} steps, ${world.calls.length} calls, ${faults} faults`);
    assert.ok(faults > 500 && steps > 100_000, 'the year was eventful');
  });
}

function liveOneYear(seed: number): { world: World; steps: number; faults: number } {
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  let steps = 0;
  let faults = 0;
  const latencyMs = () => Math.floor(random() * (random() < 0.02 ? 15_000 : 200)) + 1;
  const world = new World({
    random,
    latencyMs,
    check(seen, before, event, wakeAt) {
      steps += 1;
      checkStep(seed, { world: seen, before, event, wakeAt });
    },
  });
  world.vault.ttlMs = pick([5 * MINUTE, HOUR, 24 * HOUR]);
  world.vault.maxTtlMs = pick([3 * HOUR, 72 * HOUR, 768 * HOUR]);
  world.post({ type: 'woke' });

  const end = T0 + YEAR;
  let nextJwtAt = T0;
  while (world.now < end) {
    if (world.now >= nextJwtAt) {
      writeFreshJwt(world);
      nextJwtAt = world.now + 45 * MINUTE;
    }
    world.pass(random() * 30 * MINUTE);
    if (random() > 0.05) continue;
    faults += 1;
    const fault = pick(FAULTS);
    const heal = fault(world, { random, pick });
    world.pass(random() * pick([MINUTE, HOUR, 6 * HOUR]));
    heal?.();
    writeFreshJwt(world);
    nextJwtAt = world.now + 45 * MINUTE;
    // V8: whatever it was, within the longest backoff and some seconds all is well again
    world.pass(6 * MINUTE);
    assert.equal(
      world.status().ready,
      true,
      `seed ${seed}: not ready six minutes after a fault at ${world.now - T0}: ${JSON.stringify(world.status())}`,
    );
  }
  checkCalls(seed, world);
  return { world, steps, faults };
}

function writeFreshJwt(world: World): void {
  const wall = Math.floor((world.now + world.wallOffsetMs) / 1000);
  world.writeJwt(jwtText({ iat: wall, exp: wall + 3600 }));
}

interface Chance {
  readonly random: () => number;
  readonly pick: <T>(from: readonly T[]) => T;
}

/** Each breaks something, and answers what mends it. */
const FAULTS: readonly ((world: World, chance: Chance) => (() => void) | undefined)[] = [
  (world, { pick }) => {
    world.vault.outage = pick(OUTAGES);
    return () => {
      world.vault.outage = undefined;
    };
  },
  (world, { pick }) => {
    world.vault.refusal = pick(REFUSALS);
    return () => {
      world.vault.refusal = undefined;
    };
  },
  (world) => {
    world.vault.renewalRefusal = { code: 'renewal_denied' };
    return () => {
      world.vault.renewalRefusal = undefined;
    };
  },
  (world, { pick }) => {
    world.writeJwt(pick(UNREADABLE));
    return undefined;
  },
  (world) => {
    world.writeJwt('torn.in the.middle');
    return undefined;
  },
  (world) => {
    world.watched = false;
    return () => {
      world.watched = true;
    };
  },
  (world) => {
    world.sinkFailure = { code: 'sink_no_space' };
    world.file = undefined;
    return () => {
      world.sinkFailure = undefined;
    };
  },
  (world, { random }) => {
    const ahead = (random() - 0.5) * 4 * HOUR;
    world.wallOffsetMs += ahead;
    return () => {
      world.wallOffsetMs -= ahead;
    };
  },
  (world, { random }) => {
    world.now += random() * 8 * HOUR;
    return undefined;
  },
  (world) => {
    for (let hint = 0; hint < 1000; hint++) world.post({ type: 'jwt-hinted' });
    return undefined;
  },
  (world) => {
    world.post({ type: 'login-failed', attempt: world.state.attempts - 1, failure: { code: 'vault_timeout' } });
    world.post({ type: 'woke' });
    return undefined;
  },
];

interface Step {
  readonly world: World;
  readonly before: State;
  readonly event: ExchangeEvent;
  readonly wakeAt: number;
}

function checkStep(seed: number, { world, before, event, wakeAt }: Step): void {
  const { state, now } = world;
  const where = () => `seed ${seed}, ${now - T0} ms, ${event.type}`;
  assert.ok(wakeAt > now, `${where()}: wakes in the past`);
  assert.ok(!Number.isNaN(wakeAt), `${where()}: wakes never`);
  assert.ok(state.generation >= before.generation, `${where()}: V2, an older token`);
  const served = servedToken(state, now);
  assert.ok(served === undefined || served.expiresAt > now, `${where()}: V1, an expired token is served`);
  for (const [index, sink] of state.sinks.entries()) {
    const starts = sink.writing !== undefined && sink.writing !== before.sinks[index]?.writing;
    assert.ok(!starts || (sink.writing?.expiresAt ?? 0) > now, `${where()}: V1, an expired token is written`);
  }
  const dropped = before.token !== undefined && before.token.expiresAt > now && state.token === undefined;
  assert.ok(!dropped, `${where()}: V3, a good token was dropped`);
  assert.ok(
    before.call === undefined ||
      state.call === undefined ||
      state.call.attempt === before.call.attempt ||
      event.type.match(/ed$/),
    `${where()}: two calls in flight`,
  );
}

/** V4: the ceilings of calls to Vault, over every window of the year. */
function checkCalls(seed: number, world: World): void {
  const isFailure = (outcome: string | undefined) => outcome !== undefined && outcome !== 'ok' && outcome in ERRORS;
  const failed = world.calls.filter(({ outcome }) => isFailure(outcome));
  const logins = world.calls.filter(({ operation }) => operation === 'login');
  assertCeiling(seed, 'failed calls a minute', failed, { windowMs: MINUTE, most: 12 });
  assertCeiling(seed, 'failed calls in 15 minutes', failed, { windowMs: 15 * MINUTE, most: 40 });
  assertCeiling(seed, 'calls a minute', world.calls, { windowMs: MINUTE, most: 60 });
  assertCeiling(seed, 'logins a minute', logins, { windowMs: MINUTE, most: 12 });
}

function assertCeiling(
  seed: number,
  what: string,
  calls: readonly { at: number }[],
  ceiling: { windowMs: number; most: number },
): void {
  for (const [index, call] of calls.entries()) {
    const past = calls[index - ceiling.most];
    const within = past === undefined || call.at - past.at >= ceiling.windowMs;
    assert.ok(within, `seed ${seed}: more than ${ceiling.most} ${what} at ${call.at - T0} ms`);
  }
}
