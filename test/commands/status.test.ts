// The output of status: the table with the plan of each exchange, one exchange in detail, colours, and --watch.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { command as status } from '../../src/commands/status.ts';
import { linesWithoutControls } from '../../src/core/secret.ts';
import { listenOn } from '../../src/dev/listen.ts';
import type { ExchangeReply, StatusReply } from '../../src/http/status-reply.ts';
import { invoke } from '../support/invoke.ts';
import { until } from '../support/settling.ts';
import { EXCHANGE } from './exchange-reply.ts';

const AT = '2026-11-26T10:20:30.400Z';
const TOKEN = { accessor: 'a', expires_at: AT, renew_at: AT, policies: [], type: 'service', ttl_seconds: 60 };

/** Serves /status. @returns its URL */
async function serve(t: TestContext, ...exchanges: readonly ExchangeReply[]): Promise<string> {
  const body: StatusReply = { version: '1', api: { failure: null }, exchanges: [...exchanges] };
  const server = await listenOn({}, () => ({ status: 200, body }));
  t.after(() => server.close());
  return server.url;
}

/** The lines below the table for an exchange that is over its plan, so that each time left is 0s. */
async function below(t: TestContext, changes: Partial<ExchangeReply>): Promise<readonly string[]> {
  const { out } = await invoke(status, { ops: await serve(t, { ...EXCHANGE, ...changes }) });
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

const later = (seconds: number): string => new Date(Date.now() + seconds * 1000 + 500).toISOString();

const FAILING: ExchangeReply = {
  ...EXCHANGE,
  phase: 'overdue',
  ready: false,
  reasons: ['sink file:/a: there is no space left'],
  vault: 'https://vault.example.com:8200',
  last_call: { operation: 'renew', code: 'vault_sealed', title: 'Vault is sealed', at: later(-3) },
  failures_last_hour: [
    { code: 'vault_sealed', title: 'Vault is sealed', count: 3, last_at: later(-3) },
    { code: 'vault_timeout', title: "Vault didn't answer in time", count: 1, last_at: later(-300) },
  ],
  jwt: { issuer: 'https://issuer.example', subject: 'sub\u001b[31m', audience: ['vault'], expires_at: later(-90) },
  failure: {
    code: 'vault_sealed',
    title: 'Vault is sealed',
    evidence: 'status 503',
    hint: 'Unseal it.',
    since: later(-61),
    attempts: 3,
    retry_at: later(9),
  },
  sinks: [
    { id: 'file:/a', current: false, written_at: null, failure: { code: 'x', title: 'No space.', hint: 'Free some.' } },
  ],
};

test('one exchange is shown in detail', async (t) => {
  const token = { ...TOKEN, renewable: true, policies: ['default', 'app'], expires_at: later(45) };
  const sinks = [{ id: '/run/token', mode: '0640', current: true, written_at: later(-15), failure: null }];
  const last_call = { operation: 'renew', code: 'ok', title: null, at: later(-12) };
  const fine = { ...EXCHANGE, token, sinks, last_call, failures_last_hour: [] };
  const ops = await serve(t, fine, { ...FAILING, exchange: 'other' });
  const app = await invoke(status, { ops, argument: 'app' });
  assert.equal(app.code, 0);
  assert.match(app.out, /^app: active, ready\n/);
  assert.match(
    app.out,
    /^ {2}token {5}\[#{15}\.{5}\] 4[56]s of 1m 0s left, until \d{4}-.* UTC\n {12}accessor a, service, renewable\n {12}policies default, app$/m,
  );
  assert.match(app.out, /^ {2}sink {6}\/run\/token {2}current, written 1[45]s ago, mode 0640$/m);
  assert.match(app.out, /^ {2}Vault {5}the last call, renew 1[12]s ago, succeeded$/m);
  assert.match(app.out, /^ {2}last hour {1}no failures\n {2}sidecar {3}1$/m);
  const other = await invoke(status, { ops, argument: 'other' });
  assert.equal(other.code, 3);
  for (const line of [
    /^other: overdue, not ready\n {2}sink file:\/a: there is no space left$/m,
    /^ {2}Vault {5}https:\/\/vault\.example\.com:8200\n {12}the last call, renew [23]s ago, failed: Vault is sealed$/m,
    /^ {2}last hour {1}3x Vault is sealed, last [23]s ago\n {12}1x Vault didn't answer in time, last (4m 59|5m 0)s ago$/m,
    /^ {2}JWT {7}issuer https:\/\/issuer\.example\n {12}subject sub.{0,4}\[31m\n {12}audience vault\n {12}expires in 0s/m,
    /^ {2}sink {6}file:\/a {2}failed, not written yet\n {12}No space\.\n {12}Free some\.$/m,
    /^ {2}failure {3}Vault is sealed\n {12}status 503\n {12}Unseal it\.\n {12}3 in 1m 1s, next try in (9|10)s$/m,
  ])
    assert.match(other.out, line);
  assert.ok(!other.out.includes('\x1b'));
});

test('what the server that answers wrote never controls the terminal', async (t) => {
  const text = 'a\u001b[2Jb\u009b2Jc';
  const token = { ...TOKEN, renewable: false, accessor: text, expires_at: text, login_at: text, ends_at: text };
  const hostile = { ...FAILING, exchange: 'app', phase: text, reasons: [text], vault: text, token };
  const ops = await serve(t, { ...hostile, jwt: { issuer: text, subject: text, audience: [text], expires_at: text } });
  for (const argument of ['app', undefined]) {
    const { out } = await invoke(status, { ops, argument });
    assert.equal(linesWithoutControls(out), out);
  }
});

test('an unknown exchange is an error that names the known ones', async (t) => {
  const ops = await serve(t, EXCHANGE, { ...EXCHANGE, exchange: 'other' });
  const { code, err } = await invoke(status, { ops, argument: 'ap' });
  assert.deepEqual({ code, err }, { code: 2, err: 'there is no exchange "ap"; the sidecar has app, other' });
});

test('the table counts the failures of the last hour, also those that are over', async (t) => {
  const { failures_last_hour = [] } = FAILING;
  assert.deepEqual(await below(t, { failures_last_hour }), [
    "app: in the last hour, 3x Vault is sealed; 1x Vault didn't answer in time",
  ]);
});

test('JSON of one exchange is that exchange', async (t) => {
  const { out } = await invoke(status, { ops: await serve(t, EXCHANGE), argument: 'app', json: true });
  assert.equal(JSON.parse(out).exchange, 'app');
});

test('a terminal shows colours, unless NO_COLOR is set', async (t) => {
  const ops = await serve(t, EXCHANGE, FAILING);
  const { out } = await invoke(status, { ops }, { isTty: true });
  assert.ok(out.includes('\x1b[32mapp'), 'the ready one is green');
  assert.ok(out.includes('\x1b[31mapp'), 'the other one is red');
  const plain = await invoke(status, { ops }, { isTty: true, env: { NO_COLOR: '1' } });
  assert.equal(plain.out, (await invoke(status, { ops })).out);
});

test('--watch shows it until a signal, also while no sidecar answers', async (t) => {
  const seen: string[] = [];
  const body: StatusReply = { version: '1', api: { failure: null }, exchanges: [EXCHANGE] };
  const server = await listenOn({}, () => ({ status: seen.push('asked') === 1 ? 200 : 500, body }));
  t.after(() => server.close());
  let stop = () => {};
  const watched = invoke(
    status,
    { ops: server.url, watch: true },
    {
      isTty: true,
      onSignal: (_, handler) => {
        stop = handler;
      },
    },
  );
  await until('it asks again', () => seen.length >= 2);
  stop();
  const { code, out } = await watched;
  assert.equal(code, 0);
  assert.ok(out.startsWith('\x1b[H\x1b[J'));
  assert.match(out, /EXCHANGE/);
  assert.deepEqual(
    (await invoke(status, { ops: await serve(t, EXCHANGE), watch: true })).err,
    '--watch needs a terminal',
  );
});
