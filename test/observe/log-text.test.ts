// Log lines as text for people.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asText, forJournal, forTerminal } from '../../src/observe/log-text.ts';

test('a line of text says what happened, why, and what to do', () => {
  const at = { level: 'warn', time: '2026-03-01T12:00:03.120Z', exchange: 'app' };
  const why = { code: 'vault_sealed', title: 'Vault is sealed', evidence: 'status 503', hint: 'Ask an operator.' };
  for (const [line, text] of [
    [
      { ...at, event: 'login_failed', ...why, attempts: 3 },
      'vault-token-sidecar: exchange app: login failed: Vault is sealed: status 503. Ask an operator. (attempts=3)\n',
    ],
    [
      { ...at, event: 'not_ready', reasons: ['one', 'two'] },
      'vault-token-sidecar: exchange app: not ready: one; two\n',
    ],
    [
      { ...at, exchange: undefined, event: 'crashed', evidence: 'Error: x' },
      'vault-token-sidecar: crashed: Error: x\n',
    ],
    [
      { ...at, event: 'call_delayed', operation: 'login', reason: 'two logins came', wait_seconds: 3 },
      'vault-token-sidecar: exchange app: call delayed: two logins came (operation=login, wait_seconds=3)\n',
    ],
    [
      { ...at, event: 'token_not_reused', ...why, reason: why.title },
      'vault-token-sidecar: exchange app: token not reused: Vault is sealed: status 503. Ask an operator.\n',
    ],
    [{ ...at, event: 'ready' }, 'vault-token-sidecar: exchange app: ready\n'],
  ] as const)
    assert.equal(asText(`${JSON.stringify(line)}\n`), text);
});

test('a terminal shows the time and the level too, in colours if it may', () => {
  const at = { level: 'warn', time: '2026-03-01T12:00:03.120Z' };
  const line = `${JSON.stringify({ ...at, event: 'not_ready', exchange: 'app', reasons: ['one'] })}\n`;
  assert.equal(forTerminal({ isTty: false, env: {} })(line), '12:00:03Z  warn   app: not ready: one\n');
  assert.equal(forTerminal({ isTty: true, env: {} })(line), '12:00:03Z  \x1b[33mwarn \x1b[0m  app: not ready: one\n');
  assert.equal(
    forTerminal({ isTty: false, env: {} })(`${JSON.stringify({ ...at, event: 'crashed', evidence: 'x' })}\n`),
    '12:00:03Z  warn   crashed: x\n',
  );
});

test('the journal gets a priority for each level', () => {
  const priorities = ['error', 'warn', 'info', 'debug', 'trace'].map((level) => {
    const json = `${JSON.stringify({ level, time: '2026-03-01T12:00:03.120Z', event: 'ready' })}\n`;
    assert.equal(forJournal(false)(json).slice(3), json);
    return forJournal(true)(json);
  });
  assert.deepEqual(priorities, ['<3>ready\n', '<4>ready\n', '<6>ready\n', '<7>ready\n', '<7>ready\n']);
});
