// The body of /status: instants as RFC 3339 text, null where there is nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeStatus } from '../../src/core/status.ts';
import { statusReply } from '../../src/http/status-reply.ts';
import { BARE_OPS } from './bare-ops.ts';
import { fakeView } from './fake-view.ts';

const AT = Date.UTC(2026, 10, 1);
const TEXT = '2026-11-01T00:00:00.000Z';
const bodyOf = (changes: Partial<ExchangeStatus> = {}, { recent } = BARE_OPS) =>
  statusReply({ version: '1.2.3', recent }, [{ ...fakeView().status(), ...changes }], undefined).exchanges[0];

test('an exchange that has nothing yet shows nulls', () => {
  assert.deepEqual(bodyOf({ phase: 'waiting-for-jwt', ready: false, reasons: ['no Vault token yet'] }), {
    exchange: 'app',
    phase: 'waiting-for-jwt',
    ready: false,
    reasons: ['no Vault token yet'],
    vault: 'https://vault.example.com:8200',
    last_call: null,
    failures_last_hour: [],
    jwt: null,
    token: null,
    failure: null,
    sinks: [],
    next_action: null,
  });
});

test('an exchange shows its JWT, token, failure, sinks and next action', () => {
  const trouble = { code: 'vault_sealed', title: 'Vault is sealed', evidence: undefined, hint: 'Unseal it.' } as const;
  const body = bodyOf({
    jwt: { issuer: 'i', subject: undefined, audience: ['vault'], expiresAt: AT, stale: false },
    token: {
      accessor: 'a',
      expiresAt: AT,
      renewAt: AT,
      loginAt: AT,
      endsAt: undefined,
      policies: ['p'],
      type: 'service',
      renewable: true,
      ttlMs: 1500,
    },
    failure: { ...trouble, since: AT, attempts: 2, retryAt: undefined },
    sinks: [
      { id: '/one', mode: 0o640, current: true, writtenAt: AT, failure: undefined },
      { id: '/two', mode: 0o600, current: false, writtenAt: undefined, failure: trouble },
    ],
    nextAction: { kind: 'login', at: AT },
  });
  assert.deepEqual(body?.jwt, { issuer: 'i', subject: null, audience: ['vault'], expires_at: TEXT });
  assert.deepEqual(body?.token, {
    accessor: 'a',
    expires_at: TEXT,
    renew_at: TEXT,
    login_at: TEXT,
    ends_at: null,
    policies: ['p'],
    type: 'service',
    renewable: true,
    ttl_seconds: 1.5,
  });
  assert.deepEqual([body?.failure?.evidence, body?.failure?.since, body?.failure?.retry_at], [null, TEXT, null]);
  assert.deepEqual(body?.sinks, [
    { id: '/one', mode: '0640', current: true, written_at: TEXT, failure: null },
    { id: '/two', mode: '0600', current: false, written_at: null, failure: { ...trouble, evidence: null } },
  ]);
  assert.deepEqual(body?.next_action, { kind: 'login', at: TEXT });
});

test('an exchange shows its last call and the failures of the last hour, in words', () => {
  const { title } = ERRORS.vault_sealed;
  const lastCall = { operation: 'login', code: 'vault_sealed', at: AT } as const;
  const failures = [{ code: 'vault_sealed', count: 3, at: AT }] as const;
  const body = bodyOf({}, { ...BARE_OPS, recent: () => ({ lastCall, failures }) });
  assert.deepEqual(body?.last_call, { operation: 'login', code: 'vault_sealed', title, at: TEXT });
  assert.deepEqual(body?.failures_last_hour, [{ code: 'vault_sealed', title, count: 3, last_at: TEXT }]);
  const fine = bodyOf({}, { ...BARE_OPS, recent: () => ({ lastCall: { ...lastCall, code: 'ok' }, failures }) });
  assert.equal(fine?.last_call?.title, null);
});

test('the token API has a failure only while its caller token cannot be read', () => {
  const failureWith = (callerToken: Parameters<typeof statusReply>[2]) =>
    statusReply(BARE_OPS, [], callerToken).api.failure;
  assert.deepEqual([failureWith(undefined), failureWith(new Secret('caller'))], [null, null]);
  const { title, hint } = ERRORS.caller_token_unusable;
  assert.deepEqual(failureWith({ code: 'caller_token_unusable' }), {
    code: 'caller_token_unusable',
    title,
    hint,
    evidence: null,
  });
});
