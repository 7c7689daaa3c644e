// The metrics for Prometheus: each value with its labels. A scrape changes nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts';
import type { ExchangeStatus } from '../../src/core/status.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { jwtText } from '../support/jwt-text.ts';
import { observedWorld } from '../support/observed-world.ts';
import { settingsOf, T0 } from '../support/world.ts';

const SECOND = 1000;
const HOUR = 3_600_000;
const jwtFor = (ms: number) => jwtText({ iat: T0 / 1000, exp: (T0 + ms) / 1000 });

/** The samples of an exposition by name and labels, without the prefix; no sample may stand there twice. */
function samplesOf(body: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of body.split('\n')) {
    const [, name = '', value] = /^vault_token_sidecar_(.+) (\S+)$/.exec(line) ?? [];
    if (name === '' || line.startsWith('#')) continue;
    assert.ok(!samples.has(name), `${name} twice`);
    samples.set(name, Number(value));
  }
  return samples;
}

/** One call of the exchange as the runner reports it. */
const call = (code: 'ok' | ErrorCode, durationMs = 30) =>
  ({ operation: 'login', code, durationMs, clockSkewMs: undefined }) as const;

test('two consecutive scrapes return the same text (G14)', async () => {
  const { world, observer } = observedWorld();
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(5 * SECOND);
  for (const code of ['ok', 'ok', 'vault_sealed'] as const) observer.called(world.policy, call(code));
  const scrape = async () => (await observer.metrics.render([world.status()])).body;
  const first = await scrape();
  assert.equal(await scrape(), first);
  // two scrapers at once don't disturb one another
  assert.deepEqual(await Promise.all([scrape(), scrape()]), [first, first]);
  assert.equal(samplesOf(first).get('vault_requests_total{exchange="app",operation="login",code="ok"}'), 2);
});

test('the gauges of an exchange match its status, in wall-clock seconds', async () => {
  const { world, observer } = observedWorld();
  world.wallOffsetMs = HOUR;
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(5 * SECOND);
  const { token } = world.state;
  const wall = (at = 0) => (at + HOUR) / 1000;
  const samples = samplesOf((await observer.metrics.render([world.status()])).body);
  const shown = (name: string, labels = 'exchange="app"') => samples.get(`${name}{${labels}}`);
  assert.deepEqual(
    {
      jwt: shown('jwt_expiration_timestamp_seconds'),
      expiration: shown('token_expiration_timestamp_seconds'),
      renewal: shown('token_renewal_timestamp_seconds'),
      ttl: shown('token_ttl_seconds'),
      success: shown('last_success_timestamp_seconds'),
      authenticated: shown('authenticated'),
      ready: shown('ready'),
      failures: shown('consecutive_failures'),
      written: shown('sink_last_write_timestamp_seconds', 'exchange="app",sink="/vault/token"'),
    },
    {
      jwt: (T0 + 24 * HOUR) / 1000,
      expiration: wall(token?.expiresAt),
      renewal: wall(Math.round(token?.renewAt ?? 0)),
      ttl: 3600,
      success: wall(T0 + 21),
      authenticated: 1,
      ready: 1,
      failures: 0,
      written: wall(world.state.sinks[0]?.writtenAt),
    },
  );
});

test('every gauge exists and is 0 before the first token', async () => {
  const { world, observer } = observedWorld();
  const samples = samplesOf((await observer.metrics.render([world.status()])).body);
  const gauges = [
    'jwt_expiration_timestamp_seconds',
    'token_expiration_timestamp_seconds',
    'token_renewal_timestamp_seconds',
    'token_ttl_seconds',
    'authenticated',
    'ready',
    'consecutive_failures',
    'last_success_timestamp_seconds',
    'jwt_changes_total',
  ].map((name) => samples.get(`${name}{exchange="app"}`));
  assert.deepEqual(new Set(gauges), new Set([0]));
  for (const operation of ['login', 'renew', 'revoke'])
    assert.equal(samples.get(`vault_request_duration_seconds_count{operation="${operation}"}`), 0);
});

test('an exchange with a failing sink is authenticated and not ready, and consecutive failures are counted', async () => {
  const { world, metric } = observedWorld();
  world.sinkFailure = { code: 'sink_no_space' };
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(5 * SECOND);
  assert.deepEqual([await metric('authenticated{exchange="app"}'), await metric('ready{exchange="app"}')], [1, 0]);
  const writes = (result: string) => metric(`sink_writes_total{exchange="app",sink="/vault/token",result="${result}"}`);
  const failed = await writes('error');
  assert.ok(failed !== undefined && failed >= 1 && failed <= 4, `${failed}`);
  assert.equal(await writes('ok'), 0);
  world.sinkFailure = undefined;
  world.pass(30 * SECOND);
  // looks that find the file as it should be are no writes
  world.pass(HOUR / 4);
  assert.equal(await writes('ok'), 1);
  world.vault.outage = { code: 'vault_sealed' };
  world.pass(HOUR / 4);
  const { attempts } = world.status().failure ?? {};
  assert.ok(attempts !== undefined && attempts > 2);
  assert.equal(await metric('consecutive_failures{exchange="app"}'), attempts);
});

test('counts new JWTs, and updates the last success with each renewal', async () => {
  const { world, metric } = observedWorld();
  for (const hours of [24, 24, 25]) {
    world.writeJwt(jwtFor(hours * HOUR));
    world.pass(30 * SECOND);
  }
  assert.equal(await metric('jwt_changes_total{exchange="app"}'), 2);
  const before = (await metric('last_success_timestamp_seconds{exchange="app"}')) ?? 0;
  world.pass(HOUR);
  const renewedAt = (world.state.token?.grantedAt ?? 0) / 1000;
  const after = (await metric('last_success_timestamp_seconds{exchange="app"}')) ?? 0;
  assert.ok(after > before + 1000 && Math.abs(after - renewedAt) <= 0.02, `${before}, ${after}, ${renewedAt}`);
});

test("counts reads of the file only while it isn't watched (A18)", async () => {
  const { world, metric } = observedWorld();
  const polls = () => metric('watch_fallback_polls_total');
  world.writeJwt(jwtFor(24 * HOUR));
  world.pass(60 * SECOND);
  assert.equal(await polls(), 0);
  world.watched = false;
  world.pass(60 * SECOND);
  const without = (await polls()) ?? 0;
  assert.ok(without > 0);
  world.jwt = { code: 'jwt_missing' };
  world.pass(60 * SECOND);
  assert.ok(((await polls()) ?? 0) > without);
});

test('counts calls by exchange, operation and code, and measures their duration and the clock skew', async () => {
  const { world, observer, metric } = observedWorld();
  const other = { ...world.policy, settings: { ...settingsOf(), name: 'other' } };
  observer.called(world.policy, { ...call('ok', 30), clockSkewMs: 2600 });
  observer.called(world.policy, { ...call('ok', 4000), operation: 'renew' });
  observer.called(other, call('vault_sealed'));
  const count = (labels: string) => metric(`vault_requests_total{${labels}}`);
  assert.equal(await count('exchange="app",operation="login",code="ok"'), 1);
  assert.equal(await count('exchange="app",operation="renew",code="ok"'), 1);
  assert.equal(await count('exchange="app",operation="login",code="vault_sealed"'), 0);
  assert.equal(await metric('vault_request_duration_seconds_sum{operation="renew"}'), 4);
  const below = (le: string) => metric(`vault_request_duration_seconds_bucket{le="${le}",operation="login"}`);
  assert.deepEqual([await below('0.025'), await below('0.05')], [0, 2]);
  assert.equal(await metric('vault_request_duration_seconds_bucket{le="30",operation="renew"}'), 1);
  assert.equal(await metric('vault_clock_skew_seconds'), 3);
  observer.called(world.policy, { ...call('ok'), clockSkewMs: 0 });
  observer.called(world.policy, call('ok'));
  assert.equal(await metric('vault_clock_skew_seconds'), 0);
});

test('the codes of a call are exactly those with which it can end', async () => {
  const { world, observer } = observedWorld();
  const { body } = await observer.metrics.render([world.status()]);
  const shown = new Set([...body.matchAll(/vault_requests_total\{.*code="(\w+)"\}/g)].map(([, code]) => code));
  for (const [code, { area }] of Object.entries(ERRORS))
    assert.equal(shown.has(code), area === 'refusal' || area === 'vault' || code === 'internal', code);
});

test('shows a refused config, and keeps the time of the last valid one', async () => {
  const { observer, metric } = observedWorld();
  observer.configRead(true, T0);
  observer.configRead(false, T0 + HOUR);
  const shown = () =>
    Promise.all(
      ['config_last_reload_successful', 'config_last_reload_success_timestamp_seconds'].map((name) => metric(name)),
    );
  assert.deepEqual(await shown(), [0, T0 / 1000]);
  observer.configRead(true, T0 + HOUR);
  assert.deepEqual(await shown(), [1, (T0 + HOUR) / 1000]);
});

/** Twenty-five exchanges with the state of one. */
const many = (status: ExchangeStatus) =>
  Array.from(
    { length: 25 },
    (_, index): ExchangeStatus => ({
      ...status,
      exchange: `e${index}`,
      sinks: index < 10 ? status.sinks : [],
    }),
  );

test('renders many exchanges once each, with one header for each family, without blocking the event loop (G14)', async () => {
  const { world, observer } = observedWorld();
  const plain = await observer.metrics.render([world.status()]);
  let turns = 0;
  const turn = () => {
    turns += 1;
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  const { body } = await observer.metrics.render(many(world.status()));
  clearImmediate(timer);
  assert.ok(turns >= 3, `${turns} turns`);
  const samples = samplesOf(body);
  for (let index = 0; index < 25; index += 1) assert.equal(samples.get(`ready{exchange="e${index}"}`), 0);
  const heads = (text: string) => text.split('\n').filter((line) => line.startsWith('# '));
  assert.deepEqual(heads(body), heads(plain.body));
  assert.equal(new Set(heads(body)).size, heads(body).length);
  assert.match(plain.contentType, /^text\/plain; version=0\.0\.4/);
});

test("includes Node's metrics if enabled", async () => {
  for (const nodeMetrics of [false, true]) {
    const observer = openObserver({ version: '1', nodeVersion: '2', nodeMetrics, level: 'error', target: () => {} });
    const { body } = await observer.metrics.render([]);
    assert.equal(/^nodejs_heap_size_used_bytes /m.test(body), nodeMetrics);
  }
});

test('the names of the metric families are stable, since alerts use them', async () => {
  const { world, observer } = observedWorld();
  const { body } = await observer.metrics.render([world.status()]);
  const families = [...body.matchAll(/^# TYPE vault_token_sidecar_(\S+ \S+)/gm)].map(([, family]) => family);
  assert.deepEqual(families.sort(), [
    'api_requests_total counter',
    'authenticated gauge',
    'build_info gauge',
    'caller_token_readable gauge',
    'config_last_reload_success_timestamp_seconds gauge',
    'config_last_reload_successful gauge',
    'consecutive_failures gauge',
    'hooks_total counter',
    'jwt_changes_total counter',
    'jwt_expiration_timestamp_seconds gauge',
    'last_success_timestamp_seconds gauge',
    'log_lines_dropped_total counter',
    'proxy_request_duration_seconds histogram',
    'proxy_requests_total counter',
    'ready gauge',
    'sink_last_write_timestamp_seconds gauge',
    'sink_writes_total counter',
    'token_expiration_timestamp_seconds gauge',
    'token_renewal_timestamp_seconds gauge',
    'token_ttl_seconds gauge',
    'vault_clock_skew_seconds gauge',
    'vault_request_duration_seconds histogram',
    'vault_requests_total counter',
    'watch_fallback_polls_total counter',
  ]);
});

test('without an exchange there is no family of exchanges', async () => {
  const { observer } = observedWorld();
  const { body } = await observer.metrics.render([]);
  assert.doesNotMatch(body, /vault_token_sidecar_ready/);
  assert.match(body, /^vault_token_sidecar_build_info\{/m);
});

test('requests to the proxy are counted by class of method and status, with their duration', async () => {
  const { observer } = observedWorld();
  for (const method of ['GET', 'HEAD', 'LIST', 'PUT', 'PATCH', 'DELETE', 'BREW'])
    observer.proxied('app', method, 200, 20);
  observer.proxied('app', 'POST', 499, 3000);
  const { body } = await observer.metrics.render([]);
  const samples = [...body.matchAll(/^vault_token_sidecar_proxy_(\S+ \S+)$/gm)].map(([, sample]) => sample);
  assert.deepEqual(
    samples.filter((sample) => !sample?.includes('bucket')),
    [
      'requests_total{exchange="app",method="read",code="200"} 2',
      'requests_total{exchange="app",method="list",code="200"} 1',
      'requests_total{exchange="app",method="write",code="200"} 2',
      'requests_total{exchange="app",method="delete",code="200"} 1',
      'requests_total{exchange="app",method="other",code="200"} 1',
      'requests_total{exchange="app",method="write",code="499"} 1',
      'request_duration_seconds_sum{exchange="app"} 3.14',
      'request_duration_seconds_count{exchange="app"} 8',
    ],
  );
});
