// DNS and the network: changing answers, dead addresses, one working address family, dropped packets, lost replies.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { withoutNamespaces } from '../support/confined.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { openBadProxy } from '../vault/bad-proxy.ts';
import type { Told } from './network-world.ts';

const run = promisify(execFile);

/** Runs one scene of network-world.ts in new namespaces with their own loopback and /etc/hosts. */
async function play(t: TestContext, scene: string): Promise<Told[]> {
  debian('iproute2', 'iptables');
  const directory = await temporaryDirectory(t);
  const hosts = join(directory, 'hosts');
  await writeFile(hosts, '');
  const script = 'set -e; ip link set lo up; mount --bind "$1" /etc/hosts; shift; exec "$@"';
  const program = [process.execPath, 'test/faults/network-world.ts', scene, directory];
  const { stdout } = await run('unshare', ['-Urmn', 'sh', '-c', script, 'sh', hosts, ...program]);
  return JSON.parse(stdout);
}

const outcomes = (told: readonly Told[]): string[] => told.map(({ outcome }) => outcome);

describe('names and addresses', { concurrency: 3, skip: withoutNamespaces() }, () => {
  test('each call uses the current answer of DNS, which changes, disappears and returns (D8, D9)', async (t) =>
    assert.deepEqual(outcomes(await play(t, 'dns-changes')), [
      '200 127.0.0.2',
      '200 127.0.0.3',
      'vault_name_unknown',
      '200 127.0.0.2',
    ]));

  for (const scene of ['first-refuses', 'first-is-a-black-hole', 'first-is-a-black-hole-tls']) {
    test(`two addresses, ${scene}: the second one is used within five seconds (D10)`, async (t) => {
      const [told] = await play(t, scene);
      assert.equal(told?.outcome, '200 127.0.0.3');
      assert.ok(told.ms < 5000, `${told.ms} ms`);
      assert.equal(told.ms > 500, scene.includes('hole'), 'the dead address was tried first');
    });
  }

  test('a call times out after five seconds of connecting if packets are dropped (D2)', async (t) => {
    const [told] = await play(t, 'all-are-black-holes');
    assert.equal(told?.outcome, 'vault_timeout');
    assert.ok(told.ms < 7000, `${told.ms} ms`);
  });

  for (const [scene, ...expected] of [
    ['ipv6-alone', '200 ::1', '200 ::1'],
    ['ipv6-refuses', '200 127.0.0.2'],
    ['ipv6-is-a-black-hole', '200 127.0.0.2'],
    ['ipv4-is-a-black-hole', '200 ::1'],
  ] as const) {
    test(`${scene}: the working address family is used (D17)`, async (t) => {
      const told = await play(t, scene);
      assert.deepEqual(outcomes(told), expected);
      for (const { ms } of told) assert.ok(ms < 5000, `${ms} ms`);
    });
  }

  test('with 30 % of all packets lost, most of 40 calls succeed and the others time out (D16)', async (t) => {
    const told = await play(t, 'a-third-is-lost');
    const fine = told.filter(({ outcome }) => outcome === '200 127.0.0.2');
    t.diagnostic(
      `${fine.length} of ${told.length} calls succeeded, the slowest in ${Math.max(...fine.map(({ ms }) => ms))} ms`,
    );
    assert.ok(fine.length >= 20, JSON.stringify(told));
    for (const { outcome, ms } of told) {
      assert.match(outcome, /^(200 127\.0\.0\.2|vault_timeout|vault_connection_lost)$/);
      assert.ok(ms < 16_000, `${ms} ms`);
    }
  });
});

test('a login whose reply is lost is retried, and its orphaned token is left to expire (D14)', async (t) => {
  const peers = await openPeers(t);
  const proxy = await openBadProxy(t, peers.vault.url);
  proxy.mischief = 'hold';
  await peers.writeJwt();
  const config = { ...peers.config(), vault: { address: proxy.url, timeout: '1s' } };
  const { daemon, log, stop } = await runDaemon(t, config);
  await until('Vault has granted a login', () => peers.vault.alive().length === 1);
  const orphan = peers.vault.alive()[0]?.token;
  await until('the sidecar has given up', () => log.some((line) => line.includes('"vault_timeout"')));
  proxy.mischief = 'none';
  const view = daemon.exchanges.views()[0];
  const token = await until('a token', () => view?.token()?.secret.reveal(), 20_000);
  assert.notEqual(token, orphan);
  assert.ok(peers.vault.alive().length <= 3, 'no storm of logins');
  assert.ok(!peers.vault.requests.some(({ path }) => path.endsWith('renew-self') || path.endsWith('revoke-self')));
  // before the test's directory is removed, so that no write is in flight
  await stop();
});
