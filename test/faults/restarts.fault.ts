// Restarts together with Vault, applications that wait for readiness, and changes of the system clock.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cpuMs } from '../support/proc.ts';
import { sidecarCommand } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { debian } from '../support/tools.ts';
import { openRealVault } from '../vault/real-vault.ts';
import { type FaultWorld, openFaultWorld, served, startSidecar } from './sidecar-process.ts';

test('is ready again soon after Vault and the sidecar were killed and restarted together (I11)', async (t) => {
  const vault = await openRealVault(t);
  const world = await openFaultWorld(t, { whole: { vault: { address: vault.url, timeout: '2s' } } });
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', {
    oidc_discovery_url: world.issuer.issuer,
    bound_issuer: world.issuer.issuer,
  });
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', token_ttl: '10m' };
  await vault.write('auth/jwt/role/app', role);
  const isLive = async (token: string) =>
    (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token })).status === 200;
  const first = await startSidecar(t, world.configFile);
  await first.event('ready');
  const before = world.token();
  first.signal('SIGKILL');
  await Promise.all([vault.kill(), first.ended]);
  const [second] = await Promise.all([startSidecar(t, world.configFile), vault.start()]);
  await second.event('ready', () => true, 60_000);
  const after = world.token();
  assert.ok(after !== undefined && after !== before && (await isLive(after)));
  assert.equal(await served(world), after);
  assert.equal((await second.stop()).code, 0);
});

test('an application that waits for readiness finds the token, also when Vault was sealed at first (I12)', async (t) => {
  const world = await openFaultWorld(t);
  world.vault.setSealed(true);
  const wait = `"$@" wait --ops ${world.ops} --timeout 20s && cat ${world.tokenFile}`;
  let seen = '';
  const app = spawn('sh', ['-c', wait, 'sh', ...sidecarCommand()], { stdio: ['ignore', 'pipe', 'inherit'] });
  app.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  t.after(() => app.kill('SIGKILL'));
  const { event } = await startSidecar(t, world.configFile);
  await event('login_failed');
  assert.deepEqual([app.exitCode, seen], [null, ''], 'the application waits');
  world.vault.setSealed(false);
  const code = await until('the application ends', () => app.exitCode ?? undefined, 25_000);
  assert.deepEqual([code, seen], [0, world.token()]);
  assert.match(seen, /^hvs\./);
});

const HOUR = 3600;

interface ClockFault {
  readonly row: string;
  /** as libfaketime reads it: seconds, and a rate */
  readonly clock: string;
  /** by how many seconds the sidecar's wall clock is then ahead; a minimum if `clock` has a rate */
  readonly ahead: number;
  readonly env?: Readonly<Record<string, string>>;
}

const secondsUntil = (instant: number) => Math.floor((instant - Date.now()) / 1000);
const stepped = (row: string, ahead: number): ClockFault => ({ row, clock: `${ahead}`.replace(/^(?!-)/, '+'), ahead });
/** New York's clocks go back at that instant. */
const SUMMER_TIME_ENDS = Date.UTC(2026, 10, 1, 6);

const FAULTS: readonly ClockFault[] = [
  stepped('(H1)', HOUR),
  stepped('(H2)', -HOUR),
  stepped('(H3)', secondsUntil(HOUR * 1000)),
  stepped('(H3)', secondsUntil(Date.UTC(2106, 1, 7))),
  stepped('(H6)', -1),
  { ...stepped('(H6)', secondsUntil(SUMMER_TIME_ENDS) - 20), env: { TZ: 'America/New_York' } },
  // far beyond a kernel's slew rate, so that a lease counted on the wall clock would fail
  { row: '(H6)', clock: '+0 x3', ahead: 15 },
];

/** When Vault granted renewals. */
const renewalsAt = ({ vault }: FaultWorld): number[] =>
  vault.requests.filter(({ path, status }) => path.endsWith('renew-self') && status === 200).map(({ at }) => at);

// these wait more than they work
describe('changes of the system clock', { concurrency: 3 }, () => {
  for (const { row, clock: fault, ahead, env } of FAULTS) {
    test(`keeps the token and renews it in time, without a hot loop, when the wall clock is set ${fault} s ${row}`, async (t) => {
      debian('faketime');
      const [library = ''] = globSync('/usr/lib/*/faketime/libfaketime.so.1');
      const world = await openFaultWorld(t, { leaseSeconds: 6 });
      const clock = join(world.directory, 'clock');
      await writeFile(clock, '+0\n');
      const { pid, event, log, stop } = await startSidecar(t, world.configFile, {
        env: {
          ...env,
          LD_PRELOAD: library,
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      });
      // libfaketime leaves these behind if the process is killed
      t.after(() => {
        for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`])
          rmSync(join('/dev/shm', name), { force: true });
      });
      const { time } = await event('ready', () => true, 60_000);
      assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
      const lastGap = () => {
        const [last = 0, beforeLast = 0] = renewalsAt(world).toReversed();
        return last - beforeLast;
      };
      await until('two renewals on the old clock', () => renewalsAt(world).length >= 2);
      const gapBefore = lastGap();
      const token = world.token();
      const cpuBefore = cpuMs(pid);
      const steppedAt = performance.now();
      writeFileSync(clock, `${fault}\n`);
      const renewals = () => log().filter((line) => line.event === 'renewed');
      const before = renewals().length;
      await until(
        'three renewals on the new clock',
        () => {
          assert.ok(
            world.vault.alive().some((one) => one.token === token),
            'the token never dies',
          );
          return renewals().length >= before + 3;
        },
        20_000,
      );
      const stamp = Date.parse(String(renewals().at(-1)?.['time']));
      const off = (stamp - Date.now()) / 1000 - ahead;
      const isThere = fault.includes('x') ? off > 0 : Math.abs(off) < 1.5;
      assert.ok(isThere, `the sidecar's clock is ${off} s from the one that was set`);
      // the step may cause one early renewal; then they return to the previous interval, by Vault's clock
      const ratio = lastGap() / gapBefore;
      assert.ok(ratio > 0.6 && ratio < 1.6, `${lastGap()} ms from one renewal to the next, ${gapBefore} before`);
      assert.equal(world.token(), token);
      assert.equal(await served(world), token);
      const seconds = (performance.now() - steppedAt) / 1000;
      // each read of the faked clock reads a file; a hot loop would take 1,000 ms a second
      // once, prom-client advances its windows step by step over decades
      assert.ok(
        cpuMs(pid) - cpuBefore < 1000 + 300 * seconds,
        `${cpuMs(pid) - cpuBefore} ms of processor in ${seconds} s`,
      );
      assert.ok(renewals().length <= before + 3 + seconds, 'no burst of renewals');
      assert.deepEqual([log().some((line) => line.event === 'not_ready'), (await stop()).code], [false, 0]);
    });
  }
});
