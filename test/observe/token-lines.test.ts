// The log lines about the token of an earlier process, about checks of the held token, and about revocations. Each has the ids
// of its call.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { jwtText } from '../support/jwt-text.ts';
import { type Line, type ObservedWorld, observedWorld } from '../support/observed-world.ts';
import { T0, type World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** Issued a day ago, so that the token of an earlier process may be of this JWT. */
const jwtOf = (hours: number) => jwtText({ iat: T0 / 1000 - 24 * 3600, exp: T0 / 1000 + hours * 3600 });
const iso = (at: number) => new Date(at).toISOString();

/** The line without the members that all lines have. */
function said({ time: _time, exchange: _exchange, ...line }: Line = {}): Line {
  return line;
}

/** A world that starts with `on_start: reuse`; `prepare` leaves what an earlier process left. */
function restarted(prepare: (world: World) => void, settings: Parameters<typeof observedWorld>[0] = {}): ObservedWorld {
  const observed = observedWorld({ ...settings, settings: { onStart: 'reuse', ...settings.settings } });
  const { world } = observed;
  prepare(world);
  world.writeJwt(jwtOf(24));
  world.pass(5 * SECOND);
  return observed;
}

/** Leaves a token that was granted 20 minutes ago. */
function leaveToken(world: World): void {
  const at = world.now - 20 * MINUTE;
  const granted = world.vault.login(new Secret(jwtOf(24)), at, at);
  assert.ok(!('code' in granted));
  world.file = granted.secret;
}

test('a token that is taken over is a line with the rest of its lease, in the place of a login', () => {
  const { world, lines, told } = restarted(leaveToken);
  assert.equal(world.state.token?.secret.equals(world.file ?? new Secret('')), true);
  const [line] = told('token_reused');
  assert.deepEqual(said(line), {
    level: 'info',
    event: 'token_reused',
    accessor: 'accessor-00000001',
    ttl_seconds: 3600,
    renewable: true,
    token_type: 'service',
    policies: ['default'],
    expires_at: iso(world.state.token?.expiresAt ?? 0),
    next_at: iso(world.state.token?.renewAt ?? 0),
    correlation_id: '80000000-2',
    request_id: 'request-2',
  });
  const events = lines.map(({ event }) => event);
  assert.deepEqual(
    events.filter((event) => event === 'logged_in' || event === 'token_not_reused'),
    [],
  );
});

test('a token that is not taken over is a line with the reason', () => {
  const lineAfter = (prepare: (world: World) => void, options: Parameters<typeof observedWorld>[0] = {}) => {
    const { told } = restarted(prepare, options);
    assert.deepEqual([told('token_reused').length, told('token_not_reused').length], [0, 1]);
    assert.equal(told('logged_in').length, 1);
    const { level, event: _event, ...members } = said(told('token_not_reused')[0]);
    assert.equal(level, 'info');
    return members;
  };
  assert.deepEqual(
    lineAfter(() => {}),
    { reason: 'no earlier token' },
  );
  assert.deepEqual(lineAfter(leaveToken, { settings: { login: { mount: 'jwt', role: 'other' } } }), {
    reason: 'it is from another role',
    accessor: 'accessor-00000001',
    correlation_id: '80000000-2',
    request_id: 'request-2',
  });
  const { hint, ...refused } = lineAfter((world) => {
    world.file = new Secret('hvs.unknown-to-vault');
  });
  assert.match(String(hint), /lookup-self/);
  assert.deepEqual(refused, {
    reason: 'Vault rejects the Vault token',
    code: 'token_rejected',
    title: 'Vault rejects the Vault token',
    evidence: 'status 403, permission denied',
    correlation_id: '80000000-2',
  });
});

test('a lookup without a result is a reason, too', () => {
  const { world, told } = restarted(leaveToken, { loses: ({ type }) => type === 'look-up' });
  assert.equal(told('token_not_reused').length, 0);
  world.pass(MINUTE);
  assert.deepEqual(
    told('token_not_reused').map(({ code, reason, title }) => [code, reason === title]),
    [['vault_call_stuck', true]],
  );
});

/** A world that holds a token; the lines so far are left out. */
function holding(options: Parameters<typeof observedWorld>[0] = {}) {
  const observed = observedWorld(options);
  observed.world.writeJwt(jwtOf(24));
  observed.world.pass(5 * SECOND);
  const before = observed.lines.length;
  return { ...observed, news: () => observed.lines.slice(before).map(said) };
}

test('a check that finds the token dead is a line, and a login follows', () => {
  const { world, news, told } = holding({ settings: { checkIntervalMs: MINUTE } });
  world.pass(3 * MINUTE);
  assert.deepEqual(news(), []);
  world.vault.forget();
  world.pass(2 * MINUTE);
  const [{ hint, ...rejected } = {}, loggedIn] = news();
  assert.match(String(hint), /the sidecar logs in again/);
  assert.deepEqual(rejected, {
    level: 'warn',
    event: 'token_rejected',
    accessor: 'accessor-00000001',
    code: 'token_rejected',
    title: 'Vault rejects the Vault token',
    evidence: 'status 403, permission denied',
    correlation_id: told('token_rejected')[0]?.['correlation_id'],
  });
  assert.match(String(rejected['correlation_id']), /^80000000-\d+$/);
  assert.deepEqual([loggedIn?.['event'], loggedIn?.['accessor']], ['logged_in', 'accessor-00000002']);
});

test('the end of the checks is a line with the missing policy', () => {
  const { world, told } = holding({ settings: { checkIntervalMs: MINUTE } });
  world.vault.lookup = () => ({ code: 'token_rejected' });
  while (told('token_rejected').length === 0) world.pass(100);
  assert.deepEqual([told('token_rejected').length, told('checks_ended').length], [1, 0]);
  world.pass(10 * MINUTE);
  const [{ hint, ...ended } = {}, ...others] = told('checks_ended').map(said);
  assert.match(String(hint), /lookup-self/);
  assert.deepEqual([ended['level'], others], ['warn', []]);
});

test('a check that fails for another reason is no line', () => {
  const { world, news } = holding({ settings: { checkIntervalMs: MINUTE } });
  world.vault.outage = { code: 'vault_sealed' };
  world.pass(5 * MINUTE);
  assert.deepEqual(news(), []);
});

test('the revocation of a replaced token is a line with its accessor', () => {
  const { world, told } = holding({ settings: { onReplace: 'revoke' } });
  world.writeJwt(jwtOf(25));
  world.pass(2 * MINUTE);
  assert.deepEqual(told('replaced_token_revoked').map(said), [
    {
      level: 'info',
      event: 'replaced_token_revoked',
      accessor: 'accessor-00000001',
      correlation_id: told('replaced_token_revoked')[0]?.['correlation_id'],
    },
  ]);
  assert.equal(told('token_revoked').length, 0);
});

test('a revoking stop is one line for the held token and one for each replaced token', () => {
  const { world, told } = holding({ settings: { onStop: 'revoke' } });
  world.writeJwt(jwtOf(25));
  world.pass(5 * SECOND);
  world.post({ type: 'stop-requested' });
  world.pass(SECOND);
  const accessors = (event: string) => told(event).map(({ accessor }) => accessor);
  assert.deepEqual(accessors('token_revoked'), ['accessor-00000002']);
  assert.deepEqual(accessors('replaced_token_revoked'), ['accessor-00000001']);
});

/** A world whose revocations have no result of their own; `fail` gives the one in flight a failure. */
function revoking(settings: { onReplace?: 'revoke'; onStop?: 'revoke' }) {
  const observed = holding({ settings, loses: ({ type }) => type === 'revoke' });
  const { world } = observed;
  const fail = (failure: Failure) => {
    const attempt = world.state.stopping?.revocation?.attempt ?? world.state.call?.attempt;
    assert.ok(attempt !== undefined, 'a revocation is in flight');
    world.post({ type: 'revocation-failed', attempt, failure });
  };
  const failures = () => observed.told('revocation_failed').map(said);
  return { ...observed, fail, failures };
}

test('a refused revocation is one line; one that is retried is summed up once a minute', () => {
  const { world, fail, failures } = revoking({ onReplace: 'revoke' });
  const untilRevoking = () => {
    const end = world.now + 10 * MINUTE;
    while (world.state.call?.operation !== 'revoke' && world.now < end) world.pass(100);
  };
  world.writeJwt(jwtOf(25));
  untilRevoking();
  const from = world.now;
  for (let time = 0; time < 4; time += 1) {
    untilRevoking();
    fail({ code: 'vault_sealed' });
  }
  const [{ hint: _hint, since, retry_at, ...first } = {}, ...others] = failures();
  assert.deepEqual(first, {
    level: 'warn',
    event: 'revocation_failed',
    accessor: 'accessor-00000001',
    code: 'vault_sealed',
    title: 'Vault is sealed',
    attempts: 1,
    correlation_id: first['correlation_id'],
  });
  assert.equal(since, iso(from));
  assert.ok(Date.parse(String(retry_at)) > from);
  assert.ok(world.now - from < MINUTE && others.length === 0);
  untilRevoking();
  fail({ code: 'revocation_denied' });
  const { hint, ...refused } = failures().at(-1) ?? {};
  assert.match(String(hint), /auth\/token\/revoke-self/);
  assert.deepEqual(refused, {
    level: 'warn',
    event: 'revocation_failed',
    accessor: 'accessor-00000001',
    code: 'revocation_denied',
    title: 'Vault denies the revocation',
    correlation_id: refused['correlation_id'],
  });
  assert.equal(failures().length, 2);
});

test('a failed revocation is dated on the wall clock', () => {
  const { world, fail, failures } = revoking({ onReplace: 'revoke' });
  const hour = 60 * MINUTE;
  world.wallOffsetMs = hour;
  world.writeJwt(jwtOf(25));
  while (world.state.call?.operation !== 'revoke') world.pass(100);
  fail({ code: 'vault_sealed' });
  const [{ since, retry_at } = {}] = failures();
  assert.equal(since, iso(world.now + hour));
  const waitMs = Date.parse(String(retry_at)) - (world.now + hour);
  assert.ok(waitMs > 0 && waitMs < MINUTE, `${waitMs} ms`);
});

test('a revocation that fails during a stop is a line with the accessor of the token that lives on', () => {
  const { world, fail, failures } = revoking({ onStop: 'revoke' });
  world.post({ type: 'stop-requested' });
  fail({ code: 'vault_unreachable' });
  assert.deepEqual(
    failures().map(({ level, accessor, code }) => [level, accessor, code]),
    [['warn', 'accessor-00000001', 'vault_unreachable']],
  );
});
