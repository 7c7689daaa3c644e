// The log for an operator's tools. It never contains a secret and never blocks on its reader.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openObserver } from '../../src/observe/observe.ts';
import { openLooseLog } from '../support/loose-log.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

function collecting(level: Parameters<typeof openLooseLog>[0] = 'info') {
  const lines: string[] = [];
  const log = openLooseLog(
    level,
    (line) => void lines.push(line),
    () => {},
  );
  return { log, lines };
}

test('a line is JSON with time, level, event and further fields', () => {
  const { log, lines } = collecting();
  log.write('warn', 'login_failed', { exchange: 'app', attempts: 3, evidence: undefined });
  const { time, ...rest } = JSON.parse(lines[0] ?? '');
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', event: 'login_failed', exchange: 'app', attempts: 3 });
  assert.ok(lines[0]?.endsWith('}\n'));
});

test('a line has the given time', () => {
  const { log, lines } = collecting();
  log.write('info', 'ready', {}, Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  assert.equal(JSON.parse(lines[0] ?? '').time, '2026-01-02T03:04:05.006Z');
});

test('the level can be changed while it runs', () => {
  const { log, lines } = collecting();
  log.write('debug', 'renewed');
  log.setLevel('debug');
  log.write('debug', 'renewed');
  assert.equal(lines.length, 1);
});

test('removes JWTs and Vault tokens from any field (J9)', () => {
  const { log, lines } = collecting();
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  log.write('warn', 'vault_warning', { warning: `saw ${jwt} and hvs.CAESIJ0123456789`, list: [jwt] });
  assert.doesNotMatch(lines.join(''), /eyJ|hvs|c2lnbmF0/);
  assert.equal(JSON.parse(lines[0] ?? '').warning, 'saw [redacted] and [redacted]');
});

test('drops and counts lines while the reader stalls, and never blocks (J4)', async (t) => {
  const fifo = join(await temporaryDirectory(t), 'stdout');
  execFileSync('mkfifo', [fifo]);
  // opened for both, so that neither end waits for the other; nobody reads from it
  const fd = openSync(fifo, 'r+');
  t.after(() => closeSync(fd));
  let dropped = 0;
  const log = openLooseLog('info', openSync(`/proc/self/fd/${fd}`, 'w'), () => {
    dropped += 1;
  });
  const startedAt = performance.now();
  for (let line = 0; line < 3000; line += 1) log.write('info', 'ready', { text: 'x'.repeat(1000) });
  assert.ok(performance.now() - startedAt < 2000);
  await until('lines are dropped and counted', () => dropped > 1000);
});

/** Both ends of a pipe that has a name; neither waits for the other. The log closes its own. */
function openPipe(path: string) {
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  return { reader, writer };
}

test('a flush writes all pending lines before it returns', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const log = openLooseLog('info', openSync(path, 'w'), () => {});
  for (let line = 0; line < 100; line += 1) log.write('info', 'ready', { line });
  void log.flush();
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 101);
});

test('a flush without time leaves nothing in flight, which would make the exit replace the process', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const log = openLooseLog('info', openSync(path, 'w'), () => {});
  log.write('info', 'ready');
  await log.flush();
  void log.flush(0);
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((name) => name.startsWith('FSReq')),
    [],
  );
});

test('a flush into a full pipe gives up after a second (J4)', async (t) => {
  const { reader, writer } = openPipe(join(await temporaryDirectory(t), 'stdout'));
  t.after(() => closeSync(reader));
  assert.throws(() => {
    for (;;) writeSync(writer, Buffer.alloc(1024));
  }, /EAGAIN/);
  const log = openLooseLog('info', writer, () => {});
  // the first one is being written already
  for (let line = 0; line < 2; line += 1) log.write('info', 'ready', { line });
  const startedAt = performance.now();
  await log.flush();
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 900 && tookMs < 3000, `${tookMs} ms`);
});

test('counts lost lines on a full disk, without an exception or a wait (J4)', async () => {
  const target = openSync('/dev/full', 'w');
  const observer = openObserver({ version: '0', nodeVersion: '0', nodeMetrics: false, level: 'info', target });
  const lost = async () => /log_lines_dropped_total (\d+)/.exec((await observer.metrics.render([])).body)?.[1];
  assert.equal(await lost(), '0');
  observer.log.write('info', 'ready');
  await until('the line is counted', async () => (await lost()) !== '0');
  const startedAt = performance.now();
  await observer.log.flush();
  observer.log.write('info', 'ready');
  await observer.log.flush();
  assert.ok(performance.now() - startedAt < 500);
});

test('drops lines after the reader has exited, and neither writing nor flushing throws (I5)', async (t) => {
  const { reader, writer } = openPipe(join(await temporaryDirectory(t), 'stdout'));
  let dropped = 0;
  const log = openLooseLog('info', writer, () => {
    dropped += 1;
  });
  closeSync(reader);
  log.write('info', 'lost');
  await until('the line is lost', () => dropped > 0);
  log.write('info', 'ready');
  await log.flush();
  log.write('info', 'ready');
});

test('lines before, at and after a flush all arrive', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  const log = openLooseLog('info', fd, () => {});
  const has = (event: string) => () => readFileSync(path, 'utf8').includes(`"${event}"`);
  log.write('info', 'before');
  await until('the first line', has('before'));
  log.write('info', 'waiting');
  await log.flush();
  assert.ok(has('waiting')());
  log.write('info', 'after');
  await until('the line after the flush', has('after'));
});

test('the last line is a line like any other', () => {
  const { log, lines } = collecting();
  log.writeLast('error', 'crashed', { code: 'internal' });
  const [line] = lines.map((text) => JSON.parse(text));
  assert.deepEqual([line?.level, line?.event, line?.code], ['error', 'crashed', 'internal']);
});

test('after a flush, no file request is active: the process can exit at once', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const log = openLooseLog('info', openSync(path, 'w'), () => {});
  log.write('info', 'ready');
  await log.flush();
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((kind) => kind.startsWith('FSReq')),
    [],
  );
});
