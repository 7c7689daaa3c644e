// The hooks of a sink: one at a time, the newest of those that wait, and none beyond its deadline or the process.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Secret } from '../../src/core/secret.ts';
import type { HookSettings } from '../../src/core/settings.ts';
import { openHooks } from '../../src/exchange/hooks.ts';
import type { HookCall, HookReport } from '../../src/sinks/hook.ts';
import { settingsOf } from '../support/world.ts';

const SINK = '/vault/token';
const TOKEN = new Secret('a-token-without-a-prefix');
const onChange: HookSettings = { kind: 'command', command: ['/bin/reload'], timeoutMs: 60_000 };

/** Hooks whose runs end when the test says so, on a clock that the test moves. */
function setUp(hook: HookSettings = onChange) {
  const runs: { readonly call: HookCall; end(report?: Partial<HookReport>): Promise<void> }[] = [];
  const world = { now: 0, owner: 'app', wake: () => {} };
  const ending = new AbortController();
  const clock = {
    now: () => world.now,
    wall: () => world.now,
    random: () => 0,
    wakeAt(at: number, wake: () => void) {
      world.wake = () => {
        if (world.now >= at) wake();
      };
      return () => {
        world.wake = () => {};
      };
    },
  };
  const runHook = (_hook: HookSettings, call: HookCall) =>
    new Promise<HookReport>((resolve) => {
      const end = async (report: Partial<HookReport> = {}) => {
        resolve({ failure: undefined, output: '', ...report });
        await nextTurn();
      };
      runs.push({ call, end });
      const killed = { failure: { code: 'hook_failed' } } as const;
      call.signal.addEventListener('abort', () => void end(killed));
    });
  const tools = {
    ...{ clock, env: { PATH: '/bin' }, ports: { runHook }, turns: new Map(), ending: ending.signal },
    mayUse: (exchange: string) => world.owner === exchange,
  };
  const settings = {
    ...settingsOf(),
    sinks: [{ kind: 'file', path: SINK, mode: 0o600, format: 'raw', onChange: hook }],
  } as const;
  const open = () => openHooks(settings, tools);
  const run = (hooks = open()) => hooks({ sink: SINK, token: TOKEN });
  return { runs, world, ending, open, run, settings };
}

test('a hook waits for the one that runs, also after a reload; of those that wait, only the newest runs', async () => {
  const { runs, run, open } = setUp();
  const before = open();
  const first = run(before);
  const [second, third] = [run(before), run(open())];
  assert.equal(await second, undefined);
  assert.equal(runs.length, 1);
  await runs[0]?.end();
  assert.equal(runs.length, 2);
  await runs[1]?.end();
  const ok = { sink: SINK, failure: undefined, output: '' };
  assert.deepEqual([await first, await third], [ok, ok]);
});

test('a hook is killed at its deadline', async () => {
  const { runs, run, world } = setUp();
  const result = run();
  world.now = 59_999;
  world.wake();
  await nextTurn();
  assert.equal(runs[0]?.call.signal.aborted, false);
  world.now = 60_000;
  world.wake();
  const failure = { code: 'hook_timeout', facts: { kind: 'hook-timeout', limitMs: 60_000 } };
  assert.deepEqual(await result, { sink: SINK, failure, output: '' });
});

test('a signal is given up after twenty seconds', async () => {
  const { runs, run, world } = setUp({ kind: 'signal', signal: 'SIGHUP', pidFile: '/run/nginx.pid' });
  const result = run();
  world.now = 19_999;
  world.wake();
  await nextTurn();
  assert.equal(runs[0]?.call.signal.aborted, false);
  world.now = 20_000;
  world.wake();
  assert.deepEqual((await result)?.failure, {
    code: 'hook_timeout',
    facts: { kind: 'hook-timeout', limitMs: 20_000 },
  });
});

test('a hook that fails by itself is reported with its own failure', async () => {
  const { runs, run } = setUp();
  const result = run();
  const failure = { code: 'hook_failed' } as const;
  await runs[0]?.end({ failure, output: 'no such file' });
  assert.deepEqual(await result, { sink: SINK, failure, output: 'no such file' });
});

test('nothing is killed at the deadline of a hook that has ended', async () => {
  const { runs, run, world } = setUp();
  const result = run();
  await runs[0]?.end();
  await result;
  world.now = 60_000;
  world.wake();
  await nextTurn();
  assert.equal(runs[0]?.call.signal.aborted, false);
});

test('a hook that cannot be killed holds up the next one for five seconds', async () => {
  const { runs, run, world } = setUp();
  void run();
  world.now = 64_999;
  void run();
  await nextTurn();
  assert.equal(runs.length, 1);
  world.now = 65_000;
  void run();
  await nextTurn();
  assert.equal(runs.length, 2);
});

test('a sink without a hook runs none', async () => {
  const { runs, open } = setUp();
  assert.deepEqual([await open()({ sink: '/vault/other', token: TOKEN }), runs.length], [undefined, 0]);
});

test('a long hook is not taken for a hung one before its deadline', async () => {
  const { runs, run, world } = setUp();
  const first = run();
  world.now = 59_000;
  const second = run();
  await nextTurn();
  assert.equal(runs.length, 1);
  await runs[0]?.end();
  await runs[1]?.end();
  assert.ok((await first) && (await second));
});

test('when the process stops, a running hook is killed, and no further one starts', async () => {
  const { runs, run, ending } = setUp();
  const [running, waiting] = [run(), run()];
  ending.abort();
  assert.equal(runs[0]?.call.signal.aborted, true);
  assert.deepEqual([await running, await waiting, await run()], [undefined, undefined, undefined]);
  assert.equal(runs.length, 1);
});

test('a sink that another exchange owns now has no hook of this one', async () => {
  const { runs, run, world } = setUp();
  world.owner = 'other';
  assert.deepEqual([await run(), runs.length], [undefined, 0]);
});

test("the output is one safe line without the token, and the command doesn't get the token", async () => {
  const { runs, run } = setUp();
  const result = run();
  const [{ call, end } = assert.fail('no run')] = runs;
  const { signal: _, ...given } = call;
  assert.deepEqual(given, { exchange: 'app', sink: SINK, path: '/bin' });
  await end({ output: `one\n\x1b[2Jtoken=${TOKEN.reveal()} hvs.another-token${'x'.repeat(1000)}` });
  const { output = '' } = (await result) ?? {};
  assert.match(output, /^one \uFFFD\[2Jtoken=\[redacted\] \[redacted\]/);
  assert.ok(output.length <= 310);
});
