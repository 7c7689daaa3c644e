// exec: the command's environment, exit codes and signals, and the end of its token.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withoutNamespaces } from '../support/confined.ts';
import { procText } from '../support/proc.ts';
import { cli } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { startProgram } from '../support/started.ts';
import { LISTENING, openExecWorld } from './exec-world.ts';

test("the command gets Vault's variables, and otherwise the environment and umask of exec", async (t) => {
  const { issuer, vault, configure, exec } = await openExecWorld(t);
  await configure({ source: { env: { name: 'MY_JWT' } }, sinks: [] });
  const env = {
    ...{ MY_JWT: await issuer.mint(), MY_VARIABLE: 'mine', VTS_ROLE: 'other' },
    ...{ BAO_TOKEN: 'hvs.stale-token', VAULT_TOKEN: 'hvs.stale-token', VAULT_CLIENT_KEY: '' },
  };
  const { code, out, err } = await exec(['sh', '-c', 'umask; exec env'], { env });
  assert.equal(code, 0);
  assert.match(err, /^warning: VTS_ROLE: ignored, since the config comes from [^\n]*\n$/, 'and nothing else');
  const [umask, ...lines] = out.trim().split('\n');
  assert.equal(umask, process.umask().toString(8).padStart(4, '0'));
  const given = new Map(lines.map((line) => line.split(/=(.*)/s) as [string, string]));
  const own = ['PATH', 'PWD', 'SHLVL', 'OLDPWD', '_'];
  const names = [...given.keys()].filter((name) => !own.includes(name));
  assert.deepEqual(names.sort(), ['MY_VARIABLE', 'VAULT_ADDR', 'VAULT_TOKEN', 'VTS_ROLE']);
  assert.match(given.get('VAULT_TOKEN') ?? '', /^hvs\.(?!stale)/);
  assert.equal(given.get('VAULT_ADDR'), vault.url);
});

test('no argument list holds the token', async (t) => {
  const { listen } = await openExecWorld(t);
  const { child, says } = listen();
  const [, token = ''] = await says(/^up (\S+)/);
  const { pid = 0 } = child;
  const children = procText(pid, `task/${pid}/children`).trim().split(' ').map(Number);
  assert.equal(children.length, 1);
  for (const one of [pid, ...children]) {
    assert.notEqual(procText(one, 'cmdline'), '');
    assert.ok(!procText(one, 'cmdline').includes(token));
  }
});

test("the exit code is the command's; 126 and 127 for one that can't be started; 128 and more for signals", async (t) => {
  const { exec, vault, line } = await openExecWorld(t);
  for (const [words, code, said] of [
    [['sh', '-c', 'exit 7'], 7, /^$/],
    [['no-such-program'], 127, /^vault-token-sidecar: can't start no-such-program: ENOENT\./],
    [['/etc/passwd'], 126, /^vault-token-sidecar: can't start \/etc\/passwd: EACCES\./],
    // raised signals that dump core would dump the token
    [['sh', '-c', 'kill -SEGV $$'], 139, /^$/],
    [['sh', '-c', 'kill -KILL $$'], 137, /^$/],
  ] as const) {
    const ended = await exec(words);
    assert.equal(ended.code, code, ended.err);
    assert.match(ended.err, said);
    assert.deepEqual(vault.alive(), [], words.join(' '));
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    const program = startProgram(t, line(['sh', '-c', `kill -${signal.slice(3)} $$`]));
    assert.equal(await program.ended(), signal);
  }
});

test('a login that fails has the exit code and the line of once, and starts nothing', async (t) => {
  const { exec, directory, configure } = await openExecWorld(t);
  const marker = join(directory, 'marker');
  for (const [members, code, said] of [
    [
      { login: { role: 'nobody' } },
      4,
      /^exchange app: the role doesn't exist: .*"vault write auth\/jwt\/role\/nobody/m,
    ],
    [{ source: { env: { name: 'ABSENT' } } }, 6, /^exchange app: .*ABSENT is not set/m],
    [{ sinks: [{ file: { path: join(directory, 'none', 'token') } }] }, 7, /^exchange app: the sink's directory/m],
  ] as const) {
    await configure(members);
    const ended = await exec(['touch', marker]);
    assert.equal(ended.code, code, ended.err);
    assert.match(ended.err, said);
    assert.equal(existsSync(marker), false);
  }
});

test('mistakes on the command line', async (t) => {
  const { exec, directory, config } = await openExecWorld(t);
  const { exchanges, ...rest } = config() as { exchanges: { app: object } };
  const two = join(directory, 'two.json');
  const other = { ...exchanges.app, sinks: [] };
  await writeFile(two, JSON.stringify({ ...rest, exchanges: { ...exchanges, other } }));
  for (const [args, said] of [
    [['exec'], /^vault-token-sidecar: exec needs a command after --/],
    [['exec', '--config', two, 'true'], /^vault-token-sidecar: exec needs -- before the command/],
    [['exec', '--config', two, '--', 'true'], /^vault-token-sidecar: --exchange must be one of app, other$/m],
    [
      ['exec', '--on-new-token', 'KILL', '--', 'true'],
      /^vault-token-sidecar: --on-new-token must be nothing, restart or /,
    ],
  ] as const) {
    const { code, err } = await cli(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, said);
  }
  const { code, out } = await exec(['printenv', 'VAULT_ADDR'], { flags: ['--config', two, '--exchange', 'other'] });
  assert.deepEqual([code, out.startsWith('http://')], [0, true]);
});

test('without a config, the environment configures the exchange, and needs no sink', async (t) => {
  const { vault, directory } = await openExecWorld(t);
  const env = { VAULT_ADDR: vault.url, VTS_JWT_FILE: join(directory, 'jwt'), VTS_ROLE: 'app' };
  const { code, out, err } = await cli(['exec', '--', 'printenv', 'VAULT_TOKEN'], { env });
  assert.equal(code, 0, err);
  assert.match(out, /^hvs\./);
  assert.match((await cli(['once'], { env })).err, /^VTS_TOKEN_FILE: is required/);
});

test("at the end, the token is revoked and the sink's file removed; with --keep, both stay", async (t) => {
  const { exec, vault, tokenFile, configure } = await openExecWorld(t);
  const { code, out } = await exec(['cat', tokenFile]);
  assert.deepEqual([code, vault.alive(), existsSync(tokenFile)], [0, [], false]);
  assert.match(out, /^hvs\./);
  await exec(['true'], { flags: ['--keep'] });
  assert.deepEqual([vault.alive().map(({ token }) => token)], [[await readFile(tokenFile, 'utf8')]]);
  await configure({ sinks: [] });
  await exec(['true'], { flags: ['--keep'] });
  assert.equal(vault.alive().length, 2, 'also without a sink');
});

test('each signal reaches the command once, and the first one to end it too', async (t) => {
  const { listen, vault } = await openExecWorld(t);
  const { child, says, out, ended } = listen({ env: { END_AT: 'SIGQUIT' } });
  await says(/^up/);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGWINCH', 'SIGTERM', 'SIGQUIT'] as const) {
    const before = out().length;
    child.kill(signal);
    await until(signal, () => out().slice(before).includes(signal));
  }
  assert.equal(await ended(), 5);
  assert.equal(
    out().replaceAll(/^up.*\n| /gm, ''),
    'SIGTERM SIGINT SIGHUP SIGUSR2 SIGWINCH SIGTERM SIGQUIT '.replaceAll(' ', '\n'),
  );
  assert.deepEqual(vault.alive(), []);
});

test('a signal during the login ends exec by that signal', async (t) => {
  const { line, vault } = await openExecWorld(t);
  vault.setSealed(true);
  const program = startProgram(t, line(['echo', 'started']));
  await until('it asks Vault', () => vault.requests.length > 0);
  program.child.kill('SIGINT');
  assert.equal(await program.ended(), 'SIGINT');
  assert.equal(program.out(), '');
});

test('each Ctrl-C in a terminal reaches the command once', async (t) => {
  const { line, vault } = await openExecWorld(t);
  const quoted = line(LISTENING).map((word) => `'${word.replaceAll("'", `'"'"'`)}'`);
  const { child, says, out, ended } = startProgram(t, ['script', '-qec', `exec ${quoted.join(' ')}`, '/dev/null'], {
    END_AT: 'SIGQUIT',
  });
  await says(/^up/m);
  const seen = () => out().match(/SIGINT/g)?.length ?? 0;
  const typed = [1, 2, 3, 4, 5];
  for (const count of typed) {
    child.stdin?.write('\x03');
    await until(`SIGINT ${count}`, () => seen() >= count);
  }
  child.stdin?.write('\x1c');
  assert.equal(await ended(), 5);
  assert.equal(seen(), typed.length);
  assert.deepEqual(vault.alive(), []);
});

test('works as the first process of a container', { skip: withoutNamespaces() }, async (t) => {
  const { line, vault } = await openExecWorld(t);
  const inContainer = ['unshare', '-Urpf', '--mount-proc', '--kill-child'];
  // the kernel ignores a TERM that the first process of a namespace sends to itself
  const killed = startProgram(t, [...inContainer, ...line(['sh', '-c', 'kill -TERM $$'])]);
  assert.equal(await killed.ended(), 143);
  const { child, says, ended } = startProgram(t, [...inContainer, ...line(LISTENING)], { END_AT: 'SIGTERM' });
  await says(/^up/);
  const { pid = 0 } = child;
  process.kill(Number(procText(pid, `task/${pid}/children`)), 'SIGTERM');
  assert.equal(await ended(), 5);
  assert.deepEqual(vault.alive(), []);
});
