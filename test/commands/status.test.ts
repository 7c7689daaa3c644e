// The output of status: one line below the table for the plan of each exchange, with what is known.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { command as status } from '../../src/commands/status.ts';
import { listenOn } from '../../src/dev/listen.ts';
import type { ExchangeReply, StatusReply } from '../../src/http/status-reply.ts';
import { invoke } from '../support/invoke.ts';

const AT = '2026-11-26T10:20:30.400Z';
const TOKEN = { accessor: 'a', expires_at: AT, renew_at: AT, policies: [], type: 'service', ttl_seconds: 60 };

/** The lines below the table for an exchange that is over its plan, so that each time left is 0s. */
async function below(t: TestContext, changes: Partial<ExchangeReply>): Promise<readonly string[]> {
  const exchange: ExchangeReply = {
    exchange: 'app',
    phase: 'active',
    ready: true,
    reasons: [],
    jwt: null,
    token: null,
    next_action: null,
    failure: null,
    sinks: [],
    ...changes,
  };
  const body: StatusReply = { version: '1', api: { failure: null }, exchanges: [exchange] };
  const server = await listenOn({}, () => ({ status: 200, body }));
  t.after(() => server.close());
  const { out } = await invoke(status, { ops: server.url });
  return out.split('\n').slice(2);
}

test('a renewable token has a renewal, and a login if renewals fail', async (t) => {
  const token = { ...TOKEN, renewable: true, login_at: AT, ends_at: null };
  assert.deepEqual(await below(t, { token, next_action: { kind: 'renew', at: AT } }), [
    'app: renews in 0s; if renewals fail, logs in at 2026-11-26 10:20:30 UTC',
  ]);
});

test("a token that can't be renewed has a login and an end", async (t) => {
  const token = { ...TOKEN, renewable: false, login_at: AT, ends_at: '2026-11-26T11:00:00.000Z' };
  assert.deepEqual(await below(t, { token, next_action: { kind: 'login', at: AT } }), [
    "app: logs in at 2026-11-26 10:20:30 UTC; the token can't be renewed and ends at 2026-11-26 11:00:00 UTC",
  ]);
  assert.deepEqual(await below(t, { token: { ...token, login_at: null } }), [
    "app: the token can't be renewed and ends at 2026-11-26 11:00:00 UTC",
  ]);
});

test('without a token, or with the reply of an earlier version, there is no more than what is known', async (t) => {
  assert.deepEqual(await below(t, { next_action: { kind: 'login', at: AT } }), []);
  const token = { ...TOKEN, renewable: true };
  assert.deepEqual(await below(t, { token }), []);
  assert.deepEqual(await below(t, { token, next_action: { kind: 'renew', at: AT } }), ['app: renews in 0s']);
});
