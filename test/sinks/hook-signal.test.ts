// A hook's signal is for the process in the pid file only.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signalProcess } from '../../src/sinks/hook-signal.ts';
import { runUnprivileged } from '../support/confined.ts';
import { startProgram } from '../support/started.ts';
import { temporaryDirectory } from '../support/temporary.ts';

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
