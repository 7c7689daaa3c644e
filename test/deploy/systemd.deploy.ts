// The unit, the .deb and the .rpm: checked by their platforms' tools, then installed on a machine with systemd, and
// started there with a real Vault.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readmeBlock, readmeCommands } from '../support/readme.ts';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { buildPackages, DEB, RPM } from './packages.ts';
import { openWorld } from './systemd-world.ts';

const APP = 'vault-token-sidecar@app.service';
const SECOND = 'vault-token-sidecar@second.service';
const TOKEN = '/run/vault-token-sidecar/app/token';
/** The maximum backoff is a minute. */
const SOON_MS = 75_000;

test('the packages are reproducible, pass lintian, rpmlint and shellcheck, and have a manual', async (t) => {
  debian('lintian', 'shellcheck', 'dpkg-dev', 'rpm', 'rpmlint');
  const first = buildPackages();
  assert.deepEqual(first, buildPackages(), 'built twice, two packages');
  const said = execFileSync('lintian', ['--allow-root', '--fail-on', 'error,warning,info', '--info', DEB]);
  assert.equal(said.toString(), '');
  const lint = execFileSync('rpmlint', ['--config', 'test/deploy/rpmlint.toml', RPM], { encoding: 'utf8' });
  assert.match(lint, / 0 errors, 0 warnings/);
  const scripts = globSync('deploy/packages/{*.sh,deb/p*,rpm/*}');
  assert.equal(scripts.length, 8);
  execFileSync('shellcheck', ['--shell=sh', ...scripts], { stdio: 'inherit' });
  const directory = await temporaryDirectory(t);
  execFileSync('dpkg-deb', ['--extract', DEB, directory]);
  const manual = gunzipSync(await readFile(`${directory}/usr/share/man/man1/vault-token-sidecar.1.gz`)).toString();
  assert.equal(manual, await readFile('docs/vault-token-sidecar.1', 'utf8'));
});

test('both packages have the same files', () => {
  const deb = execFileSync('sh', ['-c', `dpkg-deb --fsys-tarfile ${DEB} | tar --list --verbose --numeric-owner`], {
    encoding: 'utf8',
  });
  const rpm = execFileSync('rpm', ['--query', '--list', '--verbose', '--package', RPM], { encoding: 'utf8' });
  const own = /copyright$|changelog|lintian|licenses/;
  const inBoth = (list: string, size: number) =>
    list
      .split('\n')
      .map((line) => line.split(/\s+/))
      .filter(([mode]) => mode?.startsWith('-'))
      .map((words) => `${words[0]} ${words[size]} ${words.at(-1)?.replace(/^\./, '')}`)
      .filter((line) => !own.test(line))
      .sort();
  const files = inBoth(rpm, 4);
  assert.ok(files.length > 20);
  assert.deepEqual(inBoth(deb, 2), files);
});

test('the packages work on a machine with systemd', async (t) => {
  const world = await openWorld(t);
  const { machine, vault, showsAll, tokenNow } = world;
  let isBroken = false;
  // each step depends on the previous ones
  const step = (name: string, work: () => Promise<void>) =>
    t.test(name, { skip: isBroken && 'a previous step failed' }, async () => {
      isBroken = true;
      await work();
      isBroken = false;
    });

  const places = ['/etc/systemd', '/usr', '/run'];
  const leftovers = () => machine.run('find', ...places, '-name', '*vault-token-sidecar*', '-not', '-type', 'd');

  await step('apt installs the package without starting an instance', async () => {
    const said = [];
    for (const command of readmeCommands('apt-get', 'cp')) said.push(await world.shell(`${command} 2>&1`));
    assert.doesNotMatch(said.join('\n'), /too many arguments|fail|error/i);
    assert.equal((await showsAll(APP)).ActiveState, 'inactive');
    const { mode, uid, gid } = await stat(machine.at('/etc/vault-token-sidecar'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o2750, 0, await world.groupId()]);
  });

  await step('the unit passes systemd-analyze', async () => {
    const verified = await world.shell(`systemd-analyze verify --man=no ${APP} 2>&1`);
    assert.equal(verified, '');
    // the threshold is in tenths: an exposure of at most 1.5
    const security = await world.shell(`systemd-analyze security --no-pager --offline=true --threshold=15 ${APP}`);
    t.diagnostic(security.split('\n').at(-1) ?? '');
  });

  await step('the unit is activating, with the reason, until the token is in place', async () => {
    await world.configure('app');
    await world.installConsumer();
    await vault.seal();
    const [enable = ''] = readmeCommands('systemctl').filter((command) => command.includes('enable'));
    const started = world.shell(enable);
    const waitsFor = (reason: RegExp) =>
      until(
        `it waits: ${reason}`,
        async () => {
          const { ActiveState, StatusText } = await showsAll(APP);
          assert.equal(ActiveState, 'activating');
          return reason.test(StatusText);
        },
        SOON_MS,
      );
    await until('it is started', async () => (await showsAll(APP)).ActiveState === 'activating');
    await waitsFor(/no workload JWT/);
    await machine.run('systemctl', 'start', '--no-block', 'my-app');
    // the boot doesn't wait for the unit
    await machine.run('systemctl', 'stop', 'multi-user.target');
    await machine.run('timeout', '20', 'systemctl', 'start', 'multi-user.target');
    await world.writeJwt();
    await waitsFor(/sealed/);
    assert.equal((await showsAll('my-app')).ActiveState, 'inactive');
    await vault.unseal();
    await started;
    const { ActiveState, StatusText } = await showsAll(APP);
    assert.deepEqual({ ActiveState, StatusText }, { ActiveState: 'active', StatusText: 'every exchange is ready' });
  });

  await step('consumers get the token by LoadCredential= and by their group', async () => {
    const token = await tokenNow();
    assert.equal(
      (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token })).status,
      200,
    );
    const look = await machine.run('stat', '--format=%A %U %G', TOKEN, dirname(TOKEN));
    const owner = 'vault-token-sidecar vault-token';
    assert.equal(look, `-rw-r----- ${owner}\ndrwxr-x--- ${owner}`);
    await until('the consumer has run', async () => (await showsAll('my-app')).ActiveState === 'active');
    assert.equal(await readFile(machine.at('/run/my-app.out'), 'utf8'), `${token}\n${token}\n`);
  });

  await step('the path unit lets a running consumer reread each new token', async () => {
    await world.installPath();
    const [, enable = ''] = readmeCommands('systemctl').filter((command) => command.includes('enable'));
    assert.match(enable, /my-app-token\.path$/);
    await world.shell(enable);
    const before = await tokenNow();
    await world.writeJwt();
    await until('the consumer has the new token', async () => {
      const token = await tokenNow();
      return token !== before && (await readFile(machine.at('/run/my-app.out'), 'utf8')) === `${token}\n${token}\n`;
    });
    await machine.run('systemctl', 'disable', '--now', 'my-app-token.path');
  });

  await step("consumers use the token by the file and the sockets, but can't read a config or the JWT", async () => {
    const [, groups = ''] = /^SupplementaryGroups=(.*)$/m.exec(await world.example('consumer.conf')) ?? [];
    const nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup'] as const;
    const asConsumer = (path: string) => machine.run(...nobody, `--groups=${groups}`, 'cat', path);
    assert.equal(await asConsumer(TOKEN), await tokenNow());
    const token = ['vault-token-sidecar', 'token', '--api', `unix:${dirname(TOKEN)}/api.sock`] as const;
    assert.equal(await machine.run(...nobody, `--groups=${groups}`, ...token), await tokenNow());
    await assert.rejects(machine.run(...nobody, '--clear-groups', ...token), /no sidecar answers .* \(EACCES\)/);
    const [, socket = ''] =
      /unix:\/\/(.*)/.exec(readmeBlock('deploy/systemd/README.md', 'Let a unit use the token', 'ini')) ?? [];
    const ask = `http.get({ socketPath: '${socket}', path: '/v1/auth/token/lookup-self' }, (reply) => reply.pipe(process.stdout))`;
    const proxied = JSON.parse(await machine.run(...nobody, `--groups=${groups}`, 'node', '-e', ask));
    assert.equal(proxied.data.id, await tokenNow());
    await assert.rejects(machine.run(...nobody, '--clear-groups', 'node', '-e', ask), /EACCES/);
    for (const path of ['/etc/vault-token-sidecar', '/etc/vault-token-sidecar/app.json', '/run/oidc/token'])
      await assert.rejects(asConsumer(path), /Permission denied/, path);
  });

  await step('the other documented commands succeed, and a reload keeps the process', async () => {
    const { MainPID } = await showsAll(APP);
    await world.configure('app', { file: { path: `${TOKEN}.json`, mode: '0640', format: 'json' } });
    for (const command of readmeCommands('systemctl', 'journalctl', 'runuser').filter((one) => !one.includes('enable')))
      await world.shell(command);
    await until('both files have the token', async () => {
      const text = await readFile(machine.at(`${TOKEN}.json`), 'utf8').catch(() => '{}');
      return JSON.parse(text).token === (await tokenNow());
    });
    assert.equal((await showsAll(APP)).MainPID, MainPID);
  });

  await step('the token file exists throughout a restart and an upgrade', async () => {
    const before = await tokenNow();
    const seen = await world.readingAllTheTime(async () => {
      await machine.run('systemctl', 'restart', APP);
      const { MainPID } = await showsAll(APP);
      await machine.run('apt-get', 'install', '--reinstall', '--yes', `/root/${DEB}`);
      await until('the new version runs', async () => {
        const now = await showsAll(APP);
        return now.ActiveState === 'active' && now.MainPID !== MainPID;
      });
    });
    assert.ok(seen.has(before) && seen.has(await tokenNow()));
    assert.ok(seen.size >= 3, `${seen.size} tokens`);
  });

  await step('a second instance runs while forbidden system calls kill it', async () => {
    await world.dropIn(SECOND, 'SystemCallErrorNumber=kill\nWatchdogSec=6s');
    await world.configure('second');
    await machine.run('systemctl', 'start', SECOND);
    assert.notEqual(await tokenNow('second'), await tokenNow());
    for (const unit of [APP, SECOND]) assert.equal((await showsAll(unit)).ActiveState, 'active');
  });

  await step('the watchdog restarts only a hanging process', async () => {
    const fedAt = async () => Number((await showsAll(SECOND)).WatchdogTimestampMonotonic);
    const startedAt = await fedAt();
    await until('it was notified after the first timeout', async () => (await fedAt()) > startedAt + 7e6, 30_000);
    const { MainPID, NRestarts } = await showsAll(SECOND);
    assert.equal(NRestarts, '0');
    await world.readingAllTheTime(async () => {
      await world.shell(`kill -STOP ${MainPID}`);
      const again = async () => {
        const now = await showsAll(SECOND);
        return now.NRestarts === '1' && now.ActiveState === 'active' && now.MainPID !== MainPID;
      };
      await until('it was restarted', again, 60_000);
    }, 'second');
    assert.match(await machine.run('journalctl', '--unit', SECOND), /watchdog timeout/i);
  });

  await step('a stop exits cleanly and removes the files', async () => {
    await machine.run('systemctl', 'stop', APP, SECOND);
    for (const unit of [APP, SECOND]) {
      const { ActiveState, Result, ExecMainStatus } = await showsAll(unit);
      assert.deepEqual([ActiveState, Result, ExecMainStatus], ['inactive', 'success', '0']);
    }
    assert.deepEqual(await readdir(machine.at('/run/vault-token-sidecar')), []);
  });

  await step('the journal has JSON lines with priorities, without secrets', async () => {
    const own = await machine.run('journalctl', '--output=cat', '--unit', APP, '_TRANSPORT=stdout', 'PRIORITY=6');
    const events = own.split('\n').map((line) => JSON.parse(line).event);
    for (const event of ['starting', 'config_reloaded', 'stopping']) assert.ok(events.includes(event), event);
    const warnings = await machine.run(
      'journalctl',
      '--output=cat',
      '--unit',
      APP,
      '_TRANSPORT=stdout',
      '--priority=warning',
    );
    assert.doesNotMatch(warnings, /"level":"(info|debug)"/);
    assert.doesNotMatch(await machine.run('journalctl', '--output=json'), SECRET_TEXT);
  });

  await step("a purge removes everything except the administrator's configs", async () => {
    await machine.run('systemctl', 'enable', '--now', APP);
    const { MainPID } = await showsAll(APP);
    await machine.run('apt-get', 'purge', '--yes', 'vault-token-sidecar');
    assert.equal((await showsAll(APP)).LoadState, 'not-found');
    await assert.rejects(stat(machine.at(`/proc/${MainPID}`)), { code: 'ENOENT' });
    assert.deepEqual(await readdir(machine.at('/etc/vault-token-sidecar')), ['app.json', 'second.json']);
    assert.equal(await leftovers(), '');
  });

  const rpm = async (...words: readonly string[]) => machine.run('rpm', ...words);

  await step('rpm installs the package only with Node 24, without starting an instance', async () => {
    await assert.rejects(rpm('--install', `/root/${RPM}`), /nodejs\(engine\) >= 24/);
    await rpm('--install', '/root/nodejs.rpm');
    for (const command of readmeCommands('rpm')) assert.equal(await world.shell(command), '');
    assert.equal((await showsAll(APP)).ActiveState, 'inactive');
    const { mode, gid } = await stat(machine.at('/etc/vault-token-sidecar'));
    assert.deepEqual([mode & 0o7777, gid], [0o2750, await world.groupId()]);
    await machine.run('rpm', '--verify', 'vault-token-sidecar');
    assert.match(await machine.run('vault-token-sidecar', 'version'), /^vault-token-sidecar \d/);
  });

  await step('an upgrade of the rpm restarts the instance, which keeps its token file', async () => {
    await world.writeJwt();
    await machine.run('systemctl', 'enable', '--now', APP);
    const { MainPID } = await showsAll(APP);
    await world.readingAllTheTime(async () => {
      await rpm('--upgrade', '--replacepkgs', `/root/${RPM}`);
      await until('the new version runs', async () => {
        const now = await showsAll(APP);
        return now.ActiveState === 'active' && now.MainPID !== MainPID;
      });
    });
  });

  await step("an erased rpm leaves only the administrator's configs", async () => {
    const { MainPID } = await showsAll(APP);
    await rpm('--erase', 'vault-token-sidecar');
    assert.equal((await showsAll(APP)).LoadState, 'not-found');
    await assert.rejects(stat(machine.at(`/proc/${MainPID}`)), { code: 'ENOENT' });
    assert.deepEqual(await readdir(machine.at('/etc/vault-token-sidecar')), ['app.json', 'second.json']);
    assert.equal(await leftovers(), '');
  });
});
