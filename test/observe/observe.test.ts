// Log lines and metrics: one line for each change of state, repeated failures once a minute, and gauges that are never
// stale.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { T0 } from '../support/world.ts';

test('logs each step to readiness once, in order', () => {
  const { world, lines } = observedWorld();
  world.writeJwt(jwtText({ exp: T0 / 1000 + 3600 }));
  world.pass(5000);
  assert.deepEqual(
    lines.map(({ level, event }) => `${level} ${event}`),
    ['info jwt_changed', 'info logged_in', 'debug sink_written', 'info ready'],
  );
});

test('logs a failure with code, title, hint and retry_at, a summary once a minute, and its end (J8)', () => {
  const { world, told } = observedWorld();
  world.vault.outage = { code: 'vault_sealed' };
  world.writeJwt(jwtText({ exp: T0 / 1000 + 7200 }));
  world.pass(10 * 60_000);
  const failures = told('login_failed');
  const calls = world.calls.length;
  assert.ok(failures.length <= 11 && failures.length >= 5, `${failures.length} lines in ten minutes`);
  assert.ok(calls > failures.length);
  const [first] = failures;
  assert.deepEqual([first?.['code'], first?.['title']], ['vault_sealed', 'Vault is sealed']);
  assert.match(String(first?.['hint']), /unseal/);
  assert.ok(Date.parse(String(first?.['retry_at'])) > Date.parse(String(first?.['since'])));
  world.vault.outage = undefined;
  world.pass(2 * 60_000);
  assert.deepEqual(
    told('recovered').map((line) => [line['code'], line['attempts']]),
    [['vault_sealed', calls]],
  );
});

test('logs a different failure at once', () => {
  const { world, told } = observedWorld();
  world.vault.outage = { code: 'vault_sealed' };
  world.writeJwt(jwtText({ exp: T0 / 1000 + 7200 }));
  world.pass(20_000);
  world.vault.outage = { code: 'role_missing' };
  world.pass(40_000);
  assert.deepEqual(
    told('login_failed').map((line) => line['code']),
    ['vault_sealed', 'role_missing'],
  );
});

test('gauges show the current values at the scrape, also without an event', async () => {
  const { world, metric } = observedWorld();
  world.writeJwt(jwtText({ exp: T0 / 1000 + 600 }));
  world.pass(5000);
  assert.equal(await metric('ready{exchange="app"}'), 1);
  assert.equal(await metric('jwt_expiration_timestamp_seconds{exchange="app"}'), T0 / 1000 + 600);
  assert.ok(((await metric('last_success_timestamp_seconds{exchange="app"}')) ?? 0) >= T0 / 1000);
  world.vault.outage = { code: 'vault_unreachable' };
  // no step in between: the expiry alone turns it
  world.now += 2 * 3_600_000;
  assert.equal(await metric('ready{exchange="app"}'), 0);
  assert.equal(await metric('authenticated{exchange="app"}'), 0);
});

test('a removed exchange leaves no gauge behind', async () => {
  const { world, observer, metric } = observedWorld();
  world.writeJwt(jwtText({ exp: T0 / 1000 + 600 }));
  world.pass(5000);
  assert.equal(await metric('ready{exchange="app"}'), 1);
  const { body } = await observer.metrics.render([]);
  assert.doesNotMatch(body, /(ready|authenticated|timestamp_seconds)\{exchange="app"/);
});

test('a scrape changes no counter', async () => {
  const { world, observer } = observedWorld();
  world.writeJwt(jwtText({ exp: T0 / 1000 + 600 }));
  world.pass(5000);
  observer.called(world.policy, { operation: 'login', code: 'ok', durationMs: 10, clockSkewMs: undefined });
  const scrape = async () => (await observer.metrics.render([world.status()])).body;
  const first = await scrape();
  assert.match(first, /vault_requests_total\{exchange="app",operation="login",code="ok"\} 1/);
  assert.equal(await scrape(), first);
  assert.equal(await scrape(), first);
});

test('every counter starts at 0 with every label, and every family has help', async () => {
  const { observer, world } = observedWorld();
  const { body } = await observer.metrics.render([world.status()]);
  assert.match(body, /vault_requests_total\{exchange="app",operation="renew",code="role_deleted"\} 0/);
  assert.match(body, /vault_requests_total\{exchange="app",operation="login",code="internal"\} 0/);
  assert.doesNotMatch(body, /operation="(renew|revoke)",code="role_missing"|operation="login",code="role_deleted"/);
  assert.match(body, /sink_writes_total\{exchange="app",sink="\/vault\/token",result="error"\} 0/);
  assert.match(body, /build_info\{version="1.2.3",node_version="v26"\} 1/);
  const families = new Set([...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  assert.equal(families.size, [...body.matchAll(/^# HELP \S+ \S/gm)].length);
});

test('the caller token is a line when it becomes unusable, for another reason, or usable again, and a gauge', async () => {
  const { observer, lines, metric } = observedWorld();
  const unusable = (problem: 'missing' | 'empty') =>
    observer.callerTokenRead({ code: 'caller_token_unusable', facts: { kind: 'file', path: '/caller', problem } });
  const news = () => lines.map(({ event, evidence }) => `${event} ${evidence}`);
  observer.callerTokenRead(undefined);
  assert.deepEqual([news(), await metric('caller_token_readable')], [[], 1]);
  for (const problem of ['missing', 'missing', 'empty'] as const) unusable(problem);
  assert.equal(await metric('caller_token_readable'), 0);
  observer.callerTokenRead(undefined);
  observer.callerTokenRead(undefined);
  assert.equal(await metric('caller_token_readable'), 1);
  assert.deepEqual(news(), [
    'caller_token_unusable /caller: missing',
    'caller_token_unusable /caller: empty',
    'caller_token_usable undefined',
  ]);
});
