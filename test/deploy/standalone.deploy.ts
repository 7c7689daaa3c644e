// The standalone program: built by its command, unpacked, and run where there is no Node.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { opensNoDebugger } from '../host/sigusr1.ts';
import { runToEnd } from '../support/program.ts';
import { readmeCommands } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const { version } = packageJson;
const NAME = `vault-token-sidecar-${version}-linux-${process.arch}`;

test('the standalone program', async (t) => {
  const directory = await temporaryDirectory(t);
  execFileSync('npm', ['run', '-s', 'build:standalone'], { stdio: ['ignore', 'ignore', 'inherit'] });
  await mkdir(join(directory, 'usr/bin'), { recursive: true });
  for (const command of readmeCommands('tar', 'install')) {
    const here = command.replace('dist/', `${process.cwd()}/dist/`).replace(' /usr/', ` ${directory}/usr/`);
    execFileSync('sh', ['-c', here.replace(/^sudo /, '')], { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const tree = join(directory, NAME);
  const program = join(directory, 'usr/bin/vault-token-sidecar');
  const env = { PATH: '/nowhere' };

  await t.test('comes with the licences of its parts and of Node, and the files for systemd', async () => {
    assert.deepEqual((await readdir(tree)).sort(), [
      'LICENSE',
      'THIRD-PARTY-NOTICES.txt',
      'systemd',
      'vault-token-sidecar',
    ]);
    const notices = await readFile(join(tree, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const part of ['undici', 'fastify', `Node.js ${process.version}`])
      assert.match(notices, new RegExp(`^${part}`, 'm'));
    assert.equal((await readdir(join(tree, 'systemd'))).length, 4);
  });

  await t.test('prints its version and nothing else, and takes arguments', async () => {
    const shown = await runToEnd([program, 'version', '--json'], { env });
    assert.deepEqual([shown.code, shown.err], [0, '']);
    assert.partialDeepStrictEqual(JSON.parse(shown.out), { version, node_version: process.versions.node });
    const { code, err } = await runToEnd([program, 'run', '--config', '/nowhere/config.json'], { env });
    assert.deepEqual([code, /\/nowhere\/config\.json/.test(err)], [2, true], err);
  });

  await t.test('ends a process that hangs, and refuses unsafe flags of Node', async () => {
    assert.equal((await runToEnd([program, '-e', 'process.exit(7)'], { env })).code, 7);
    const { code, err } = await runToEnd([program, 'version'], { env: { ...env, NODE_OPTIONS: '--inspect=0' } });
    assert.equal(code, 2, err);
    assert.match(err, /NODE_OPTIONS: Node's --inspect isn't allowed/);
  });

  await t.test('SIGUSR1 opens no debugger (I4, K15)', (t) => opensNoDebugger(t, `exec ${program} run`));

  await t.test('logs in to a Vault, writes the token, and stops', async (t) => {
    const child = spawn(program, ['dev'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await until('it is ready', () => / {2}ready /.test(output), 30_000);
    const file = /token +-> file +(\S+\/token)$/m.exec(output)?.[1] ?? '';
    assert.match(readFileSync(file, 'utf8'), /^\S{20,}$/);
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const mebibytes = (field: string) =>
      Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024);
    t.diagnostic(`memory ${mebibytes('VmRSS')} MiB resident, ${mebibytes('RssAnon')} MiB of it anonymous`);
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
  });
});
