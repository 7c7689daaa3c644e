// The log lines and metrics of hooks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookResult } from '../../src/exchange/runner.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { assertDocumented } from '../support/documented-lines.ts';
import { policyOf } from '../support/states.ts';

const SINK = '/vault/token';
const onChange = { kind: 'command', command: ['/bin/true'], timeoutMs: 1000 } as const;
const POLICY = policyOf({ sinks: [{ kind: 'file', path: SINK, mode: 0o600, format: 'raw', onChange }] });

test('each end of a hook is a documented line, and counts', async () => {
  const lines: Record<string, unknown>[] = [];
  const target = (line: string) => void lines.push(JSON.parse(line));
  const observer = openObserver({ version: '0', nodeVersion: '0', nodeMetrics: false, level: 'debug', target });
  observer.added(POLICY);
  const counted = async () => {
    const { body } = await observer.metrics.render([]);
    const found = body.matchAll(
      /^vault_token_sidecar_hooks_total\{exchange="app",sink="\/vault\/token",result="(\w+)"\} (\d+)/gm,
    );
    return [...found].map(([, result, count]) => `${result} ${count}`);
  };
  assert.deepEqual(await counted(), ['ok 0', 'error 0', 'skipped 0']);
  for (const result of [
    { failure: undefined, output: '' },
    { failure: { code: 'hook_failed', facts: { kind: 'hook-exit', code: 3 } }, output: 'no luck' },
    { failure: { code: 'hook_timeout', facts: { kind: 'hook-timeout', limitMs: 1000 } }, output: '' },
    { failure: { code: 'hook_pid_missing', facts: { kind: 'file', path: '/app.pid', errno: 'ENOENT' } }, output: '' },
  ] satisfies Omit<HookResult, 'sink'>[])
    observer.hooked(POLICY, { sink: SINK, ...result });
  for (const line of lines) assertDocumented(line);
  assert.deepEqual(
    lines.map(({ level, event, exchange, sink, output = '', evidence = '' }) =>
      [level, event, exchange, sink, output, evidence].join(' ').trim(),
    ),
    [
      'info hook_ran app /vault/token',
      'debug hook_output app /vault/token no luck',
      'warn hook_failed app /vault/token  exit code 3',
      'warn hook_failed app /vault/token  it ran for 1 s',
      'info hook_skipped app /vault/token  /app.pid: ENOENT',
    ],
  );
  assert.deepEqual(await counted(), ['ok 1', 'error 2', 'skipped 1']);
});
