// Hanging file systems under the sidecar's small files: the affected exchanges fail at their deadlines with a reason,
// the others go on, and the process exits in time.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHangingMount, withoutHangingMounts } from '../support/hanging-mount.ts';
import { cli, type Ended } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { type LogLine, openFaultWorld, servedBy, startSidecar } from './sidecar-process.ts';

const HUNG_EXCHANGES = 6;
/** More than the process has threads for files. */
const HUNG_SINKS = 30;

test('six exchanges with hanging files report why, a seventh one goes on, and the stop is in time (K2)', {
  skip: withoutHangingMounts(),
}, async (t) => {
  const world = await openFaultWorld(t);
  const fifo = join(world.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const secret = join(world.directory, 'hvs');
  await writeFile(secret, 'hvs.nobody');
  const { exchanges, vault } = world.config() as { exchanges: Record<string, unknown>; vault: object };
  const jwt = { file: { path: join(world.directory, 'jwt') } };
  const identity = { address: 'http://127.0.0.1:1', role: 'r' };
  /** the JWT, the CA file and the token for identity requests, each on a hanging mount and as a FIFO */
  const broken = [openHangingMount(t).path, openHangingMount(t).path, openHangingMount(t).path, '', '', ''].map(
    (mount, index) => {
      const path = mount === '' ? fifo : join(mount, 'file');
      const login = { role: 'app' };
      const https = { ...vault, address: 'https://127.0.0.1:1', timeout: '2s', tls: { ca_file: path } };
      const kinds = [
        { source: { file: { path } }, login },
        { source: jwt, login, vault: https },
        { source: { vault_identity: { ...identity, token_file: path } }, login },
      ];
      return kinds[index % kinds.length];
    },
  );
  assert.equal(broken.length, HUNG_EXCHANGES);
  const named = Object.fromEntries(broken.map((one, index) => [`broken-${index}`, one]));
  await world.configure({}, { exchanges: { ...named, ...exchanges } });
  const { pid, event, log, stopWithin } = await startSidecar(t, world.configFile);
  await event('listening');
  const expected = [
    'jwt_read_stuck',
    'vault_tls_files',
    'identity_token_missing',
    'jwt_not_a_file',
    'vault_tls_files',
    'identity_token_missing',
  ];
  for (const [index, code] of expected.entries())
    await until(
      `broken-${index} says ${code}`,
      () => log().find((line) => line['exchange'] === `broken-${index}` && line['code'] === code),
      15_000,
    );
  const status = await (await fetch(`${world.ops}/status`)).text();
  for (const code of expected) assert.ok(status.includes(code), `${code} in ${status}`);
  for (let round = 0; round < 3; round += 1) {
    const before = await until('a token', async () => {
      const token = await servedBy(world, 'app');
      return typeof token === 'string' && token;
    });
    await world.writeJwt();
    await until('the next token, also in its file', async () => {
      const token = await servedBy(world, 'app');
      return token !== before && world.token() === token;
    });
  }
  const threads = readdirSync(`/proc/${pid}/task`).length;
  assert.ok(threads >= 24, `${threads} threads`);
  await stopWithin(5000);
});

test('thirty hanging sinks hold up no reading, login, log line or name lookup of another exchange (K2)', {
  skip: withoutHangingMounts(),
}, async (t) => {
  const world = await openFaultWorld(t);
  const mount = openHangingMount(t).path;
  const { exchanges, vault } = world.config() as { exchanges: { app: object }; vault: { address: string } };
  const sinks = (path: string) => [{ file: { path } }];
  const hung = Object.fromEntries(
    Array.from({ length: HUNG_SINKS }, (_, index) => [
      `hung-${index}`,
      { ...exchanges.app, sinks: sinks(join(mount, String(index), 'token')) },
    ]),
  );
  const app = {
    ...exchanges.app,
    sinks: [],
    vault: { ...vault, address: vault.address.replace('127.0.0.1', 'localhost') },
  };
  await world.configure({}, { exchanges: { ...hung, app } });
  const { event, log, stopWithin } = await startSidecar(t, world.configFile);
  await event('listening');
  const isStuck = ({ event: name, code }: LogLine) => name === 'sink_failed' && code === 'sink_write_stuck';
  await until('all sinks hang', () => log().filter(isStuck).length === HUNG_SINKS, 60_000);
  const before = await until('a token', async () => {
    const token = await servedBy(world, 'app');
    return typeof token === 'string' && token;
  });
  await world.writeJwt();
  const lines = log().length;
  await until('the next token', async () => (await servedBy(world, 'app')) !== before);
  await until('its line', () =>
    log()
      .slice(lines)
      .some((line) => line.event === 'logged_in' && line['exchange'] === 'app'),
  );
  await stopWithin(5000);
});

test('once and doctor with a hanging JWT, CA file or sink print their verdict and exit at their deadline (K3)', {
  skip: withoutHangingMounts(),
}, async (t) => {
  const world = await openFaultWorld(t);
  const at = () => join(openHangingMount(t).path, 'file');
  const jwt = { file: { path: join(world.directory, 'jwt') } };
  for (const [what, app, code, words] of [
    ['JWT', { source: { file: { path: at() } } }, 6, /reading the workload JWT hangs/],
    [
      'CA file',
      { source: jwt, vault: { address: 'https://127.0.0.1:1', timeout: '4s', tls: { ca_file: at() } } },
      5,
      /vault\.tls/,
    ],
    ['sink', { source: jwt, sinks: [{ file: { path: at() } }] }, 3, /./],
  ] as const) {
    const { vault: own = world.config()['vault'], ...members } = app as Record<string, unknown>;
    const { exchanges, ...rest } = world.config(members) as { exchanges: { app: object } };
    await writeFile(
      world.configFile,
      JSON.stringify({ ...rest, exchanges: { app: { ...exchanges.app, vault: own } } }),
    );
    const once = await timed(() => cli(['once', '--config', world.configFile, '--timeout', '7s']));
    assert.equal(once.code, code, `once, ${what}: ${once.err}`);
    assert.match(once.err, words, what);
    assert.ok(once.tookMs < 12_000, `once, ${what}: ${once.tookMs} ms`);
    const doctor = await timed(() => cli(['doctor', '--config', world.configFile]));
    assert.notEqual(doctor.code, 0, `doctor, ${what}: ${doctor.out}`);
    assert.ok(doctor.tookMs < 21_000, `doctor, ${what}: ${doctor.tookMs} ms`);
    assert.match(doctor.out, /exchange app/, what);
  }
});

async function timed(run: () => Promise<Ended>): Promise<Ended & { tookMs: number }> {
  const startedAt = performance.now();
  return { ...(await run()), tookMs: performance.now() - startedAt };
}
