// The log as an operator's tools read it, and what it never does: tell a secret, or wait for its reader.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog } from '../../src/observe/log.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

function collecting(level: Parameters<typeof openLog>[0] = 'info') {
  const lines: string[] = [];
  const log = openLog(
    level,
    (line) => void lines.push(line),
    () => {},
  );
  return { log, lines };
}

test('a line is JSON with time, level as a word, event, and the named members', () => {
  const { log, lines } = collecting();
  log.write('warn', 'login_failed', { exchange: 'app', attempts: 3, evidence: undefined });
  const { time, ...rest } = JSON.parse(lines[0] ?? '');
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', event: 'login_failed', exchange: 'app', attempts: 3 });
  assert.ok(lines[0]?.endsWith('}\n'));
});

test('the level can be changed while it runs', () => {
  const { log, lines } = collecting();
  log.write('debug', 'renewed');
  log.setLevel('debug');
  log.write('debug', 'renewed');
  assert.equal(lines.length, 1);
});

test('what looks like a JWT or a Vault token is cut out, wherever it comes from (J9)', () => {
  const { log, lines } = collecting();
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  log.write('warn', 'vault_warning', { warning: `saw ${jwt} and hvs.CAESIJ0123456789`, list: [jwt] });
  assert.doesNotMatch(lines.join(''), /eyJ|hvs|c2lnbmF0/);
  assert.equal(JSON.parse(lines[0] ?? '').warning, 'saw [redacted] and [redacted]');
});

test('a reader that stalls costs lines, which are counted, and never time (J4)', async (t) => {
  const fifo = join(await temporaryDirectory(t), 'stdout');
  execFileSync('mkfifo', [fifo]);
  // opened for both, so that neither end waits for the other; nobody reads from it
  const fd = openSync(fifo, 'r+');
  t.after(() => closeSync(fd));
  let dropped = 0;
  const log = openLog('info', openSync(`/proc/self/fd/${fd}`, 'w'), () => {
    dropped += 1;
  });
  const startedAt = performance.now();
  for (let line = 0; line < 3000; line += 1) log.write('info', 'ready', { text: 'x'.repeat(1000) });
  assert.ok(performance.now() - startedAt < 2000);
  await until('lines are dropped and counted', () => dropped > 1000);
});
