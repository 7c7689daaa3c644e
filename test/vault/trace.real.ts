// Log lines beside the lines of a real Vault's audit log about the same calls.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BLOCKS } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { type SetUpOptions, setUp } from './fault-world.ts';

const HEADER = 'x-correlation-id';

async function traced(t: TestContext, options: SetUpOptions = {}) {
  const world = await setUp(t, options);
  /** the line of an event with this number, counted from 0 */
  const line = (event: string, index = 0): Promise<Record<string, unknown>> =>
    until(
      `${event} ${index}`,
      () => world.log.map((text) => JSON.parse(text)).filter((one) => one.event === event)[index],
      20_000,
    );
  /** the entries of the audit log about one call of the sidecar */
  const audited = (id: unknown) =>
    world.vault.auditLog().filter(({ request }) => request.headers?.[HEADER]?.[0] === id && id !== undefined);
  return { ...world, line, audited };
}

test("a login and its renewal have the ids of Vault's audit log, which shows them without any setting", async (t) => {
  const { line, audited } = await traced(t, { role: { ttl: '8s' } });
  for (const [event, path] of [
    ['logged_in', 'auth/jwt/login'],
    ['renewed', 'auth/token/renew-self'],
  ] as const) {
    const { correlation_id, request_id } = await line(event);
    const entries = audited(correlation_id).map(({ type, request }) => [type, request.path, request.id]);
    assert.deepEqual(entries, [
      ['request', path, request_id],
      ['response', path, request_id],
    ]);
  }
});

test('a refused login is found in the audit log by its correlation id, since the reply has no other', async (t) => {
  const { line, audited } = await traced(t, { role: { bound_audiences: 'other' } });
  const { correlation_id, request_id, code } = await line('login_failed');
  assert.deepEqual([code, request_id], ['audience_mismatch', undefined]);
  const entries = audited(correlation_id).map(({ type, request: { path } }) => [type, path]);
  assert.deepEqual(entries, [
    ['request', 'auth/jwt/login'],
    ['response', 'auth/jwt/login'],
  ]);
});

test('where the audit log hashes the header, a setting shows it', async (t) => {
  const { vault, line, audited } = await traced(t, { role: { ttl: '8s' } });
  const setting = `sys/config/auditing/request-headers/${HEADER}`;
  await vault.write(setting, { hmac: true });
  const hidden = await line('renewed');
  assert.deepEqual(audited(hidden['correlation_id']), []);
  const entry = vault.auditLog().find(({ request }) => request.id === hidden['request_id']);
  assert.match(String(entry?.request.headers?.[HEADER]), /^hmac-sha256:/);
  await vault.write(setting, { hmac: false });
  assert.equal(audited((await line('renewed', 1))['correlation_id']).length, 2);
});

test('the documented log line and audit line are those of a renewal', async (t) => {
  const { line, audited } = await traced(t, { role: { ttl: '8s' } });
  const renewed = await line('renewed');
  const [entry] = audited(renewed['correlation_id']);
  assert.ok(entry !== undefined);
  const { id, operation, path, headers, remote_address } = entry.request;
  const shown = { type: entry.type, request: { id, operation, path, headers, remote_address } };
  const [logged, seen] = BLOCKS.filter(
    ({ heading, language }) => heading === "From a log line to Vault's audit log" && language === 'json',
  ).map(({ text }) => JSON.parse(text));
  const normal = normaliserOf(renewed, logged);
  assert.deepEqual(normal(renewed), logged);
  assert.deepEqual(normal(shown), seen);
});

/** Replaces the values that each run has by those of the documentation. */
function normaliserOf(line: Record<string, unknown>, documented: Record<string, unknown>) {
  const changing = ['time', 'accessor', 'ttl_seconds', 'expires_at', 'next_at', 'correlation_id', 'request_id'];
  const values = new Map(changing.map((member) => [line[member], documented[member]]));
  return (shown: object): unknown =>
    JSON.parse(JSON.stringify(shown), (_key, value) => (values.has(value) ? values.get(value) : value));
}
