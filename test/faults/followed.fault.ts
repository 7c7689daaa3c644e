// A running exchange and real changes of its JWT's file: created late, swapped, replaced by rename, written in place,
// in storms of events. The fake Vault accepts any JWT.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Secret } from '../../src/core/secret.ts';
import { openSystemClock } from '../../src/exchange/clock.ts';
import { startRunner } from '../../src/exchange/runner.ts';
import { openFileSource } from '../../src/sources/file.ts';
import type { JwtSource } from '../../src/sources/source.ts';
import type { VaultClient } from '../../src/vault/client.ts';
import { watched } from '../support/jwt-file.ts';
import { jwtText } from '../support/jwt-text.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { until } from '../support/settling.ts';
import { SILENT_OBSERVER } from '../support/silent-observer.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { settingsOf } from '../support/world.ts';

const jwt = (name: string) => jwtText({ sub: name, iat: 1_790_000_000 }, 'x'.repeat(342));

async function setUp(t: TestContext, path = 'token') {
  const directory = await temporaryDirectory(t);
  const file = join(directory, path);
  /** the JWTs sent to Vault; the subjects of the JWTs that the exchange took up; the times of its reads */
  const [sent, used, readings]: [string[], string[], number[]] = [[], [], []];
  /** when the exchange took up each of them */
  const usedAt: number[] = [];
  const source = openFileSource(file, () => runner.post({ type: 'jwt-hinted' }));
  const read = () => {
    readings.push(performance.now());
    return source.read();
  };
  const counted: JwtSource = Object.create(source, { read: { value: read } });
  const vault: VaultClient = {
    async send({ body }) {
      sent.push(JSON.parse(body?.reveal() ?? '').jwt);
      const auth = { client_token: `hvs.token-${sent.length}`, lease_duration: 3600, renewable: true };
      return { status: 200, headers: {}, durationMs: 1, body: new Secret(JSON.stringify({ auth })) };
    },
    close: async () => {},
  };
  const runner = startRunner({
    policy: { settings: settingsOf(), sinks: [] },
    source: counted,
    vault,
    sinks: [],
    clock: openSystemClock(),
    nextCorrelationId: () => 'id',
    observer: {
      ...SILENT_OBSERVER,
      stepped(_policy, before, after) {
        if (after.jwt?.serial === before.jwt?.serial) return;
        used.push(after.jwt?.claims.subject ?? '');
        usedAt.push(performance.now());
      },
    },
  });
  t.after(() => {
    runner.close();
    return source.close();
  });
  const uses = (subject: string) => until(`${subject} is in use`, () => used.at(-1) === subject);
  return { directory, file, source, runner, sent, used, usedAt, readings, uses };
}

test("logs in within a second of the JWT's creation, or within a poll if its directories were missing too (A1, A2)", async (t) => {
  const late = async (path: string, limitMs: number) => {
    const { file, source, sent, runner } = await setUp(t, path);
    await until('the first look', () => runner.state().reading.failure);
    if (path === 'token') await watched(source);
    await mkdir(dirname(file), { recursive: true });
    const startedAt = performance.now();
    await replaceByRename(file, jwt('late'));
    await until('a login', () => sent.length > 0);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs <= limitMs, `${path}: ${tookMs} ms`);
  };
  await Promise.all([late('token', 1000), late('not/yet/token', 2500)]);
});

const SEEN_WITHIN_MS = 200;

/** Measures the load of this machine: the latency of a minimal watcher of the same file, plus the event loop's delay. */
function openControl(t: TestContext, file: string) {
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  let [seen, seenAt] = ['', 0];
  let [begun, latest] = [0, 0];
  const watcher = watch(dirname(file), () => {
    begun += 1;
    const read = begun;
    void readFile(file, 'utf8').then(
      (text) => {
        // reads may end in another order than they began
        if (read < latest) return;
        latest = read;
        if (text !== seen) [seen, seenAt] = [text, performance.now()];
      },
      () => {},
    );
  });
  t.after(() => {
    watcher.close();
    lag.disable();
  });
  return {
    begin: () => lag.reset(),
    /** @param changedAt when `text` was put in place */
    async lateMs(text: string, changedAt: number): Promise<number> {
      await until('the control sees it', () => seen === text);
      return Math.max(0, seenAt - changedAt) + lag.max / 1e6;
    },
  };
}

for (const [kind, path, count] of [
  ['each of a hundred atomic swaps, as kubelet makes them,', 'volume/token', 100],
  ['each of twenty renames', 'token', 20],
] as const) {
  test(`${kind} is in use within 200 ms (A3, A5)`, async (t) => {
    const { file, source, used, usedAt, uses } = await setUp(t, path);
    const volume = path === 'token' ? undefined : await createProjectedVolume(dirname(file));
    const change = (text: string) => (volume === undefined ? replaceByRename(file, text) : volume.swap('token', text));
    await change(jwt('first'));
    await watched(source);
    await uses('first');
    const control = openControl(t, file);
    const late: string[] = [];
    for (let round = 0; round < count; round++) {
      control.begin();
      const text = jwt(`round-${round}`);
      await change(text);
      const changedAt = performance.now();
      await uses(`round-${round}`);
      const tookMs = (usedAt.at(-1) ?? Number.NaN) - changedAt;
      const limitMs = SEEN_WITHIN_MS + (await control.lateMs(text, changedAt));
      if (!(tookMs <= limitMs)) late.push(`round ${round}: ${Math.round(tookMs)} ms of ${Math.round(limitMs)}`);
    }
    assert.deepEqual(late, []);
    assert.deepEqual(used, ['first', ...Array.from({ length: count }, (_, round) => `round-${round}`)]);
  });
}

test('uses the last JWT of two swaps 30 ms apart (A4)', async (t) => {
  const { file, source, uses } = await setUp(t, 'volume/token');
  const volume = await createProjectedVolume(dirname(file));
  await volume.swap('token', jwt('first'));
  await watched(source);
  for (let round = 0; round < 3; round++) {
    await volume.swap('token', jwt(`old-${round}`));
    await pause(30);
    await volume.swap('token', jwt(`new-${round}`));
    await uses(`new-${round}`);
  }
});

test('keeps the last JWT while the file is truncated, then uses the complete new one (A6)', async (t) => {
  const { file, runner, source, sent, used, uses } = await setUp(t);
  await replaceByRename(file, jwt('before'));
  await watched(source);
  await uses('before');
  const handle = await open(file, 'r+');
  await handle.truncate(0);
  await until('the empty file is reported', () => runner.state().reading.failure?.failure.code === 'jwt_empty');
  await pause(500);
  assert.deepEqual(used, ['before']);
  assert.equal(runner.state().token?.secret.reveal(), 'hvs.token-1');
  await handle.write(jwt('after'), 0);
  await handle.close();
  await uses('after');
  assert.deepEqual([used, sent], [['before', 'after'], [jwt('before')]]);
});

test('never uses part of a JWT that is written in pieces over the old one (A6)', async (t) => {
  const { file, source, sent, used, uses, readings } = await setUp(t);
  await writeFile(file, jwt('first'));
  await watched(source);
  await uses('first');
  const names = Array.from({ length: 3 }, (_, round) => `piece-${round}`);
  for (const name of names) {
    // the first event after a quiet time causes an immediate read, later events of a burst don't
    await until('a quiet time', () => performance.now() - (readings.at(-1) ?? 0) > 150);
    const handle = await open(file, 'w');
    // the first piece already has the form of a JWT
    await handle.write(jwt(name).slice(0, -340));
    for (const piece of jwt(name).slice(-340).match(/.{34}/g) ?? []) {
      await pause(4);
      await handle.write(piece);
    }
    await handle.close();
    await uses(name);
  }
  // a JWT with half of its signature has the same subject, and would add it a second time
  assert.deepEqual(used, ['first', ...names]);
  for (const one of sent)
    assert.ok(
      ['first', ...names].some((name) => jwt(name) === one),
      one,
    );
});

const STORM = `
  const { writeFileSync, rmSync, utimesSync } = require('node:fs');
  const [, path] = process.argv;
  const until = Date.now() + 900;
  let events = 0;
  (function burst() {
    for (let n = 0; n < 7; n++) { writeFileSync(path + '.noise', String(events)); events += 1; }
    utimesSync(path, new Date(), new Date());
    if (Date.now() < until || events < 400) setTimeout(burst, 5); else console.log(events);
  })();`;

test('reads at most ten times a second in a storm of file events, without event loop lag (A21)', async (t) => {
  const { file, source, readings, uses } = await setUp(t);
  await writeFile(file, jwt('first'));
  await watched(source);
  const lag = monitorEventLoopDelay({ resolution: 10 });
  readings.length = 0;
  lag.enable();
  const storm = spawn(process.execPath, ['-e', STORM, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await once(storm.stdout, 'data');
  await once(storm, 'exit');
  lag.disable();
  assert.ok(Number(output) > 300, `${output} events`);
  assert.ok(readings.length >= 3, `${readings.length} readings`);
  // 100 ms of tolerance, since reads are scheduled on a different clock
  for (const [index, at] of readings.entries())
    assert.ok(at - (readings[index - 10] ?? Number.NEGATIVE_INFINITY) >= 900, `${readings}`);
  assert.ok(lag.max / 1e6 < 200, `${lag.max / 1e6} ms`);
  await replaceByRename(file, jwt('last'));
  await uses('last');
});
