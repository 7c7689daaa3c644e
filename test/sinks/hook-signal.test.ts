// A hook's signal is for the process in the pid file only.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signalProcess } from '../../src/sinks/hook-signal.ts';
import { runUnprivileged } from '../support/confined.ts';
import { until } from '../support/settling.ts';
import { startProgram } from '../support/started.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const HOUR = 3_600_000;
const LISTENER = "process.on('SIGHUP', () => console.log('reread')); console.log('up'); setInterval(() => {}, 1000)";

async function setUp(t: TestContext) {
  const pidFile = join(await temporaryDirectory(t), 'app.pid');
  const program = startProgram(t, [process.execPath, '-e', LISTENER]);
  await program.says(/up/);
  await writeFile(pidFile, `${program.child.pid}\n`);
  return {
    pidFile,
    program,
    pid: program.child.pid ?? 0,
    send: () => signalProcess({ kind: 'signal', signal: 'SIGHUP', pidFile }),
  };
}

test('the process in the pid file gets the signal', async (t) => {
  const { send, program } = await setUp(t);
  assert.equal(await send(), undefined);
  await program.says(/reread/);
});

test('without a pid file, there is nothing to signal', async () => {
  const pidFile = '/no/such/app.pid';
  const facts = { kind: 'file', path: pidFile, problem: 'missing', errno: 'ENOENT' };
  assert.deepEqual(await signalProcess({ kind: 'signal', signal: 'SIGHUP', pidFile }), {
    code: 'hook_pid_missing',
    facts,
  });
});

test('refuses a file that holds no process id above 1', async (t) => {
  const { pidFile, send } = await setUp(t);
  const unusable = { code: 'hook_pid_unusable', facts: { kind: 'pid-file', path: pidFile, problem: 'not-a-pid' } };
  for (const text of ['', '0', '1', '-5', '12 34', '1e3', '0x10', '99999999999', 'app', String(process.pid)]) {
    await writeFile(pidFile, text);
    assert.deepEqual(await send(), unusable, text);
  }
  await writeFile(pidFile, 'x'.repeat(200));
  const facts = { kind: 'file', path: pidFile, problem: 'too-large' };
  assert.deepEqual(await send(), { code: 'hook_pid_unusable', facts });
});

test('refuses a stale file: its process has ended, or its number belongs to a younger process', async (t) => {
  const { pidFile, send, pid, program } = await setUp(t);
  const about = (problem: string, of = pid) => ({
    code: 'hook_pid_unusable',
    facts: { kind: 'process', path: pidFile, pid: of, problem },
  });
  const old = Date.now() / 1000 - 3600;
  await utimes(pidFile, old, old);
  assert.deepEqual(await send(), about('younger'));
  assert.equal(program.out(), 'up\n');
  const child = spawn('true');
  await once(child, 'exit');
  await writeFile(pidFile, String(child.pid));
  assert.deepEqual(await send(), about('ended', child.pid));
});

test('the file may be two seconds older than the process', async (t) => {
  const pidFile = join(await temporaryDirectory(t), 'app.pid');
  const startedAfter = Date.now();
  const program = startProgram(t, [process.execPath, '-e', LISTENER]);
  const startedBefore = Date.now();
  await program.says(/up/);
  const problemAt = async (ms: number) => {
    await writeFile(pidFile, String(program.child.pid));
    await utimes(pidFile, ms / 1000, ms / 1000);
    const facts = (await signalProcess({ kind: 'signal', signal: 'SIGHUP', pidFile }))?.facts;
    return facts !== undefined && 'problem' in facts ? facts.problem : undefined;
  };
  assert.equal(await problemAt(startedBefore - 1900), undefined);
  assert.equal(await problemAt(startedAfter - 2100), 'younger');
  // the wall clock was set back by an hour, and the file was written after that
  const { now } = Date;
  t.mock.method(Date, 'now', () => now() - HOUR);
  assert.equal(await problemAt(startedBefore - HOUR), undefined);
});

test('a process that has ended and is not collected yet counts as ended', async (t) => {
  const { pidFile, send } = await setUp(t);
  const parent = startProgram(t, [
    'sh',
    '-c',
    // it ends when its parent is a program that collects no children
    '(until grep -q sleep /proc/$$/comm; do :; done) & echo $!; exec sleep 1000',
  ]);
  const [pid] = (await parent.says(/\d+\n/)).map(Number);
  await until('it is a zombie', async () => / Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')));
  await writeFile(pidFile, String(pid));
  assert.deepEqual(await send(), {
    code: 'hook_pid_unusable',
    facts: { kind: 'process', path: pidFile, pid, problem: 'ended' },
  });
});

test('says why the system refuses the signal', async (t) => {
  const { send } = await setUp(t);
  for (const [code, problem] of [
    ['ESRCH', 'ended'],
    ['EPERM', 'denied'],
  ] as const) {
    const mock = t.mock.method(process, 'kill', () => {
      throw Object.assign(new Error(code), { code });
    });
    const facts = (await send())?.facts;
    mock.mock.restore();
    assert.equal(facts !== undefined && 'problem' in facts && facts.problem, problem);
  }
});

test('refuses a file that everybody may write', async (t) => {
  const { pidFile, send } = await setUp(t);
  await chmod(pidFile, 0o666);
  const facts = { kind: 'pid-file', path: pidFile, problem: 'writable-by-all' };
  assert.deepEqual(await send(), { code: 'hook_pid_unusable', facts });
});

test("refuses a file of a user who doesn't own the process", {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async (t) => {
  const { pidFile, send, pid } = await setUp(t);
  await chown(pidFile, 65_534, 65_534);
  const facts = { kind: 'process', path: pidFile, pid, problem: 'other-owner' };
  assert.deepEqual(await send(), { code: 'hook_pid_unusable', facts });
});

test('reports a process that the sidecar may not signal', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async (t) => {
  const { pid } = await setUp(t);
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'run'));
  await writeFile(join(directory, 'run', 'app.pid'), String(pid));
  const said = runUnprivileged(
    directory,
    `import { signalProcess } from './src/sinks/hook-signal.ts';
    const pidFile = directory + '/run/app.pid';
    console.log(JSON.stringify(await signalProcess({ kind: 'signal', signal: 'SIGHUP', pidFile })));`,
  );
  assert.equal(JSON.parse(said).facts.problem, 'denied');
});
