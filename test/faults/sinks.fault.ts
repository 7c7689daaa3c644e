// The token file under kills, fast readers, slow disks, a lack of file descriptors and a second sidecar.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Secret } from '../../src/core/secret.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import { PLACE } from '../support/place.ts';
import { cpuMs, openFiles } from '../support/proc.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { metric, openFaultWorld, served, startSidecar } from './sidecar-process.ts';

const KILLS = 50;
const SINKS = 10;

/** Delivers to all sinks at once, in a loop: each token repeats one digit, and the lengths differ widely. */
const WRITER = `
  import { Secret } from './src/core/secret.ts';
  import { openFileSink } from './src/sinks/file.ts';
  const sinks = process.argv.slice(1).map((path) => openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' }));
  const rest = { exchange: 'a', accessor: 'a', issuedAt: 0, expiresAt: 0, renewable: true, policies: [] };
  for (let turn = 0; ; turn += 1) {
    const secret = new Secret('hvs.' + String(turn % 10).repeat(turn % 2 === 0 ? 20 : 8000));
    await Promise.all(sinks.map((sink) => sink.deliver({ ...rest, secret })));
    if (turn === 0) console.log('started');
  }`;

const isWhole = (text: string): boolean => /^hvs\.(\d)(\1{19}|\1{7999})$/.test(text);

test('five hundred writes cut by kill -9 leave no partial or missing file, and stale temporary files are removed (F10, F11)', async (t) => {
  const directory = await temporaryDirectory(t);
  const paths: string[] = [];
  for (let index = 0; index < SINKS; index += 1) {
    await mkdir(join(directory, String(index)));
    paths.push(join(directory, String(index), 'token'));
  }
  const random = seededRandom(11);
  let reads = 0;
  let readingMs = 0;
  const readAll = () => {
    const startedAt = performance.now();
    for (const path of paths) {
      // throws if the file is missing
      const text = readFileSync(path, 'utf8');
      assert.ok(isWhole(text), `${text.length} characters: ${text.slice(0, 20)}`);
      reads += 1;
    }
    readingMs += performance.now() - startedAt;
  };
  for (let killed = 0; killed < KILLS; killed += 1) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER, ...paths], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(writer, 'exit');
    await Promise.race([once(writer.stdout, 'data'), gone.then(() => assert.fail('the writer exited early'))]);
    const killAt = performance.now() + 40 * random();
    while (performance.now() < killAt) {
      readAll();
      await turn();
    }
    writer.kill('SIGKILL');
    assert.equal((await gone)[1], 'SIGKILL');
    readAll();
  }
  const left = await temporaries(paths);
  assert.ok(left > KILLS, `${left} files were left in the middle of a write`);
  assert.ok(reads > 10_000, `${reads} readings`);
  t.diagnostic(
    `${KILLS * SINKS} writes cut, ${left} left half done; ${reads} readings, ${Math.round(reads / readingMs)} in a ms`,
  );
  const old = new Date(Date.now() - 61_000);
  for (const path of paths) {
    for (const name of await readdir(join(path, '..'))) await utimes(join(path, '..', name), old, old);
    const secret = new Secret(`hvs.${'x'.repeat(20)}`);
    const rest = {
      exchange: 'a',
      place: PLACE,
      accessor: 'a',
      issuedAt: 0,
      expiresAt: 0,
      renewable: true,
      policies: [],
    };
    await openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' }).deliver({ ...rest, secret });
  }
  assert.equal(await temporaries(paths), 0);
});

async function temporaries(paths: readonly string[]): Promise<number> {
  const entries = await Promise.all(paths.map((path) => readdir(join(path, '..'))));
  return entries.flat().filter((name) => name.endsWith('.tmp')).length;
}

// these wait more than they work
describe('one sidecar and its sinks', { concurrency: true }, () => {
  test('two sinks get the next token within a second though a third one is broken, which is reported (F12)', async (t) => {
    const world = await openFaultWorld(t);
    const path = (name: string) => join(world.directory, name, 'token');
    for (const name of ['a', 'b', 'c']) await mkdir(join(world.directory, name));
    await world.configure({ sinks: ['a', 'b', 'c'].map((name) => ({ file: { path: path(name) } })) });
    const { event } = await startSidecar(t, world.configFile);
    await event('ready');
    await rm(join(world.directory, 'b'), { recursive: true });
    const before = await readFile(path('a'), 'utf8');
    await world.writeJwt();
    const after = await until('the next token', async () => {
      const token = await served(world);
      return typeof token === 'string' && token !== before && token;
    });
    const servedAt = performance.now();
    await until('both have it', async () => {
      const [a, c] = await Promise.all(['a', 'c'].map((name) => readFile(path(name), 'utf8')));
      return a === after && c === after;
    });
    assert.ok(performance.now() - servedAt < 1000);
    const failed = await event('sink_failed');
    assert.deepEqual([failed['sink'], failed['code']], [path('b'), 'sink_directory_missing']);
    assert.equal((await fetch(`${world.ops}/readyz`)).status, 503);
    await mkdir(join(world.directory, 'b'));
    await until('it is back', async () => (await readFile(path('b'), 'utf8').catch(() => '')) === after, 35_000);
  });

  test('HTTP keeps serving on a slow disk, writes never overlap, and the newest token wins (F16)', async (t) => {
    debian('strace');
    const world = await openFaultWorld(t);
    // a write has two fsyncs and so takes six seconds, longer than the five seconds between logins
    const slow = ['-e', 'trace=fsync', '-e', 'inject=fsync:delay_enter=3s'];
    const { event } = await startSidecar(t, world.configFile, {
      wrapper: ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', ...slow],
    });
    await event('listening');
    const tokens = new Set<string>();
    let [slowest, most] = [0, 0];
    const rotating = setInterval(() => void world.writeJwt(), 1000);
    t.after(() => clearInterval(rotating));
    await until(
      'a third token is served',
      async () => {
        const askedAt = performance.now();
        const token = await served(world);
        slowest = Math.max(slowest, performance.now() - askedAt);
        most = Math.max(most, (await readdir(world.directory)).filter((name) => name.endsWith('.tmp')).length);
        if (typeof token === 'string') tokens.add(token);
        return tokens.size >= 3;
      },
      30_000,
    );
    clearInterval(rotating);
    await until('the newest is in the file', async () => world.token() === (await served(world)), 30_000);
    assert.ok(slowest < 1000, `an answer took ${slowest} ms`);
    assert.equal(most, 1);
  });

  test('retries the write without a busy loop while there are no file descriptors, then succeeds (F17)', async (t) => {
    const world = await openFaultWorld(t);
    const { pid, event } = await startSidecar(t, world.configFile);
    await event('listening');
    const token = await until('the token', world.token);
    const limit = (soft: number) => execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
    // below every free descriptor, so that no new one can be opened; open ones stay open
    limit(3);
    await rm(world.tokenFile);
    const failed = await event('sink_failed', () => true, 15_000);
    assert.match(String(failed['evidence']), /EMFILE/);
    const [cpuBefore, from] = [cpuMs(pid), performance.now()];
    await until('four seconds without descriptors', () => performance.now() - from > 4000);
    assert.ok(cpuMs(pid) - cpuBefore < 400, `${cpuMs(pid) - cpuBefore} ms of processor`);
    assert.equal(world.token(), undefined);
    limit(1024);
    assert.equal(await until('the file is back', world.token, 35_000), token);
    await event('sink_recovered');
    assert.ok((await metric(world, `sink_writes_total{exchange="app",sink="${world.tokenFile}",result="error"}`)) < 10);
    assert.ok(openFiles(pid) < 64);
  });

  test('two sidecars on one file never corrupt it, and each logs that it restored the file (F18)', async (t) => {
    const world = await openFaultWorld(t);
    const first = await startSidecar(t, world.configFile);
    await first.event('ready');
    const other = join(world.directory, 'other.json');
    const config = { ...world.config(), api: { listen: '127.0.0.1:0' }, ops: { listen: '127.0.0.1:0' } };
    execFileSync('sh', ['-c', 'cat > "$0"', other], { input: JSON.stringify(config) });
    const second = await startSidecar(t, other);
    const seen = new Set<string>();
    await until(
      'both restore their own',
      () => {
        const token = world.token();
        assert.ok(token !== undefined && world.vault.alive().some((one) => one.token === token));
        seen.add(token);
        return [first, second].every((one) => one.log().some((line) => line.event === 'sink_restored'));
      },
      25_000,
    );
    assert.equal(seen.size, 2);
    assert.deepEqual(
      (await readdir(world.directory)).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });
});
