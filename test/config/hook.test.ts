// Rules for the hook of a sink.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, problemsOf, withSink } from '../support/configs.ts';

const AT = 'config.json: exchanges.app.sinks[0].file.on_change';

test('a hook is a command or a signal', () => {
  const hookOf = (on_change: unknown) => parse(withSink({ on_change })).settings.exchanges[0]?.sinks[0]?.onChange;
  const command = ['/usr/local/bin/reload-app', '--now'];
  assert.deepEqual(hookOf({ command }), { kind: 'command', command, timeoutMs: 10_000 });
  assert.deepEqual(hookOf({ command, timeout: '1m' }), { kind: 'command', command, timeoutMs: 60_000 });
  assert.deepEqual(hookOf({ command, timeout: '10m' }), { kind: 'command', command, timeoutMs: 600_000 });
  const pidFile = '/run/app.pid';
  assert.deepEqual(hookOf({ signal: 'SIGHUP', pid_file: pidFile }), { kind: 'signal', signal: 'SIGHUP', pidFile });
  assert.equal(hookOf(undefined), undefined);
});

test('refuses a hook that is incomplete, ambiguous or unsafe', () => {
  const command = ['/bin/true'];
  const pid = { pid_file: '/run/app.pid' };
  for (const [hook, problem] of [
    [{}, ': must have either "command", or "signal" and "pid_file"'],
    [{ command, signal: 'SIGHUP', ...pid }, ': must have either "command", or "signal" and "pid_file"'],
    [{ signal: 'SIGHUP' }, '.pid_file: is required with signal'],
    [{ command, ...pid }, '.pid_file: is for a signal, not for a command'],
    [{ signal: 'SIGHUP', ...pid, timeout: '1s' }, '.timeout: is for a command; a signal takes no time'],
    [{ command: [] }, '.command: must begin with the absolute path of a program, followed by its arguments'],
    [{ command: ['reload'] }, '.command: must begin with the absolute path of a program, followed by its arguments'],
    [{ command: '/bin/true' }, '.command: must be an array'],
    [{ command, timeout: '601s' }, '.timeout: must be at most 10m'],
    [{ command, timeout: 0 }, '.timeout: must be longer than zero'],
    [{ signal: 'SIGHUP', pid_file: 'app.pid' }, '.pid_file: must be an absolute path'],
    [{ command, shell: true }, '.shell: unknown key'],
    [{ command: ['/bin/true', 'a\0b'] }, '.command: contains an unprintable character (U+0000): remove it'],
  ] as const)
    assert.deepEqual(problemsOf(withSink({ on_change: hook })), [`${AT}${problem}`], JSON.stringify(hook));
  const [unknown = ''] = problemsOf(withSink({ on_change: { signal: 'SIGKILL', ...pid } }));
  assert.match(unknown, /on_change\.signal: must be one of "SIGHUP", /);
});
