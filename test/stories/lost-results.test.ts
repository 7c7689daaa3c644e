// The results of actions are lost, one or several: the exchange recovers from each.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Effect } from '../../src/core/state.ts';
import { jwtText } from '../support/jwt-text.ts';
import { T0, World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** The deadline of the action, and one backoff. */
const RECOVERY_MS = 60 * SECOND;

const jwtOf = (minutes: number): string =>
  jwtText({ iat: T0 / SECOND + minutes * 60, exp: T0 / SECOND + minutes * 60 + 3600 });

/** A world with a new JWT every ten minutes; results for which `loses` is true never arrive. */
function live(loses: (effect: Effect, index: number) => boolean): World {
  let index = 0;
  const world = new World({ loses: (effect) => loses(effect, index++) });
  world.writeJwt(jwtOf(0));
  for (let minutes = 10; minutes < 60; minutes += 10)
    world.at(T0 + minutes * MINUTE, () => world.writeJwt(jwtOf(minutes)));
  return world;
}

test('after the loss of any one result is ready within a minute, and uses the newest JWT within two (K1)', () => {
  for (let lost = 0; lost < 40; lost++) {
    let lostAt = Number.POSITIVE_INFINITY;
    const world = live((_effect, index) => {
      if (index === lost) lostAt = world.now;
      return index === lost;
    });
    while (lostAt === Number.POSITIVE_INFINITY && world.now < T0 + 2 * 60 * MINUTE) world.pass(SECOND);
    assert.ok(lostAt < Number.POSITIVE_INFINITY, `result ${lost} is lost`);
    world.pass(RECOVERY_MS);
    const { ready, reasons, sinks } = world.status();
    assert.ok(ready && sinks.every(({ current }) => current), `result ${lost} lost: ${reasons}`);
    world.pass(MINUTE);
    assert.equal(
      world.state.token?.jwtSerial,
      world.state.jwt?.serial,
      `result ${lost} lost: no login with the new JWT`,
    );
  }
});

test('is ready within two minutes after a time in which all results of one kind were lost (K1)', () => {
  for (const kind of ['read-jwt', 'log-in', 'renew', 'deliver'] as const) {
    const until = T0 + 25 * MINUTE;
    const world = live(({ type }) => type === kind && world.now < until);
    world.pass(27 * MINUTE);
    assert.equal(world.status().ready, true, `${kind}: ${world.status().reasons}`);
  }
});

test('is ready within a minute of the last of many random losses (K1)', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 30, maxLength: 60 }), (losses) => {
      let lastLossAt = T0;
      const world = live((_effect, index) => {
        if (losses[index]) lastLossAt = world.now;
        return losses[index] === true;
      });
      world.pass(60 * MINUTE);
      if (world.now - lastLossAt > RECOVERY_MS)
        assert.equal(world.status().ready, true, String(world.status().reasons));
    }),
    { numRuns: 100 },
  );
});

test('a stop ends within a second though the result of its revocation or withdrawal is lost (K1)', () => {
  for (const kind of ['revoke', 'withdraw'] as const) {
    const world = new World({ settings: { onStop: 'revoke' }, loses: ({ type }) => type === kind });
    world.writeJwt(jwtOf(0));
    world.pass(MINUTE);
    world.post({ type: 'stop-requested' });
    world.pass(SECOND);
    assert.equal(world.isStopped(), true, kind);
  }
});
