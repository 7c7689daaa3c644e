// The daemon end to end: real files, real sockets, the in-memory issuer and Vault.

import assert from 'node:assert/strict';
import { readFile, rm, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../src/daemon.ts';
import { openObserver as openMetricsAndLog } from '../src/observe/observe.ts';
import { createProjectedVolume } from './support/kubelet-volume.ts';
import { until } from './support/settling.ts';
import { openPeers, type Peers, runDaemon, settingsOf } from './support/sidecar.ts';

const tokenIn = ({ directory }: Peers, name = 'token') =>
  readFile(join(directory, name), 'utf8').catch(() => undefined);
const read = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers });
  return { status: response.status, text: await response.text() };
};
const GUARD = { 'x-vault-request': 'true' };

test('writes the token before the listeners are up, serves it over HTTP, and is healthy', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const token = await tokenIn(peers);
  assert.match(token ?? '', /^hvs\./);
  const events = log.map((line) => JSON.parse(line).event);
  assert.ok(events.indexOf('ready') >= 0 && events.indexOf('ready') < events.indexOf('listening'), events.join());
  const answer = await read(`${daemon.api}/v1/token`, GUARD);
  assert.equal(JSON.parse(answer.text).access_token, token);
  for (const path of ['/livez', '/readyz', '/readyz/app', '/startupz'])
    assert.equal((await read(daemon.ops + path)).status, 200, path);
  assert.equal((await read(`${daemon.ops}/readyz/other`)).status, 404);
  assert.equal((await read(`${daemon.ops}/v1/token`, GUARD)).status, 404, 'no token on the ops listener (G16)');
});

test("logs in with a new JWT after kubelet's swap, and answers the long poll", async (t) => {
  const peers = await openPeers(t);
  const volume = await createProjectedVolume(join(peers.directory, 'volume'));
  await volume.swap('token', await peers.issuer.mint());
  const { daemon } = await runDaemon(
    t,
    peers.config({ source: { file: { path: join(peers.directory, 'volume', 'token') } } }),
  );
  const first = await until('the first token', () => tokenIn(peers));
  const poll = read(`${daemon.api}/v1/token?wait_for_change=true`, GUARD);
  await volume.swap('token', await peers.issuer.mint());
  const second = await until('another token', async () => {
    const now = await tokenIn(peers);
    return now !== first && now;
  });
  assert.equal(JSON.parse((await poll).text).access_token, second);
  assert.equal(peers.vault.alive().length, 2, 'the old token stays valid for its readers');
});

test('with start_jitter, says when the first login is due, and a refresh comes before', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, { ...peers.config(), start_jitter: '10m' });
  const delayed = log.map((line) => JSON.parse(line)).find(({ event }) => event === 'start_delayed');
  const at = Date.parse(delayed?.first_login_at);
  assert.ok(at >= Date.parse(delayed.time) - 5000 && at <= Date.parse(delayed.time) + 600_000, delayed.first_login_at);
  daemon.refresh();
  await until('the token', () => tokenIn(peers));
});

test('starts without Vault and without a JWT, reports why it is not ready, and recovers (C3, A1)', async (t) => {
  const peers = await openPeers(t);
  peers.vault.setSealed(true);
  const { daemon } = await runDaemon(t, peers.config());
  const reasons = async () => (JSON.parse((await read(`${daemon.ops}/readyz`)).text) as { reasons: string[] }).reasons;
  assert.deepEqual(await reasons(), ['no Vault token yet: there is no workload JWT']);
  assert.equal((await read(`${daemon.ops}/livez`)).status, 200);
  assert.equal((await read(`${daemon.ops}/startupz`)).status, 503);
  await peers.writeJwt();
  await until('the seal is reported', async () => (await reasons())[0] === 'no Vault token yet: Vault is sealed');
  const { text } = await read(`${daemon.api}/v1/token`, GUARD);
  assert.equal(JSON.parse(text).error_description, 'Vault is sealed');
  peers.vault.setSealed(false);
  await until('a token', () => tokenIn(peers), 15_000);
  await until('ready', async () => (await read(`${daemon.ops}/readyz`)).status === 200);
});

test("a failing exchange doesn't affect the others, and each can use its own Vault", async (t) => {
  const peers = await openPeers(t);
  const other = await openPeers(t);
  other.vault.trust({ mount: 'team/jwt', issuer: peers.issuer.issuer, role: 'app', namespace: 'ns' });
  await peers.writeJwt();
  const config = peers.config();
  const { app } = config['exchanges'] as { app: Record<string, unknown> };
  const sink = (name: string) => [{ file: { path: join(peers.directory, name) } }];
  const exchanges = {
    app,
    broken: { ...app, login: { role: 'nobody' }, sinks: sink('broken') },
    far: {
      ...app,
      vault: { address: other.vault.url, namespace: 'ns' },
      login: { role: 'app', mount: 'team/jwt' },
      sinks: sink('far'),
    },
  };
  const { daemon } = await runDaemon(t, { ...config, exchanges });
  await until('two tokens', async () => (await tokenIn(peers)) && (await tokenIn(peers, 'far')));
  assert.equal(other.vault.alive()[0]?.namespace, 'ns');
  const { exchanges: statuses } = JSON.parse((await read(`${daemon.ops}/status`)).text);
  const broken = statuses.find(({ exchange }: { exchange: string }) => exchange === 'broken');
  assert.deepEqual([broken.ready, broken.failure.code], [false, 'role_missing']);
  assert.match(broken.failure.hint, /vault write auth/);
  assert.equal((await read(`${daemon.api}/v1/token`, GUARD)).status, 409);
  assert.equal((await read(`${daemon.ops}/readyz/far`)).status, 200);
  assert.equal((await read(`${daemon.ops}/readyz`)).status, 503);
});

test("a reload keeps unchanged exchanges, and serves a changed one's old token until its new login (B11)", async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const config = peers.config();
  const { daemon } = await runDaemon(t, config);
  const first = await tokenIn(peers);
  const tokenOf = (name: string) =>
    daemon.exchanges
      .views()
      .find((view) => view.name === name)
      ?.token()
      ?.secret.reveal();
  const { app } = config['exchanges'] as { app: Record<string, unknown> };
  const added = { ...app, sinks: [{ file: { path: join(peers.directory, 'added') } }] };
  await daemon.reload(settingsOf({ ...config, exchanges: { app, added } }));
  await until('the added one', () => tokenIn(peers, 'added'));
  assert.equal(tokenOf('app'), first);
  peers.vault.setSealed(true);
  peers.vault.trust({ issuer: peers.issuer.issuer, role: 'second' });
  await daemon.reload(settingsOf({ ...config, exchanges: { app: { ...app, login: { role: 'second' } } } }));
  assert.equal(tokenOf('app'), first, 'still served while the new login fails');
  assert.equal(tokenOf('added'), undefined);
  peers.vault.setSealed(false);
  daemon.refresh();
  const second = await until('the new token', async () => (await tokenIn(peers)) !== first && tokenIn(peers), 15_000);
  assert.equal(peers.vault.alive().find(({ token }) => token === second)?.role, 'second');
});

test('restores a deleted file, and replaces a revoked token at a refresh (F15, C14)', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const first = await tokenIn(peers);
  await rm(join(peers.directory, 'token'));
  await until('the file is back', () => tokenIn(peers), 12_000);
  await until('the log reports it', () => log.some((line) => line.includes('"sink_restored"')));
  peers.vault.revoke(first ?? '');
  const refreshed = await fetch(`${daemon.api}/v1/token/app/refresh`, { method: 'POST', headers: GUARD });
  assert.equal(refreshed.status, 202);
  await until('another token', async () => (await tokenIn(peers)) !== first && tokenIn(peers));
});

test('a reload of the same config ends the backoff (C10)', async (t) => {
  const peers = await openPeers(t);
  peers.vault.setFault(() => ({ status: 400, body: { errors: ['role "app" could not be found'] } }));
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const failures = () => peers.vault.requests.filter(({ path }) => path.endsWith('/login')).length;
  // after three failures the backoff is longer than this test waits
  await until('three logins have failed', () => failures() >= 3, 20_000);
  peers.vault.setFault(undefined);
  const askedAt = performance.now();
  await daemon.reload(settingsOf(peers.config()));
  await until('a token', () => tokenIn(peers));
  assert.ok(performance.now() - askedAt < 8000, log.join('\n'));
});

test('closes everything if the observer or a listener fails to open (K10)', async (t) => {
  const taken = createServer();
  t.after(() => taken.close());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const peers = await openPeers(t);
  await peers.writeJwt();
  const opened = { version: '0', nodeVersion: '0', nodeMetrics: false, level: 'error', target() {} } as const;
  for (const [expected, listen, openObserver] of [
    [/no log/, '127.0.0.1:0', async () => Promise.reject(new Error('no log'))],
    [/can't listen on an address/, `127.0.0.1:${port}`, async () => openMetricsAndLog(opened)],
  ] as const) {
    const settings = settingsOf({ ...peers.config(), ops: { listen } });
    await assert.rejects(startDaemon({ settings, openObserver, env: {}, version: '0' }), expected);
    const calls = peers.vault.requests.length;
    await peers.writeJwt({ sub: 'later' });
    // longer than a running exchange needs to log in with a new JWT
    await pause(500);
    assert.equal(peers.vault.requests.length, calls, 'no exchange is running');
  }
});

test('a reload that moves a sink removes the old file with "revoke", and logs its path with "keep" (K22)', async (t) => {
  for (const onStop of ['revoke', 'keep'] as const) {
    const peers = await openPeers(t);
    await peers.writeJwt();
    const { daemon, log } = await runDaemon(t, peers.config({ on_stop: onStop }));
    await until('a token', () => tokenIn(peers));
    const moved = [{ file: { path: join(peers.directory, 'moved') } }];
    await daemon.reload(settingsOf(peers.config({ on_stop: onStop, sinks: moved })));
    await until('the token at its new place', () => tokenIn(peers, 'moved'));
    const isThere = (await tokenIn(peers)) !== undefined;
    assert.equal(isThere, onStop === 'keep');
    const named = log.some((line) => line.includes('"sink_left"') && line.includes(`${peers.directory}/token"`));
    assert.equal(named, onStop === 'keep');
  }
});

test('reloads that remove and add an exchange log no error (K22)', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const { vault, exchanges, ...rest } = peers.config() as { vault: object; exchanges: { app: object } };
  const other = { ...exchanges.app, sinks: [{ file: { path: join(peers.directory, 'other') } }] };
  const both = { ...rest, vault, exchanges: { ...exchanges, other } };
  const ready = () => log.filter((line) => line.includes('"ready"') && line.includes('"other"')).length;
  for (const times of [1, 2]) {
    await daemon.reload(settingsOf(both));
    await until('the other exchange is ready', () => ready() === times);
    await daemon.reload(settingsOf({ ...rest, vault, exchanges }));
  }
  assert.deepEqual(
    log.filter((line) => /"level":"error"/.test(line)),
    [],
  );
});

test('stops in time; on_stop "revoke" revokes the token and removes the file, "keep" keeps both (V12)', async (t) => {
  for (const [onStop, left] of [
    ['keep', 1],
    ['revoke', 0],
  ] as const) {
    const peers = await openPeers(t);
    await peers.writeJwt();
    const { stop } = await runDaemon(t, peers.config({ on_stop: onStop }));
    const startedAt = performance.now();
    await stop();
    assert.ok(performance.now() - startedAt < 5000);
    assert.equal(peers.vault.alive().length, left, onStop);
    const there = await stat(join(peers.directory, 'token')).then(
      () => 1,
      () => 0,
    );
    assert.equal(there, left, onStop);
  }
});

test('no log line at trace level, metric, status or API error contains the JWT or the Vault token (J9, V5)', async (t) => {
  const peers = await openPeers(t);
  const jwts = [await peers.writeJwt()];
  const { daemon, log } = await runDaemon(t, peers.config());
  const tokens = [await until('a token', () => tokenIn(peers))];
  // Vault echoes the request in its errors and warnings
  peers.vault.setFault(({ headers, body }) => ({
    status: 400,
    body: { errors: [`bad jwt ${body} ${headers['x-vault-token']}`], warnings: [body] },
  }));
  jwts.push(await peers.writeJwt({ sub: 'other' }));
  await until('a failure is logged', () => log.some((line) => line.includes('login_failed')));
  const outputs = [...log];
  for (const path of ['/status', '/metrics', '/readyz', '/livez', '/none'])
    outputs.push((await read(daemon.ops + path)).text);
  for (const path of ['/v1/token', '/v1/token/none', '/v1/token?last_etag=x', '/v1/token/app/metadata']) {
    outputs.push((await read(daemon.api + path, path.endsWith('token') ? {} : GUARD)).text);
  }
  assert.ok(outputs.length > 12);
  const secrets = [...jwts, ...jwts.flatMap((jwt) => jwt.split('.')), ...tokens];
  for (const output of outputs) for (const secret of secrets) assert.ok(!output.includes(secret), output.slice(0, 300));
});

test('metrics have all label sets from the start, and agree with the status', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, peers.config());
  const { text } = await read(`${daemon.ops}/metrics`);
  const value = (name: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`vault_token_sidecar_${name} `))
        ?.split(' ')
        .at(-1),
    );
  assert.equal(value('vault_requests_total{exchange="app",operation="login",code="ok"}'), 1);
  assert.equal(value('vault_requests_total{exchange="app",operation="renew",code="vault_sealed"}'), 0);
  assert.equal(value('ready{exchange="app"}'), 1);
  assert.equal(value('token_ttl_seconds{exchange="app"}'), 3600);
  assert.ok(Math.abs(value('token_expiration_timestamp_seconds{exchange="app"}') - Date.now() / 1000 - 3600) < 5);
  assert.equal(value('consecutive_failures{exchange="app"}'), 0);
});

test('a long poll for an exchange that a reload removes gets 404', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, peers.config());
  const first = await until('the first token', () => tokenIn(peers));
  const poll = read(`${daemon.api}/v1/token/app?wait_for_change=true`, GUARD);
  const { exchanges, ...rest } = peers.config() as { exchanges: { app: object } };
  // by then the poll is in flight
  assert.equal(JSON.parse((await read(`${daemon.api}/v1/token`, GUARD)).text).access_token, first);
  await daemon.reload(settingsOf({ ...rest, exchanges: { other: { ...exchanges.app, sinks: [] } } }));
  assert.equal((await poll).status, 404);
  assert.equal((await read(`${daemon.ops}/startupz`)).status, 200, 'startupz never fails again');
});

test("a reload of a sink's format and mode keeps the token and rewrites the file, without a log line", async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const token = await until('the token', () => tokenIn(peers));
  const logins = () => peers.vault.requests.filter(({ path }) => path.endsWith('/login')).length;
  const before = logins();
  const sinks = [{ file: { path: join(peers.directory, 'token'), format: 'env', mode: '0640' } }];
  await daemon.reload(settingsOf(peers.config({ sinks })));
  await until('the file is as the config says', async () => (await tokenIn(peers)) === `VAULT_TOKEN=${token}\n`);
  assert.equal(logins(), before);
  assert.equal(daemon.exchanges.views()[0]?.token()?.renewable, true);
  assert.deepEqual(
    log.filter((line) => line.includes('sink_restored')),
    [],
  );
});

test('revokes a token at the Vault that granted it, and never sends it to another', async (t) => {
  const [peers, other] = [await openPeers(t), await openPeers(t)];
  await peers.writeJwt();
  const { daemon, stop } = await runDaemon(t, peers.config({ on_stop: 'revoke' }));
  await until('the token', () => tokenIn(peers));
  other.vault.setSealed(true);
  await daemon.reload(settingsOf(peers.config({ on_stop: 'revoke', vault: { address: other.vault.url } })));
  await stop();
  assert.deepEqual(
    other.vault.requests.map(({ path }) => path).filter((path) => !path.endsWith('/login')),
    [],
  );
  assert.equal(await tokenIn(peers), undefined, 'the file is removed');
});

test('a renamed exchange keeps its file while the old token is revoked', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, peers.config({ on_stop: 'revoke' }));
  await until('the token', () => tokenIn(peers));
  const { exchanges, ...rest } = peers.config({ on_stop: 'revoke' }) as { exchanges: { app: object } };
  const gaps: boolean[] = [];
  const reload = daemon.reload(settingsOf({ ...rest, exchanges: { renamed: exchanges.app } }));
  let isDone = false;
  void reload.then(() => {
    isDone = true;
  });
  await until('the reload is done', async () => {
    gaps.push((await tokenIn(peers)) === undefined);
    return isDone;
  });
  await until('a token of its own', () => daemon.exchanges.views()[0]?.status().ready);
  assert.equal(peers.vault.alive().length, 1, 'the old token is revoked');
  assert.deepEqual([gaps.includes(true), daemon.exchanges.views().map(({ name }) => name)], [false, ['renamed']]);
});

test('a stop during a reload starts no exchange', async (t) => {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon, stop } = await runDaemon(t, peers.config());
  await until('the token', () => tokenIn(peers));
  const { exchanges, ...rest } = peers.config() as { exchanges: { app: object } };
  const more = { ...exchanges, other: { ...exchanges.app, sinks: [] } };
  const [reload, stopped] = [daemon.reload(settingsOf({ ...rest, exchanges: more })), stop()];
  await Promise.all([reload, stopped]);
  await daemon.reload(settingsOf({ ...rest, exchanges: { late: { ...exchanges.app, sinks: [] } } }));
  const names = daemon.exchanges.views().map(({ name }) => name);
  assert.ok(!names.includes('late'), `${names}`);
  for (const view of daemon.exchanges.views()) assert.equal(view.status().phase, 'stopping');
});
