// The hooks of sinks, in the daemon as it ships: consumers that reread the token, and commands that misbehave.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cli, sidecarCommand } from '../support/program.ts';
import { until, untilChanged } from '../support/settling.ts';
import { openPeers } from '../support/sidecar.ts';
import { startProgram } from '../support/started.ts';

/** Rereads the token at SIGHUP and prints it, as nginx rereads its config. */
const CONSUMER = `
  import { readFileSync } from 'node:fs';
  process.on('SIGHUP', () => console.log('reread', readFileSync(process.argv[1], 'utf8')));
  console.log('up');
  setInterval(() => {}, 1000);`;

interface Line {
  readonly event: string;
  readonly [member: string]: unknown;
}

async function setUp(t: TestContext, { ttl = 2 } = {}) {
  const peers = await openPeers(t);
  const { directory, vault, issuer } = peers;
  vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_ttl: ttl } });
  await peers.writeJwt();
  const at = (name: string) => join(directory, name);
  const configure = (on_change: unknown, more: Record<string, unknown> = {}) =>
    writeFile(
      at('config.json'),
      JSON.stringify(peers.config({ sinks: [{ file: { path: at('token'), format: 'json', on_change } }], ...more })),
    );
  /** Starts the daemon, and waits until it listens. */
  const run = async () => {
    const program = startProgram(t, [...sidecarCommand(), 'run', '--config', at('config.json')]);
    const lines = (): Line[] =>
      program
        .out()
        .split('\n')
        .flatMap((line) => (line.endsWith('}') ? [JSON.parse(line)] : []));
    const all = (event: string) => lines().filter((line) => line.event === event);
    const line = (event: string, count = 1) => until(`${event} ${count}`, () => all(event)[count - 1]);
    const { ops } = await line('listening');
    const metric = async (result: string) => {
      const text = await (await fetch(`${ops}/metrics`)).text();
      return Number(
        new RegExp(`^vault_token_sidecar_hooks_total\\{.*result="${result}"\\} (\\d+)`, 'm').exec(text)?.[1],
      );
    };
    const stop = async () => {
      program.child.kill('SIGTERM');
      assert.equal(await program.ended(), 0);
    };
    return { ...program, all, line, metric, stop };
  };
  const tokenNow = async () => JSON.parse(await readFile(at('token'), 'utf8')).token as string;
  /** Has the token replaced, by a new JWT. */
  const replaceToken = async () => {
    const before = await tokenNow();
    await peers.writeJwt({ jti: String(Math.random()) });
    return until('a new token', async () => {
      const now = await tokenNow();
      return now !== before && now;
    });
  };
  const renewals = () => vault.requests.filter(({ path }) => path.endsWith('/renew-self')).length;
  const untilRenewed = async (count: number) => {
    const before = renewals();
    await until('renewals', () => renewals() >= before + count);
  };
  return { ...peers, at, configure, run, tokenNow, replaceToken, untilRenewed };
}

const shell = (script: string, ...args: string[]) => ['/bin/sh', '-c', script, 'sh', ...args];

test('a consumer with a pid file rereads each new token, and is left alone at renewals', async (t) => {
  const { at, configure, run, replaceToken, untilRenewed } = await setUp(t);
  await configure({ signal: 'SIGHUP', pid_file: at('app.pid') });
  const { line, all, metric } = await run();
  // the sidecar of a pod starts before the application
  const skipped = await line('hook_skipped');
  assert.deepEqual([skipped['code'], skipped['evidence']], ['hook_pid_missing', `${at('app.pid')}: ENOENT`]);
  const consumer = startProgram(t, [process.execPath, '--input-type=module', '-e', CONSUMER, at('token')]);
  await consumer.says(/up/);
  await writeFile(at('app.pid'), `${consumer.child.pid}\n`);
  const token = await replaceToken();
  await line('hook_ran');
  const [, seen = ''] = await consumer.says(/^reread ([\s\S]*\})/m);
  assert.equal(JSON.parse(seen).token, token);
  await untilRenewed(3);
  assert.equal(consumer.out().match(/reread/g)?.length, 1);
  assert.deepEqual([await metric('ok'), await metric('error'), await metric('skipped')], [1, 0, 1]);
  assert.equal(all('sink_written').length > 3, true, 'renewals write the file');
});

test('a command runs after each new token, with a clean environment and without the token', async (t) => {
  const { at, configure, run, replaceToken, untilRenewed, tokenNow } = await setUp(t);
  // as for a JVM: the command converts the token to what the application reads
  await configure({
    command: shell('env > "$1"; cp "$2" "$3"; echo ran >> "$4"', at('env'), at('token'), at('copy'), at('runs')),
  });
  const { line } = await run();
  await line('hook_ran');
  const first = await tokenNow();
  assert.equal(JSON.parse(await readFile(at('copy'), 'utf8')).token, first);
  const second = await replaceToken();
  await line('hook_ran', 2);
  assert.equal(JSON.parse(await readFile(at('copy'), 'utf8')).token, second);
  await untilRenewed(3);
  assert.equal(await readFile(at('runs'), 'utf8'), 'ran\nran\n');
  const environment = await readFile(at('env'), 'utf8');
  assert.match(environment, /^VTS_EXCHANGE=app$/m);
  assert.doesNotMatch(environment, /hvs\.|VAULT|eyJ/);
});

test('a command that hangs is killed, delays no token, and the next one runs', async (t) => {
  const { at, configure, run, replaceToken } = await setUp(t);
  const script = 'echo $$ >> "$1"; test "$(wc -l < "$1")" -gt 1 || exec sleep 1000';
  await configure({ command: shell(script, at('pids')), timeout: '2s' });
  const { line, all, metric } = await run();
  await line('ready');
  await untilChanged(at('pids'), undefined);
  await replaceToken();
  assert.deepEqual(all('hook_ran'), [], 'it waits for the one that hangs');
  const failed = await line('hook_failed');
  assert.deepEqual([failed['code'], failed['evidence']], ['hook_timeout', 'it ran for 2 s']);
  await line('hook_ran');
  assert.deepEqual([await metric('ok'), await metric('error')], [1, 1]);
  assert.equal(all('not_ready').length, 0);
});

test('a command that fails or does not exist is a line in the log, and is not retried', async (t) => {
  const { at, configure, run, untilRenewed } = await setUp(t);
  for (const [command, evidence] of [
    [shell('echo "no $1" >&2; exit 3', 'luck'), 'exit code 3'],
    [[at('none')], `${at('none')}: ENOENT`],
  ] as const) {
    await configure({ command });
    const { line, all, stop } = await run();
    const failed = await line('hook_failed');
    assert.deepEqual([failed['code'], failed['evidence'], failed['level']], ['hook_failed', evidence, 'warn']);
    await untilRenewed(2);
    assert.equal(all('hook_failed').length, 1);
    assert.equal(all('not_ready').length, 0);
    if (command.length > 1) assert.equal(all('hook_output')[0]?.['output'], 'no luck');
    await stop();
  }
});

test('the output of a command is one short line without the token', async (t) => {
  const { at, configure, run, tokenNow } = await setUp(t);
  await configure({ command: shell('cat "$1"; head -c 3000000 /dev/zero | tr "\\0" y', at('token')) });
  const { line, out } = await run();
  const { output, level } = await line('hook_output');
  assert.equal(level, 'debug');
  assert.match(String(output), /^\{ "token": "\[redacted\]", "accessor"/);
  assert.ok(String(output).length <= 310);
  assert.ok(!out().includes(await tokenNow()));
});

test('a restart that reuses the token runs no hook; one that logs in does', async (t) => {
  const { at, configure, run } = await setUp(t, { ttl: 3600 });
  const hook = { command: shell('echo ran >> "$1"', at('runs')) };
  const runs = async () => (await readFile(at('runs'), 'utf8')).trim().split('\n').length;
  await configure(hook, { on_start: 'reuse' });
  const first = await run();
  await first.line('hook_ran');
  await first.stop();
  const second = await run();
  await second.line('token_reused');
  await second.line('ready');
  await second.stop();
  assert.equal(await runs(), 1);
  await configure(hook);
  const third = await run();
  await third.line('hook_ran');
  assert.equal(await runs(), 2);
});

test('a reload with another hook runs nothing, and counts from the next token on', async (t) => {
  const { at, configure, run, replaceToken, untilRenewed } = await setUp(t);
  const hook = (name: string) => ({ command: shell('echo ran >> "$1"', at(name)) });
  await configure(hook('old'));
  const { line, all, child } = await run();
  await line('hook_ran');
  await configure(hook('new'));
  child.kill('SIGHUP');
  await line('config_reloaded');
  await untilRenewed(2);
  assert.equal(existsSync(at('new')), false);
  await replaceToken();
  await line('hook_ran', 2);
  assert.equal(await readFile(at('old'), 'utf8'), 'ran\n');
  assert.equal(await readFile(at('new'), 'utf8'), 'ran\n');
  assert.deepEqual([all('not_ready'), all('restart_needed')], [[], []]);
});

test('a stop kills a running command', async (t) => {
  const { at, configure, run } = await setUp(t);
  await configure({ command: shell('echo $$ > "$1"; exec sleep 1000', at('pid')), timeout: '10m' });
  const { stop } = await run();
  const pid = (await untilChanged(at('pid'), undefined)).trim();
  const startedAt = performance.now();
  await stop();
  assert.ok(performance.now() - startedAt < 3000);
  await until('it is gone', async () => {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone');
    // nobody may collect an orphan in a container
    return state === 'gone' || / [ZX] /.test(state);
  });
});

test('once runs no hook, and exec does', async (t) => {
  const { at, configure, config } = await setUp(t);
  const command = shell('echo ran > "$1"', at('runs'));
  // once waits for the JWT of the other exchange, so that a hook would have its time
  const late = { source: { file: { path: at('none') } }, login: { role: 'app' } };
  const app = {
    ...late,
    source: { file: { path: at('jwt') } },
    sinks: [{ file: { path: at('a'), on_change: { command } } }],
  };
  await writeFile(at('config.json'), JSON.stringify({ ...config(), exchanges: { app, late } }));
  assert.equal((await cli(['once', '--config', at('config.json'), '--timeout', '2s'])).code, 6);
  assert.deepEqual([existsSync(at('a')), existsSync(at('runs'))], [true, false]);
  await configure({ command });
  const wait = shell('until test -e "$1"; do sleep 0.01; done', at('runs'));
  assert.equal((await cli(['exec', '--config', at('config.json'), '--', ...wait])).code, 0);
});
