// The process and its environment: signals, a closed, full or unread stdout, kills, process number 1, SIGSTOP and
// SIGCONT, unexpected exceptions.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withoutNamespaces } from '../support/confined.ts';
import { openFullPipe } from '../support/full-pipe.ts';
import { isWaitingForMount, openHangingMount, withoutHangingMounts } from '../support/hanging-mount.ts';
import { until } from '../support/settling.ts';
import { replaceByRename } from '../support/temporary.ts';
import { metric, openFaultWorld, served, startSidecar } from './sidecar-process.ts';

test('fifty SIGHUPs during a reload cause one more reload, which reads the last config (I3)', {
  skip: withoutHangingMounts(),
}, async (t) => {
  const world = await openFaultWorld(t);
  const { pid, event, log, signal } = await startSidecar(t, world.configFile);
  await event('listening');
  const count = (name: string) => log().filter((line) => line.event === name).length;
  // the config is on a hanging mount, so that the read lasts until the mount is released
  const mount = openHangingMount(t);
  const last = readFileSync(world.configFile, 'utf8').replace('"trace"', '"info"');
  await unlink(world.configFile);
  await symlink(join(mount.path, 'config.json'), world.configFile);
  signal('SIGHUP');
  await until('the first reload reads the config', () => isWaitingForMount(pid));
  for (let sent = 0; sent < 49; sent += 1) {
    signal('SIGHUP');
    // wait for delivery, since pending signals of the same kind are merged
    await until('the signal was taken', () => !pendingSignals(pid));
  }
  await replaceByRename(world.configFile, last);
  mount.release();
  await until('the first reload fails, and one more is made', () => count('config_reloaded') === 1);
  await world.writeJwt();
  await event('logged_in', (line) => line !== log().find((one) => one.event === 'logged_in'));
  assert.deepEqual([count('config_reloaded'), count('config_refused')], [1, 1]);
});

const pendingSignals = (pid: number): boolean =>
  /^(SigPnd|ShdPnd):\s*0*[1-9a-f]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

// all threads of the pool are busy when it throws, as when a disk or a DNS server hangs
const THROWING = `
  const { pbkdf2 } = await import('node:crypto');
  const takeThreads = () => {
    for (let thread = 0; thread < 64; thread += 1) pbkdf2('', '', 3_000_000, 64, 'sha512', () => {});
  };
  const secret = 'hvs.CAESIinjectedsecret0123456789';
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  process.on('SIGUSR2', () => { takeThreads(); throw new Error('thrown with ' + secret + ' and ' + jwt); });
  process.on('SIGWINCH', () => { takeThreads(); Promise.reject(new Error('rejected with ' + secret + ' and ' + jwt)); });`;

// these wait more than they work
describe('signals and ends', { concurrency: 4 }, () => {
  test('keeps running after the reader of its stdout has exited, and exits with 0 (I5)', async (t) => {
    const world = await openFaultWorld(t);
    const { child, event, stop } = await startSidecar(t, world.configFile);
    await event('listening');
    const before = await until('the token', world.token);
    child.stdout?.destroy();
    await world.writeJwt();
    const after = await until('another token', () => world.token() !== before && world.token());
    assert.equal(await served(world), after);
    assert.ok((await metric(world, 'log_lines_dropped_total')) > 0);
    assert.equal((await stop()).code, 0);
  });

  for (const kind of ['pipe', 'socket'] as const) {
    test(`an unread ${kind} as stdout never blocks the login, the API, reloads or the stop; dropped lines are counted (J4)`, async (t) => {
      const world = await openFaultWorld(t);
      // the pipe is full from the start; the socket, which Node creates for stdio "pipe", fills up
      const stdout = kind === 'pipe' ? openFullPipe(t, join(world.directory, 'stdout')) : undefined;
      const { child, pid, stopWithin, signal } = await startSidecar(t, world.configFile, { stdout });
      if (stdout !== undefined) closeSync(stdout);
      child.stdout?.pause();
      await until('a token', world.token);
      await until('it is served', () => served(world).then(Boolean, () => false));
      // a key of 40 kB in the config makes the log line of its refusal as long
      await world.configure({}, { ['x'.repeat(40_000)]: 1 });
      await until(
        'lines are dropped, and counted',
        async () => {
          for (let sent = 0; sent < 20; sent += 1) {
            signal('SIGHUP');
            await until('the signal was taken', () => !pendingSignals(pid));
          }
          const startedAt = performance.now();
          const dropped = await metric(world, 'log_lines_dropped_total');
          assert.ok(performance.now() - startedAt < 2000);
          return dropped > 0;
        },
        30_000,
      );
      await stopWithin(5000);
    });
  }

  test('keeps running without its log when stdout is on a full disk, and exits in time (I1, J4)', async (t) => {
    const world = await openFaultWorld(t);
    const stdout = openSync('/dev/full', 'w');
    const { stopWithin } = await startSidecar(t, world.configFile, { stdout });
    closeSync(stdout);
    const token = await until('a token', world.token);
    assert.equal(await until('it is served', () => served(world).catch(() => undefined)), token);
    await stopWithin(5000);
  });

  test('resumes its log when the full disk of its stdout has space again (J4)', {
    skip: withoutNamespaces(),
  }, async (t) => {
    const world = await openFaultWorld(t);
    const disk = join(world.directory, 'disk');
    await mkdir(disk);
    const script = 'mount -t tmpfs -o size=64k none "$0"; head -c 60k /dev/zero > "$0/rest"; exec "$@" > "$0/log"';
    const wrapper = ['unshare', '-Urm', 'sh', '-c', script, disk];
    const { pid, signal, stop } = await startSidecar(t, world.configFile, { wrapper });
    const seen = (name: string) => join(`/proc/${pid}/root`, disk, name);
    await until('a token', world.token);
    await until('lines are lost', async () => {
      signal('SIGHUP');
      return (await metric(world, 'log_lines_dropped_total').catch(() => 0)) > 0;
    });
    await unlink(seen('rest'));
    const log = openSync(seen('log'), 'r');
    t.after(() => closeSync(log));
    let lines = '';
    await until('lines are written again', () => {
      signal('SIGHUP');
      const more = readFileSync(log, 'utf8');
      lines += more;
      return lines !== more && more !== '';
    });
    assert.equal((await stop()).code, 0);
    assert.match(readFileSync(log, 'utf8'), /"event":"stopping"/);
  });

  test('replaces the expired token at once after SIGSTOP for longer than the lease and SIGCONT (I6)', async (t) => {
    const world = await openFaultWorld(t, { leaseSeconds: 4 });
    const { event, signal, log } = await startSidecar(t, world.configFile);
    await event('listening');
    const token = await until('a token', world.token);
    signal('SIGSTOP');
    await until('the lease ends', () => world.vault.alive().length === 0);
    const logins = log().filter((line) => line.event === 'logged_in').length;
    signal('SIGCONT');
    const continuedAt = performance.now();
    const answer = await served(world);
    assert.ok(answer === 503 || answer !== token, 'the expired token is not served');
    const fresh = await until('another token', () => world.token() !== token && world.token());
    assert.ok(performance.now() - continuedAt < 2500, `${performance.now() - continuedAt} ms`);
    assert.equal(world.vault.alive()[0]?.token, fresh);
    await until('the login is logged', () => log().filter((line) => line.event === 'logged_in').length > logins);
  });

  test('a reply that arrives while the process is stopped counts, although its deadline passes meanwhile (I6)', async (t) => {
    const world = await openFaultWorld(t);
    await world.configure({ vault: { address: world.vault.url, timeout: '2s' } });
    const stopped = Promise.withResolvers<void>();
    let logins = 0;
    world.vault.setFault(async ({ path }) => {
      if (!path.endsWith('/login')) return { status: 404, body: { errors: [] } };
      logins += 1;
      await stopped.promise;
      return {
        status: 200,
        body: { auth: { client_token: 'hvs.late', accessor: 'late', lease_duration: 3600, renewable: true } },
      };
    });
    const { event, signal, log } = await startSidecar(t, world.configFile);
    await until('Vault has the login', () => logins === 1);
    signal('SIGSTOP');
    stopped.resolve();
    const from = performance.now();
    await until('all deadlines of the call have passed', () => performance.now() > from + 4000);
    signal('SIGCONT');
    await event('ready');
    assert.deepEqual(
      log().filter(({ event: name }) => name === 'login_failed'),
      [],
    );
    assert.equal(logins, 1);
  });

  test('handles SIGHUP and SIGTERM as process 1 of a container (I7)', {
    skip: withoutNamespaces(),
  }, async (t) => {
    const world = await openFaultWorld(t);
    const wrapper = ['unshare', '-Urpf', '--mount-proc', '--kill-child'];
    const { pid, event, signal, stopWithin } = await startSidecar(t, world.configFile, { wrapper });
    await event('listening');
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\t\d+\t1$/m);
    signal('SIGHUP');
    await event('config_reloaded');
    await stopWithin(5000);
  });

  test('a loop of kills right after the start causes one login in five seconds, and the file keeps a live token (I8, I9)', async (t) => {
    const world = await openFaultWorld(t);
    const logins = () => world.vault.requests.filter(({ path }) => path.endsWith('/login')).length;
    const starts = 8;
    let [looks, firstAt] = [0, 0];
    for (let start = 1; start <= starts; start += 1) {
      const { event, signal, ended } = await startSidecar(t, world.configFile);
      const before = world.token();
      let isListening = false;
      void event('listening').then(() => {
        isListening = true;
      });
      await until('it serves', () => {
        const now = world.token();
        assert.ok(before === undefined || now !== undefined, 'the file is there all the time');
        assert.ok(
          now === undefined || world.vault.alive().some(({ token }) => token === now),
          'the file holds a live token',
        );
        looks += 1;
        return isListening;
      });
      firstAt ||= performance.now();
      signal('SIGKILL');
      assert.equal(await ended, 'SIGKILL');
    }
    const most = 2 + (performance.now() - firstAt) / 5000;
    assert.ok(logins() >= 2 && logins() <= most && logins() < starts, `${logins()} logins, at most ${most} wanted`);
    assert.ok(looks > 20 * starts);
  });

  test('logs an unexpected exception or rejection without secrets, exits with 1, and leaves the file intact (I10)', async (t) => {
    const world = await openFaultWorld(t);
    for (const signal of ['SIGUSR2', 'SIGWINCH'] as const) {
      const sidecar = await startSidecar(t, world.configFile, { preload: THROWING });
      await sidecar.event('listening');
      const token = await until('the token', world.token);
      sidecar.signal(signal);
      assert.equal(await sidecar.ended, 1);
      const { evidence } = await sidecar.event('crashed');
      assert.match(String(evidence), /(thrown|rejected) with \[redacted\] and \[redacted\]/);
      assert.doesNotMatch(sidecar.out() + sidecar.err(), /injectedsecret|eyJ[\w-]{8,}|c2lnbmF0/);
      assert.equal(world.token(), token);
    }
  });
});
