// No secret in an exception of a bug gets into status, log, metrics or stderr.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command } from '../../src/commands/run.ts';
import { Secret } from '../../src/core/secret.ts';
import { statusOf } from '../../src/core/status.ts';
import { openSystemClock } from '../../src/exchange/clock.ts';
import { type RunnerParts, startRunner } from '../../src/exchange/runner.ts';
import type { Io } from '../../src/host/io.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { BASE } from '../support/configs.ts';
import { jwtText } from '../support/jwt-text.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { settingsOf } from '../support/world.ts';

const TOKEN = 'hvs.CAESIcanarycanarycanary';
const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5';
const CANARY = /CAESI|canary|eyJ|Y2FuYXJ5/;
const thrown = () => new TypeError(`can't read ${TOKEN} of ${JWT}`);

const SOUND = {
  source: { watched: true, read: async () => new Secret(jwtText({})), close: async () => {} },
  vault: {
    async send() {
      const auth = { client_token: TOKEN, lease_duration: 3600, renewable: true };
      return { status: 200, headers: {}, durationMs: 1, body: new Secret(JSON.stringify({ auth })) };
    },
    close: async () => {},
  },
  sink: {
    id: '/vault/token',
    deliver: async () => ({ written: true }),
    read: async () => undefined,
    age: async () => Number.POSITIVE_INFINITY,
    check: async () => {},
    remove: async () => {},
  },
};

/** Runs an exchange with the given parts until it has a failure; resolves with all that it shows. */
async function shownBy(t: TestContext, parts: Partial<RunnerParts>): Promise<string> {
  const lines: string[] = [];
  const target = (line: string) => void lines.push(line);
  const observer = openObserver({ version: '0', nodeVersion: '0', nodeMetrics: false, level: 'trace', target });
  const policy = { settings: { ...settingsOf(), sinks: [] }, sinks: [SOUND.sink.id] };
  const clock = openSystemClock();
  const fixed = { policy, clock, observer, nextCorrelationId: () => 'id' };
  const runner = startRunner({ ...SOUND, sinks: [SOUND.sink], ...fixed, ...parts });
  t.after(() => runner.close());
  const status = () => statusOf(policy, runner.state(), { now: clock.now(), wall: clock.wall(), random: 0.5 });
  await until('it fails', () => lines.some((line) => line.includes('"internal"')));
  const { body } = await observer.metrics.render([status()]);
  return [...lines, JSON.stringify(status()), JSON.stringify(runner.state()), body].join('\n');
}

for (const [part, parts] of [
  ['a source', { source: { ...SOUND.source, read: () => Promise.reject(thrown()) } }],
  ['the Vault client', { vault: { ...SOUND.vault, send: () => Promise.reject(thrown()) } }],
  ['a sink', { sinks: [{ ...SOUND.sink, deliver: () => Promise.reject(thrown()) }] }],
] as const) {
  test(`an error with secrets thrown by ${part} is reported as a bug without them (I10, J9)`, async (t) => {
    const shown = await shownBy(t, parts);
    assert.match(shown, /"code":"internal"/);
    assert.match(shown, /"evidence":"TypeError: can't read \[redacted\] of \[redacted\]"/);
    assert.doesNotMatch(shown, CANARY);
  });
}

test("a thrown value that isn't an Error is reported without the value (I10, J9)", async (t) => {
  const shown = await shownBy(t, { source: { ...SOUND.source, read: () => Promise.reject(TOKEN) } });
  assert.match(shown, /"evidence":"not an error"/);
  assert.doesNotMatch(shown, CANARY);
});

test('a crash before the log is open is printed on stderr, without secrets (I10, J9)', async (t) => {
  const config = join(await temporaryDirectory(t), 'config.json');
  await writeFile(config, JSON.stringify(BASE));
  const printed: string[] = [];
  const enough = new Error('enough');
  const io: Io = {
    env: {},
    inherited: () => ({ umask: 0, env: {} }),
    isTty: false,
    version: '0',
    commit: '0',
    nodeVersion: '0',
    ask: async () => undefined,
    out: (text) => void printed.push(text),
    err: (text) => void printed.push(text),
    warn() {},
    progress() {},
    onSignal() {},
    onCrash(handler) {
      handler(thrown());
      handler(TOKEN);
      throw enough;
    },
    exit() {},
    endBySignal() {},
  };
  await assert.rejects(command({ config }, io), enough);
  assert.equal(printed[0], "TypeError: can't read [redacted] of [redacted]");
  assert.match(printed[1] ?? '', /^ {4}at /);
  assert.equal(printed.at(-1), 'not an error');
  for (const line of printed) assert.doesNotMatch(line, /\n/);
});
