// A hook's command: its environment, its end, its output, and its processes.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runHook } from '../../src/sinks/hook.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CALL = { exchange: 'app', sink: '/vault/token', path: process.env['PATH'], signal: new AbortController().signal };

const run = (command: readonly string[], call = CALL) => runHook({ kind: 'command', command, timeoutMs: 1 }, call);
const script = (text: string, ...args: string[]) => ['/bin/sh', '-c', text, 'sh', ...args];

test('a command gets its arguments as they are, and a small environment', async () => {
  assert.deepEqual(await run(['/usr/bin/printf', '%s', '$HOME `id` "x"']), {
    failure: undefined,
    output: '$HOME `id` "x"',
  });
  const { output } = await run(['/usr/bin/env']);
  // Node itself hands this on while it measures the coverage of a test
  const own = output
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('NODE_V8_COVERAGE='));
  assert.deepEqual(own.sort(), [`PATH=${CALL.path}`, 'VTS_EXCHANGE=app', 'VTS_SINK=/vault/token']);
  assert.match((await run(['/usr/bin/env'], { ...CALL, path: undefined })).output, /^PATH=\/usr\/local\/sbin:/m);
  assert.equal((await run(script('pwd; cat'))).output, '/\n');
});

test('a command that fails, is killed, or does not exist', async (t) => {
  const directory = await temporaryDirectory(t);
  const plain = join(directory, 'plain');
  await writeFile(plain, '');
  await chmod(plain, 0o644);
  for (const [command, facts] of [
    [script('exit 3'), { kind: 'hook-exit', code: 3 }],
    [script('kill -TERM $$'), { kind: 'hook-signal', signal: 'SIGTERM' }],
    [['/no/such/program'], { kind: 'file', path: '/no/such/program', errno: 'ENOENT' }],
    [[plain], { kind: 'file', path: plain, errno: 'EACCES' }],
    [['/bin/echo', 'x'.repeat(4 * 1024 * 1024)], { kind: 'file', path: '/bin/echo', errno: 'E2BIG' }],
  ] as const)
    assert.deepEqual((await run(command)).failure, { code: 'hook_failed', facts }, command[0]);
});

test('a command that floods its output ends, and the output is cut', async () => {
  const { failure, output } = await run(script('head -c 10000000 /dev/zero | tr "\\0" x; echo e >&2'));
  assert.equal(failure, undefined);
  assert.equal(output, 'x'.repeat(16 * 1024));
});

test('an abort kills the command and its children', async (t) => {
  const directory = await temporaryDirectory(t);
  const pids = join(directory, 'pids');
  const end = new AbortController();
  const running = run(script('trap "" TERM; sleep 1000 & echo $$ $! > "$1"; wait', pids), {
    ...CALL,
    signal: end.signal,
  });
  const [parent, child] = await until('it runs', async () => {
    const text = await readFile(pids, 'utf8').catch(() => '');
    return text.endsWith('\n') && text.trim().split(' ').map(Number);
  });
  assert.ok(parent && child);
  end.abort();
  assert.deepEqual((await running).failure, { code: 'hook_failed', facts: { kind: 'hook-signal', signal: 'SIGKILL' } });
  await until('both are gone', async () => {
    const states = [parent, child].map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone'));
    // nobody may collect an orphan in a container
    return (await Promise.all(states)).every((state) => state === 'gone' || / [ZX] /.test(state));
  });
  const late = new AbortController();
  late.abort();
  assert.equal((await run(script('sleep 1000'), { ...CALL, signal: late.signal })).failure?.code, 'hook_failed');
});

test('an abort after the end of a command kills nothing', async () => {
  const { signal } = new AbortController();
  assert.equal((await run(script('exit 0'), { ...CALL, signal })).failure, undefined);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

const pipes = () => process.getActiveResourcesInfo().filter((one) => one === 'PipeWrap').length;

test('a process that a command leaves behind keeps nothing waiting', async (t) => {
  const pidFile = join(await temporaryDirectory(t), 'pid');
  const before = pipes();
  const { failure, output } = await run(script('sleep 1000 & echo $! > "$1"; echo done', pidFile));
  const pid = Number(await readFile(pidFile, 'utf8'));
  t.after(() => process.kill(pid, 'SIGKILL'));
  assert.deepEqual([failure, output], [undefined, 'done\n']);
  process.kill(pid, 0);
  await until('its pipes are closed', () => pipes() === before);
});
