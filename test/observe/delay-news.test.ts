// A call that a rate limit delays has one line with the reason and the length of the wait.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDelayLog } from '../../src/observe/delay-news.ts';
import { jwtText } from '../support/jwt-text.ts';
import { type ObservedWorld, observedWorld } from '../support/observed-world.ts';
import { MOMENT, NOW, POLICY, SECOND, stateOf } from '../support/states.ts';
import { T0 } from '../support/world.ts';

const jwt = (serial: number) => jwtText({ iss: 'https://issuer', sub: 'app', aud: 'vault', jti: `${serial}`, exp: T0 });
const delays = ({ told }: ObservedWorld) =>
  told('call_delayed').map(({ operation, wait_seconds: wait, reason }) => [
    operation,
    wait,
    String(reason).split(':')[0],
  ]);

test('steps during the wait repeat nothing; the next delay is reported', () => {
  const lines: unknown[] = [];
  const log = openDelayLog();
  const at = (level: number) => stateOf({ logins: { level, at: NOW } });
  const write = (_level: unknown, _event: unknown, fields: unknown) => void lines.push(fields);
  for (const state of [at(0), at(0), stateOf(), at(-1)])
    log(write, POLICY, state, { ...MOMENT, wall: NOW + 60 * SECOND });
  const told = { operation: 'login', reason: 'two logins came shortly before: after them, one in 5 s is allowed' };
  assert.deepEqual(lines, [
    { ...told, wait_seconds: 5, starts_at: new Date(NOW + 65 * SECOND).toISOString() },
    { ...told, wait_seconds: 10, starts_at: new Date(NOW + 70 * SECOND).toISOString() },
  ]);
});

test('the third JWT within a second waits for its login, and says so once', () => {
  const observed = observedWorld();
  const { world, told } = observed;
  for (let serial = 1; serial <= 3; serial += 1) {
    world.writeJwt(jwt(serial));
    world.pass(1.2 * SECOND);
  }
  const [line] = told('call_delayed');
  assert.deepEqual(delays(observed), [['login', 3, 'two logins came shortly before']]);
  world.pass(5 * SECOND);
  const startedAt =
    told('logged_in')
      .map(({ time }) => Date.parse(String(time)))
      .at(-1) ?? 0;
  assert.ok(Math.abs(startedAt - Date.parse(String(line?.['starts_at']))) < SECOND);
  assert.equal(told('call_delayed').length, 1);
});
