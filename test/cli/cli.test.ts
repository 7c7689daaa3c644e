// The program as a user starts it: commands, exit codes, signals and error messages.

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runUnprivileged } from '../support/confined.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { cli, sidecarCommand, sidecarInShell } from '../support/program.ts';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { until } from '../support/settling.ts';
import { openPeers } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CLEAN_ENV = { PATH: process.env['PATH'] ?? '' };

/** Starts the daemon as a process, and collects its log lines. */
function start(
  t: TestContext,
  configFile: string,
  env: Readonly<Record<string, string>> = {},
): { child: ChildProcess; log: string[]; event(name: string): Promise<Record<string, unknown>> } {
  const [node = '', ...entry] = sidecarCommand();
  const child = spawn(node, [...entry, 'run', '--config', configFile], {
    env: { ...CLEAN_ENV, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const log: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => log.push(...chunk.toString().split('\n').filter(Boolean)));
  t.after(() => child.kill('SIGKILL'));
  const event = (name: string) =>
    until(`the event ${name}`, () => log.map((line) => JSON.parse(line)).find((line) => line.event === name));
  return { child, log, event };
}

async function setUp(t: TestContext, members: Record<string, unknown> = {}) {
  const peers = await openPeers(t);
  const configFile = join(peers.directory, 'config.json');
  const write = (config: unknown) => writeFile(configFile, JSON.stringify(config));
  await write(peers.config(members));
  return { ...peers, configFile, write };
}

test('usage errors print one line and exit with 2', async () => {
  for (const [args, line] of [
    [['rum'], /^vault-token-sidecar: unknown command "rum"; did you mean "run"\?\n$/],
    [['constructor'], /^vault-token-sidecar: unknown command "constructor"/],
    [['run', '--confg', 'x'], /^vault-token-sidecar: unknown flag "--confg"; did you mean "--config"\?\n$/],
    [['once', '--timeout', 'soon'], /^vault-token-sidecar: --timeout must be a duration such as "90s"/],
    [['run', '--config', '/nowhere.json'], /^can't read \/nowhere.json: ENOENT; --config names the config file\n$/],
  ] as const) {
    const { code, err } = await cli(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, line);
    assert.equal(err.trim().split('\n').length, 1);
  }
  const unset = await cli(['run']);
  assert.deepEqual(
    [unset.code, unset.err.split('\n')[0]],
    [2, "VAULT_ADDR: is required without --config (Vault's address)"],
  );
  assert.equal((await cli(['version'], { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })).code, 2);
});

test('a missing, unreadable or invalid config prints one line without a stack and exits with 2 (B1)', async (t) => {
  const directory = await temporaryDirectory(t);
  const at = (name: string) => join(directory, name);
  await writeFile(at('broken.json'), '{"vault": }');
  for (const [command, path, line] of [
    ['run', at('none.json'), `can't read ${at('none.json')}: ENOENT; --config names the config file`],
    ['once', directory, `can't read ${directory}: not a regular file; --config names the config file`],
    ['validate', at('broken.json'), 'broken.json:1:11: not valid JSON (ValueExpected)'],
  ] as const)
    assert.deepEqual(await cli([command, '--config', path]), { code: 2, out: '', err: `${line}\n` });
  const said = runUnprivileged(
    directory,
    `import { writeFileSync } from 'node:fs';
    import { loadSettings } from './src/commands/load-settings.ts';
    writeFileSync(directory + '/secret.json', '{}', { mode: 0o000 });
    const error = await loadSettings({ config: directory + '/secret.json' }, { env: {} }).catch((error) => error);
    console.log(error.name, ...error.lines);`,
  );
  assert.equal(said, `ConfigError can't read ${at('secret.json')}: EACCES; --config names the config file`);
});

test('without --config, names a config.json in the working directory', async (t) => {
  const cwd = await temporaryDirectory(t);
  const lastLine = async () => (await cli(['validate'], { cwd })).err.trim().split('\n').at(-1);
  assert.match((await lastLine()) ?? '', /^VTS_TOKEN_FILE: is required/);
  await writeFile(join(cwd, 'config.json'), '{}');
  assert.equal(await lastLine(), 'config.json: is in this directory: use it with --config config.json');
});

test('validate prints each setting with its source', async (t) => {
  const { configFile } = await setUp(t);
  const { code, out } = await cli(['validate', '--config', configFile]);
  assert.equal(code, 0);
  assert.match(out, /^exchanges\.app\.login\.mount +jwt +default$/m);
  assert.match(out, /^exchanges\.app\.login\.role +app +file$/m);
  assert.match(out, /^valid: 1 exchange$/m);
});

test('ignores a closed pipe on stdout, and reports other write errors', async () => {
  const run = (command: string) =>
    new Promise<string>((resolve) => {
      const script = `sidecar() { ${sidecarInShell()} "$@"; echo "code $?" >&3; }; { ${command}; } 3>&1`;
      execFile('sh', ['-c', script], { env: CLEAN_ENV }, (_error, out, err) => resolve(out + err));
    });
  // `true` has exited before the first line is written
  assert.equal(await run('sidecar schema | true'), 'code 0\n');
  assert.equal(await run('sidecar validate --config none.json 2>&1 | true'), 'code 2\n');
  assert.equal(
    await run('sidecar schema > /dev/full'),
    "code 7\nvault-token-sidecar: can't write to stdout (ENOSPC)\n",
  );
});

test('handles SIGHUP during startup, before the first log line', async (t) => {
  const { vault, configFile, writeJwt } = await setUp(t);
  await writeJwt();
  vault.setSealed(true);
  const { child, event } = start(t, configFile);
  await until('it asks Vault', () => vault.requests.length > 0);
  child.kill('SIGHUP');
  await event('config_reloaded');
  assert.equal(child.exitCode, null);
});

test('SIGTERM and SIGHUP together stop the process, in either order', async (t) => {
  const { configFile, config, write, writeJwt } = await setUp(t);
  await writeJwt();
  for (const signals of [['SIGTERM', 'SIGHUP'] as const, ['SIGHUP', 'SIGTERM'] as const]) {
    const { child, event } = start(t, configFile);
    await event('ready');
    const { exchanges, ...rest } = config() as { exchanges: { app: object } };
    await write({ ...rest, exchanges: { ...exchanges, other: { ...exchanges.app, sinks: [] } } });
    const ended = once(child, 'exit');
    for (const signal of signals) child.kill(signal);
    assert.deepEqual(await ended, [0, null]);
    await write(config());
  }
});

test('the example config is valid', async () =>
  assert.equal((await cli(['validate', '--config', 'config.example.json'])).code, 0));

test('once writes the token and exits; each failure has its exit code and one line with the reason (I13)', async (t) => {
  const { configFile, writeJwt, directory, vault, write, config } = await setUp(t, { on_stop: 'revoke' });
  const once = () => cli(['once', '--config', configFile, '--timeout', '1500ms']);
  const missing = await once();
  assert.equal(missing.code, 6);
  assert.match(missing.err, /^exchange app: there is no workload JWT: \/.*\. Check that/m);
  await writeJwt();
  const fine = await once();
  assert.deepEqual([fine.code, fine.out], [0, '']);
  assert.match(await readFile(join(directory, 'token'), 'utf8'), /^hvs\./);
  assert.equal(vault.alive().length, 1, 'once never revokes the token');
  await write(config({ login: { role: 'nobody' } }));
  assert.equal((await once()).code, 4);
  await write(config({ sinks: [{ file: { path: join(directory, 'none', 'token') } }] }));
  assert.equal((await once()).code, 7);
  await write(config());
  vault.setSealed(true);
  assert.equal((await once()).code, 5);
});

test('once reads the JWT from an environment variable, as in a CI job', async (t) => {
  const { issuer, configFile, write, config } = await setUp(t);
  await write(config({ source: { env: { name: 'VAULT_ID_TOKEN' } } }));
  assert.equal(
    (
      await cli(['once', '--config', configFile, '--timeout', '5s'], {
        env: { VAULT_ID_TOKEN: await issuer.mint() },
      })
    ).code,
    0,
  );
});

test('once exits within two seconds on an error that lasts, and says what to change', async (t) => {
  const { issuer, configFile, writeJwt, directory, write, config } = await setUp(t);
  await writeJwt();
  for (const [members, code, said] of [
    [
      { source: { env: { name: 'ABSENT' } } },
      6,
      /ABSENT is not set\. Set the variable; in GitLab CI, add it to the id_tokens/,
    ],
    [{ login: { role: 'nobody' } }, 4, /Create role "nobody" on http:.*vault write auth\/jwt\/role\/nobody /],
    [{ source: { env: { name: 'JWT' } }, expect: { audience: 'other' } }, 6, /aud is "vault", expected "other"/],
    [{ login: { role: 'app', mount: 'absent' } }, 4, /Vault forbids the login.*Check login\.mount/],
    [{ source: { env: { name: 'OLD_JWT' } } }, 4, /the workload JWT has expired/],
    [{ sinks: [{ file: { path: join(directory, 'none', 'token') } }] }, 7, /none: ENOENT/],
    [{ sinks: [{ file: { path: '/proc/token' } }] }, 7, /holds no files/],
  ] as const) {
    await write(config(members));
    const startedAt = performance.now();
    const ended = await cli(['once', '--config', configFile], {
      env: { JWT: await issuer.mint(), OLD_JWT: await issuer.mint({ iat: 1000, exp: 2000 }) },
    });
    assert.ok(performance.now() - startedAt < 2000, `${performance.now() - startedAt} ms`);
    assert.equal(ended.code, code, ended.err);
    assert.match(ended.err.trim().split('\n').at(-1) ?? '', said);
  }
});

test('once waits for the other exchanges, and for a file that may still change', async (t) => {
  const { configFile, writeJwt, directory, write, config } = await setUp(t);
  await writeJwt();
  const { vault, exchanges } = config() as { vault: object; exchanges: { app: object } };
  const broken = { ...exchanges.app, login: { role: 'nobody' }, sinks: [] };
  await write({ ...config(), vault, exchanges: { broken, app: exchanges.app } });
  const both = await cli(['once', '--config', configFile, '--timeout', '20s']);
  assert.equal(both.code, 4, both.err);
  assert.match(await readFile(join(directory, 'token'), 'utf8'), /^hvs\./);
  await write(config({ expect: { audience: 'other' } }));
  const startedAt = performance.now();
  assert.equal((await cli(['once', '--config', configFile, '--timeout', '1500ms'])).code, 6);
  assert.ok(performance.now() - startedAt > 1500);
});

test('wait, status and token query the daemon; SIGTERM makes it exit with 0', async (t) => {
  const { configFile, writeJwt, directory } = await setUp(t);
  await writeJwt();
  const { child, event } = start(t, configFile);
  const { api, ops } = (await event('listening')) as { api: string; ops: string };
  assert.equal((await cli(['wait', '--ops', ops, '--timeout', '5s'])).code, 0);
  const status = await cli(['status', '--ops', ops]);
  assert.match(
    status.out,
    /^EXCHANGE +PHASE +READY +TIME LEFT +NEXT\napp +active +yes +(1h 0m|59m \d+s) +renew in \d+m \d+s\napp: renews in \d+m \d+s; if renewals fail, logs in at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\n$/,
  );
  assert.equal(JSON.parse((await cli(['status', '--ops', ops, '--json'])).out).exchanges[0].exchange, 'app');
  const token = await cli(['token', '--api', api]);
  assert.equal(token.out.trim(), await readFile(join(directory, 'token'), 'utf8'));
  assert.equal((await cli(['token', '--api', api, '--exchange', 'none'])).err, 'There is no exchange of that name.\n');
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  const late = await cli(['wait', '--ops', ops, '--timeout', '300ms']);
  assert.deepEqual([late.code, late.err], [3, `the sidecar isn't ready: no sidecar answers at ${ops}\n`]);
});

test('SIGHUP refuses an invalid config and keeps the old one, and applies a valid one; SIGUSR2 logs in again (B10)', async (t) => {
  const { configFile, writeJwt, write, config, vault } = await setUp(t);
  await writeJwt();
  const { child, event, log } = start(t, configFile);
  const { ops } = (await event('listening')) as { ops: string };
  const reloadedWell = async () =>
    /config_last_reload_successful (\d)/.exec(await (await fetch(`${ops}/metrics`)).text())?.[1];
  assert.equal(await reloadedWell(), '1');
  await write({ exchanges: {} });
  child.kill('SIGHUP');
  const refused = await event('config_refused');
  assert.equal(refused['evidence'], 'config.json: exchanges: must name at least one exchange');
  assert.equal(await reloadedWell(), '0');
  assert.equal((await fetch(`${ops}/readyz/app`)).status, 200, 'the exchange of the old config goes on');
  await write(config());
  child.kill('SIGHUP');
  await event('config_reloaded');
  assert.equal(await reloadedWell(), '1');
  assert.equal(vault.alive().length, 1, 'an unchanged exchange makes no login');
  child.kill('SIGUSR2');
  await until('a second login', () => log.filter((line) => line.includes('"logged_in"')).length === 2);
});

test("the daemon logs variables that don't count, at the start and at a reload", async (t) => {
  const { configFile } = await setUp(t);
  const { child, event, log } = start(t, configFile, { VTS_ROLE: 'app', VAULT_SKIP_VERIFY: 'true' });
  await event('listening');
  const warnings = () => log.map((line) => JSON.parse(line)).filter((line) => line.event === 'config_warning');
  const [first, second] = warnings();
  assert.equal(first.warning, `VTS_ROLE: ignored, since the config comes from the file ${configFile}`);
  assert.match(second.warning, /^VAULT_SKIP_VERIFY is ignored; /);
  child.kill('SIGHUP');
  await event('config_reloaded');
  assert.equal(warnings().length, 4);
});

test('reloads a config that kubelet swapped once, and applies it (B13)', async (t) => {
  const { directory, writeJwt, config, vault } = await setUp(t);
  await writeJwt();
  const volume = await createProjectedVolume(join(directory, 'config'));
  const first = config();
  await volume.swap('config.json', JSON.stringify(first));
  const { child, event, log } = start(t, join(directory, 'config', 'config.json'));
  await event('listening');
  const { app } = first['exchanges'] as { app: Record<string, unknown> };
  const added = { ...app, sinks: [{ file: { path: join(directory, 'added') } }] };
  await volume.swap('config.json', JSON.stringify({ ...first, exchanges: { app, added } }));
  child.kill('SIGHUP');
  await event('config_reloaded');
  await until('the token of the added exchange', () => readFile(join(directory, 'added')).catch(() => undefined));
  assert.equal(vault.alive().length, 2, 'one login for each exchange');
  assert.equal(log.filter((line) => line.includes('"config_re')).length, 1);
});

test('SIGUSR1 opens no inspector, also during startup (I4)', async (t) => {
  const { configFile } = await setUp(t);
  const { child, event } = start(t, configFile);
  await event('starting');
  child.kill('SIGUSR1');
  await event('listening');
  const reached = await new Promise((resolve) => {
    connect(9229, '127.0.0.1')
      .on('connect', () => resolve(true))
      .on('error', () => resolve(false));
  });
  assert.equal(reached, false);
});

test('SIGTERM exits with 0 in time while Vault hangs, and a second signal exits at once (I1, I2)', async (t) => {
  const { configFile, writeJwt, vault } = await setUp(t, { on_stop: 'revoke' });
  await writeJwt();
  vault.setFault(() => undefined);
  for (const signals of [['SIGTERM'], ['SIGTERM', 'SIGINT']] as const) {
    const { child, event } = start(t, configFile);
    await event('listening');
    const startedAt = performance.now();
    for (const signal of signals) child.kill(signal);
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.ok(performance.now() - startedAt < (signals.length === 1 ? 5000 : 1000));
  }
});

test('a port in use prints one line and exits with 8 (B9)', async (t) => {
  const { configFile, write, config, vault } = await setUp(t);
  const { host } = new URL(vault.url);
  await write({ ...config(), ops: { listen: host } });
  const { code, err } = await cli(['run', '--config', configFile]);
  assert.equal(code, 8);
  assert.equal(
    err,
    `the sidecar can't listen on an address: ${host}, another process listens on it, EADDRINUSE. Stop that process, or change the address in "listen".\n`,
  );
});

test('dev prints the JWT, the login, the file and the next commands', async () => {
  const { code, out } = await cli(['dev', '--timeout', '1s']);
  assert.equal(code, 0);
  for (const told of [
    /issuer {3}-> JWT/,
    /JWT {6}-> Vault {4}logged in/,
    /token {4}-> file/,
    /curl -s -H 'X-Vault-Request: true' http/,
    /cat \/.*\/token$/m,
  ]) {
    assert.match(out, told);
  }
  assert.doesNotMatch(out, SECRET_TEXT);
});
