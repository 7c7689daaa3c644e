// Listening on addresses, and on unix sockets: their mode and group, what may be replaced at their paths, and their removal.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lstatSync, readdirSync } from 'node:fs';
import nodeFs, { lstat, mkdir, readdir, rename, symlink, unlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { closeApp } from '../../src/http/limits.ts';
import { listen, occupantOf } from '../../src/http/listen.ts';
import { buildOpsApi } from '../../src/http/ops-api.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { runUnprivileged } from '../support/confined.ts';
import { until } from '../support/settling.ts';
import { startProgram } from '../support/started.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { BARE_OPS } from './bare-ops.ts';
import { fakeView } from './fake-view.ts';
import { ask, request, statusesIn, without } from './raw-socket.ts';

const ROOT = { skip: process.getuid?.() !== 0 && 'only root may give files away' };
const GID = 12_345;

async function setUp(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const path = join(directory, 'api.sock');
  /** Starts a token API with this token at the path. */
  async function open(token: string, members: { mode?: number; gid?: number } = {}, at = path) {
    const view = fakeView();
    view.set(token);
    const address = { path: at, mode: 0o600, ...members };
    const app = buildTokenApi({ exchanges: () => [view], listen: address, now: () => 0 });
    t.after(() => closeApp(app));
    const url = await listen(app, address);
    return { url, close: () => closeApp(app) };
  }
  return { directory, path, open, answer: () => ask(path, request(0)), files: () => readdir(directory) };
}

/** Returns the evidence and the hint of a refusal to listen. */
const refusalOf = (opening: Promise<unknown>): Promise<string> =>
  opening.then(
    () => 'it listens',
    (error) => {
      assert.ok(error instanceof ExchangeError && error.failure.code === 'listen_failed', String(error));
      const { evidence, hint } = explain(error.failure);
      return `${evidence}. ${hint}`;
    },
  );

/** Leaves a socket at the path as a killed process does. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(path);
  await once(server, 'listening');
  await rename(path, `${path}.kept`);
  server.close();
  await once(server, 'close');
  await rename(`${path}.kept`, path);
}

test('serves the token on a unix socket, and removes the socket at the stop', async (t) => {
  const { path, open, answer, files } = await setUp(t);
  const { url, close } = await open('hvs.first');
  assert.equal(url, `unix:${path}`);
  assert.match(await answer(), /hvs\.first/);
  assert.deepEqual(await files(), ['api.sock']);
  await close();
  assert.deepEqual(await files(), []);
});

test('the socket has its group and mode from the first moment', ROOT, async (t) => {
  const { directory, open } = await setUp(t);
  const seen = new Set<string>();
  let isOpen = false;
  function look(): void {
    for (const name of readdirSync(directory)) {
      const stats = lstatSync(join(directory, name), { throwIfNoEntry: false });
      const kind = name === 'api.sock' ? 'at its path' : 'on the way';
      if (stats !== undefined) seen.add(`${kind}: ${(stats.mode & 0o777).toString(8)} of ${stats.gid}`);
    }
    if (!isOpen) setImmediate(look);
  }
  look();
  await open('hvs.first', { mode: 0o660, gid: GID });
  isOpen = true;
  look();
  const allowed = ['on the way: 700 of 0', `on the way: 700 of ${GID}`, `on the way: 660 of ${GID}`];
  const others = [...seen].filter((one) => !allowed.includes(one));
  assert.deepEqual(others, [`at its path: 660 of ${GID}`]);
});

test('replaces the socket of a killed process (G15)', async (t) => {
  const { path, open, answer } = await setUp(t);
  await leaveSocket(path);
  assert.ok((await lstat(path)).isSocket());
  await open('hvs.second');
  assert.match(await answer(), /hvs\.second/);
});

test('refuses a socket at which another process listens, and leaves it alone (G15)', async (t) => {
  const { path, open, answer, files } = await setUp(t);
  await open('hvs.first');
  assert.equal(
    await refusalOf(open('hvs.second')),
    `unix:${path}, another process listens on it. Stop that process, or change the address in "listen".`,
  );
  assert.match(await answer(), /hvs\.first/);
  assert.equal((await files()).length, 2, 'with the one of the second app, until it is closed');
});

test('refuses a socket whose process is too busy to take connections (G15)', async (t) => {
  const { path, open } = await setUp(t);
  const busy = `require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'up');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  await startProgram(t, [process.execPath, '-e', busy, path]).says(/up/);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await until('its queue is full', async () => {
    const socket = connect(path);
    sockets.push(socket);
    return once(socket, 'connect').then(
      () => false,
      ({ code }) => code === 'EAGAIN',
    );
  });
  assert.match(await refusalOf(open('hvs.second')), /another process listens on it/);
});

test('a look at a socket leaves no connection to its process', async (t) => {
  const { path } = await setUp(t);
  const server = createServer().listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  const connected = once(server, 'connection');
  assert.equal(await occupantOf(path), 'taken');
  const [socket] = await connected;
  await until('it is closed', () => socket.resume().closed);
});

test('of two instances that start at once over a stale socket, one listens and the other one fails', async (t) => {
  const { directory, open } = await setUp(t);
  // turns of the event loop before the second one starts
  for (let turns = 0; turns < 24; turns += 1) {
    const path = join(directory, `${turns}.sock`);
    await leaveSocket(path);
    const first = open('hvs.first', {}, path);
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    const outcomes = await Promise.all([first, open('hvs.second', {}, path)].map(refusalOf));
    const winner = outcomes.indexOf('it listens');
    assert.match(outcomes[1 - winner] ?? '', /another process listens on it/, `${turns}: ${outcomes.join()}`);
    const answer = await ask(path, request(0));
    assert.ok(answer.includes(winner === 0 ? 'hvs.first' : 'hvs.second'), `${turns}`);
  }
});

test('puts back the socket of an instance that has taken over a stale one meanwhile', async (t) => {
  const { path, open, answer, files } = await setUp(t);
  await leaveSocket(path);
  const { rename: original } = nodeFs;
  const restore = () => {
    nodeFs.rename = original;
    syncBuiltinESMExports();
  };
  t.after(restore);
  nodeFs.rename = async (from, to) => {
    restore();
    await open('hvs.first');
    return original(from, to);
  };
  syncBuiltinESMExports();
  assert.match(await refusalOf(open('hvs.second')), /another process listens on it/);
  assert.match(await answer(), /hvs\.first/);
  assert.equal((await files()).length, 2, 'with the one of the second app, until it is closed');
});

test('an instance that starts while another one stops is refused or takes over, and keeps its socket', async (t) => {
  const { open, answer } = await setUp(t);
  const { close } = await open('hvs.first');
  const closing = close();
  await until('the second one listens', async () => (await refusalOf(open('hvs.second'))) === 'it listens');
  await closing;
  assert.match(await answer(), /hvs\.second/);
});

test('refuses to replace anything but a socket', async (t) => {
  const { directory, path, open } = await setUp(t);
  const refused = `unix:${path}, the file there is not a socket. Remove it, or change the path in "listen".`;
  await writeFile(path, 'kept');
  assert.equal(await refusalOf(open('hvs.first')), refused);
  assert.equal((await lstat(path)).size, 4);
  await unlink(path);
  await leaveSocket(join(directory, 'stale.sock'));
  await symlink('stale.sock', path);
  assert.equal(await refusalOf(open('hvs.first')), refused);
  await unlink(path);
  await mkdir(path);
  assert.equal(await refusalOf(open('hvs.first')), refused);
});

test('at the stop, leaves what another instance or the operator has put at the path', async (t) => {
  const { directory, path, open, answer } = await setUp(t);
  const { close } = await open('hvs.first');
  await unlink(path);
  const second = await open('hvs.second');
  await close();
  assert.match(await answer(), /hvs\.second/);
  await unlink(path);
  await writeFile(path, 'kept');
  await second.close();
  assert.deepEqual(await readdir(directory), ['api.sock']);
});

test('says why it cannot create the socket', async (t) => {
  const { directory, open } = await setUp(t);
  const missing = join(directory, 'none', 'api.sock');
  assert.equal(
    await refusalOf(open('hvs.first', {}, missing)),
    `unix:${missing}, its directory is missing, ENOENT. Create it: with RuntimeDirectory= in a systemd unit, as an emptyDir volume in Kubernetes, as a tmpfs volume in Compose.`,
  );
  const printed = runUnprivileged(
    directory,
    `import { mkdirSync } from 'node:fs';
    import { listen } from './src/http/listen.ts';
    import { openApp } from './src/http/limits.ts';
    mkdirSync(directory + '/locked', { mode: 0o500 });
    for (const [name, gid] of [['api.sock', ${GID}], ['locked/api.sock', undefined]]) {
      const app = openApp({}, 4);
      const address = { path: directory + '/' + name, mode: 0o660, ...(gid && { gid }) };
      await listen(app, address).catch(({ message }) => console.log(message.replaceAll(directory, '')));
      await app.close();
    }`,
  );
  const title = "the sidecar can't listen on an address: unix:";
  assert.deepEqual(printed.split('\n'), [
    `${title}/api.sock, the sidecar's user may not set its group, EPERM. Remove socket_gid, or add the sidecar's user to that group.`,
    `${title}/locked/api.sock, the sidecar's user may not create it, EACCES. Give the sidecar's user write access to its directory.`,
  ]);
  assert.deepEqual((await readdir(directory)).sort(), ['locked'], 'nothing is left');
});

test('on a socket, the guard takes any single Host, and refuses everything else as on loopback', async (t) => {
  const { path, open } = await setUp(t);
  await open('hvs.first');
  const answers = async (lines: readonly string[], first?: string) =>
    statusesIn(await ask(path, request(0, lines, first)));
  for (const host of ['localhost', 'app.example.com', '127.0.0.1:8200', '', '%2Frun%2Fapi.sock'])
    assert.deepEqual(await answers([`Host: ${host}`]), [200], host);
  assert.deepEqual(await answers(['Host: localhost', 'Host: localhost']), [403]);
  assert.deepEqual(statusesIn(await ask(path, without(request(0), 'host'))), [400]);
  for (const line of [
    'Origin: http://localhost',
    'Via: 1.1 proxy',
    'X-Forwarded-For: 10.0.0.1',
    'Sec-Fetch-Site: same-site',
  ])
    assert.deepEqual(await answers([line]), [403], line);
  assert.deepEqual(await answers(['X-Vault-Request: false']), [412]);
  assert.deepEqual(await answers(['Content-Length: 1']), [400]);
  assert.deepEqual(await answers([], 'OPTIONS /v1/token HTTP/1.1'), [403]);
});

test('on a socket, the ops API takes any single Host too, and refuses web pages', async (t) => {
  const { directory } = await setUp(t);
  const address = { path: join(directory, 'ops.sock'), mode: 0o600 };
  const app = buildOpsApi({ ...BARE_OPS, listen: address });
  t.after(() => closeApp(app));
  await listen(app, address);
  for (const [line, status] of [
    ['Host: localhost', 200],
    ['Host: app.example.com', 200],
    ['Host: a\r\nHost: b', 403],
    ['Origin: http://localhost', 403],
    ['Sec-Fetch-Site: cross-site', 403],
  ] as const)
    assert.deepEqual(statusesIn(await ask(address.path, request(0, [line], 'GET /livez HTTP/1.1'))), [status], line);
});

test('returns the address that it is bound to, also for all addresses', async (t) => {
  for (const [host, named] of [
    ['0.0.0.0', '0.0.0.0'],
    ['::', '[::]'],
    ['127.0.0.1', '127.0.0.1'],
  ] as const) {
    const address = { host, port: 0 };
    const app = buildTokenApi({ exchanges: () => [], listen: address, now: () => 0 });
    t.after(() => closeApp(app));
    const url = await listen(app, address);
    assert.match(url, /:[1-9]\d+$/);
    assert.equal(url.replace(/:\d+$/, ''), `http://${named}`);
  }
});
