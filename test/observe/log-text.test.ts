// Log lines as text for people.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asText } from '../../src/observe/log-text.ts';

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
    [{ ...at, event: 'ready' }, 'vault-token-sidecar: exchange app: ready\n'],
  ] as const)
    assert.equal(asText(`${JSON.stringify(line)}\n`), text);
});
