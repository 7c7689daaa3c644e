// The file with the caller token, when it can't be read: clients get 401, and log, metric, status and doctor say why.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs, { mkdir, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command as status } from '../../src/commands/status.ts';
import { explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { diagnoseListeners } from '../../src/doctor/diagnose/diagnose.ts';
import { inspectListeners } from '../../src/doctor/probes/listeners.ts';
import { openCallerToken } from '../../src/http/caller-token.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { invoke } from '../support/invoke.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon, settingsOf } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { fakeView } from './fake-view.ts';
import { ask, portOf, request, statusesIn } from './raw-socket.ts';

const METRIC = 'vault_token_sidecar_caller_token_readable';

async function setUp(t: TestContext) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const file = join(peers.directory, 'caller');
  const config = { ...peers.config(), api: { listen: '127.0.0.1:0', caller_token_file: file } };
  const start = async () => {
    const { daemon, log } = await runDaemon(t, config);
    const port = portOf(daemon.api);
    const events = (name: string) => log.map((line) => JSON.parse(line)).filter(({ event }) => event === name);
    const statusOf = async (secret: string) =>
      statusesIn(await ask(port, request(port, [`Authorization: Bearer ${secret}`])))[0];
    const read = async (path: string) => (await fetch(daemon.ops + path)).text();
    return { daemon, events, statusOf, read };
  };
  return { file, config, start };
}

const WAYS: readonly [string, RegExp, (file: string) => Promise<unknown> | undefined][] = [
  ['missing', /ENOENT/, () => undefined],
  ['empty', /empty/, (file) => writeFile(file, ' \n')],
  ['a directory', /not a regular file/, (file) => mkdir(file)],
  ['a FIFO', /not a regular file/, async (file) => execFileSync('mkfifo', [file])],
  ['too large', /too large/, (file) => writeFile(file, 'x'.repeat(100_000))],
];

for (const [what, why, breaks] of WAYS) {
  test(`a caller token that is ${what} causes 401, a log line, a metric, a status reason and a finding (K11)`, async (t) => {
    const { file, config, start } = await setUp(t);
    await breaks(file);
    const { daemon, events, statusOf, read } = await start();
    await until('it is logged before any client comes', () => events('caller_token_unusable').length === 1);
    assert.equal(await statusOf('secret'), 401);
    assert.equal(await statusOf('secret'), 401);
    assert.match(await read('/metrics'), new RegExp(`^${METRIC} 0$`, 'm'));
    const { api } = JSON.parse(await read('/status'));
    const { code, title, evidence, hint } = api.failure;
    assert.deepEqual([code, title], ['caller_token_unusable', "the caller token can't be read"]);
    assert.match(evidence, why);
    assert.ok(evidence.includes(file) && hint.includes('api.caller_token_file'));
    assert.equal(
      (await invoke(status, { ops: daemon.ops })).out.split('\n').at(-2),
      `token API: ${title} (${evidence})`,
    );
    const findings = diagnoseListeners(await inspectListeners(settingsOf(config), async () => true));
    assert.deepEqual(
      findings.map((finding) => [finding.code, finding.evidence]),
      [['caller_token_unusable', evidence]],
    );
    const logged = events('caller_token_unusable');
    assert.deepEqual([logged.length, logged[0]?.level, logged[0]?.evidence], [1, 'warn', evidence]);
    await rm(file, { recursive: true, force: true });
    await writeFile(file, 'secret');
    assert.equal(await statusOf('secret'), 200);
    assert.match(await read('/metrics'), new RegExp(`^${METRIC} 1$`, 'm'));
    assert.equal(JSON.parse(await read('/status')).api.failure, null);
    assert.doesNotMatch((await invoke(status, { ops: daemon.ops })).out, /token API/);
    assert.equal(events('caller_token_usable').length, 1);
    assert.deepEqual(diagnoseListeners(await inspectListeners(settingsOf(config), async () => true)), []);
  });
}

test('a scrape and the status notice a removed caller token without a request (K11)', async (t) => {
  const { file, start } = await setUp(t);
  await writeFile(file, 'secret');
  const { statusOf, read } = await start();
  assert.notEqual(await statusOf('secret'), 401);
  await rm(file);
  assert.match(await read('/metrics'), new RegExp(`^${METRIC} 0$`, 'm'));
  await writeFile(file, 'secret');
  assert.equal(JSON.parse(await read('/status')).api.failure, null);
  assert.match(await read('/metrics'), new RegExp(`^${METRIC} 1$`, 'm'));
});

test('without a caller token the metric is 1 and the status names no failure (K11)', async (t) => {
  const peers = await openPeers(t);
  const { daemon } = await runDaemon(t, peers.config());
  assert.match(await (await fetch(`${daemon.ops}/metrics`)).text(), new RegExp(`^${METRIC} 1$`, 'm'));
  const { api } = JSON.parse(await (await fetch(`${daemon.ops}/status`)).text());
  assert.deepEqual(api, { failure: null });
});

/** Opening `file` hangs, as on a mount that doesn't answer, until the returned function is called. */
function hang(t: TestContext, file: string): () => void {
  const { open } = fs;
  let wake = () => {};
  const awake = new Promise<void>((resolve) => {
    wake = resolve;
  });
  let hangs = true;
  fs.open = async (...args) => {
    if (args[0] === file && hangs) await awake;
    return open(...args);
  };
  syncBuiltinESMExports();
  const restore = () => {
    hangs = false;
    wake();
    fs.open = open;
    syncBuiltinESMExports();
  };
  t.after(restore);
  return restore;
}

test('a caller token on a hanging mount delays the first request by a second, and later ones not at all (K2, K11)', async (t) => {
  const file = join(await temporaryDirectory(t), 'caller');
  await writeFile(file, 'secret');
  const failures: (string | undefined)[] = [];
  const read = openCallerToken(file, (failure) => failures.push(failure && explain(failure).evidence));
  const wake = hang(t, file);
  const timed = async () => {
    const startedAt = performance.now();
    const outcome = await read();
    return { isSecret: outcome instanceof Secret, tookMs: performance.now() - startedAt };
  };
  const first = await timed();
  assert.ok(!first.isSecret && first.tookMs > 900 && first.tookMs < 1900, `${first.tookMs} ms`);
  for (let count = 0; count < 5; count += 1) {
    const next = await timed();
    assert.ok(!next.isSecret && next.tookMs < 100, `${next.tookMs} ms`);
  }
  wake();
  await until('it answers again', async () => (await timed()).isSecret);
  assert.deepEqual([...new Set(failures)], [`${file}: the file system doesn't answer`, undefined]);
});

test('clients get 401 in time, and probes and status work, while reading the caller token hangs (K2, K11)', async (t) => {
  const { file, start } = await setUp(t);
  await writeFile(file, 'secret');
  const { daemon, statusOf, read } = await start();
  await until('a token', async () => (await statusOf('secret')) === 200);
  const wake = hang(t, file);
  const startedAt = performance.now();
  const clients = Promise.all(Array.from({ length: 20 }, () => statusOf('secret')));
  assert.equal((await fetch(`${daemon.ops}/livez`)).status, 200);
  assert.ok(performance.now() - startedAt < 900, 'a probe waits for no file');
  assert.deepEqual(new Set(await clients), new Set([401]));
  assert.match(await read('/status'), /the file system doesn't answer/);
  assert.ok(performance.now() - startedAt < 4000);
  wake();
  await until('they get in again', async () => (await statusOf('secret')) === 200);
});

test('a request without a bearer token reads no file (K11)', async (t) => {
  const view = fakeView();
  view.set('hvs.CAESIexample');
  let reads = 0;
  const callerToken = async () => {
    reads += 1;
    return new Secret('secret');
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const app = buildTokenApi({ exchanges: () => [view], listen, now: () => 0, callerToken });
  t.after(() => closeApp(app));
  const port = portOf(await app.listen(listen));
  const authorizations = [[], ['Authorization: Basic secret'], ['Authorization: Bearer secret']] as const;
  const answers = [];
  for (const lines of authorizations) answers.push(...statusesIn(await ask(port, request(port, lines))));
  assert.deepEqual([answers, reads], [[401, 401, 200], 1]);
});
