// The built program with both listeners on unix sockets: the daemon, the commands that ask it, and other clients.

import assert from 'node:assert/strict';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startSidecar } from '../faults/sidecar-process.ts';
import { runUnprivileged } from '../support/confined.ts';
import { cli, runToEnd } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { openPeers } from '../support/sidecar.ts';

const ROOT = { skip: process.getuid?.() !== 0 && 'only root may become another user' };

async function setUp(t: TestContext, members: object = {}) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const [api, ops] = ['api', 'ops'].map((name) => join(peers.directory, `${name}.sock`)) as [string, string];
  const configFile = join(peers.directory, 'config.json');
  /** @param more members of `api` */
  const write = (more: object, log: object = {}) => {
    const listeners = { api: { listen: `unix:${api}`, ...more }, ops: { listen: `unix:${ops}` } };
    return writeFile(configFile, JSON.stringify({ ...peers.config(), ...listeners, log }));
  };
  await write(members);
  const sockets = async () => (await readdir(peers.directory)).filter((name) => name.includes('.sock'));
  return { ...peers, api, ops, configFile, write, sockets };
}

test('run serves both APIs on unix sockets, and status, wait, token, refresh and curl ask it there', async (t) => {
  const { api, ops, configFile, sockets } = await setUp(t, { socket_mode: '0660' });
  const { event, stop, err } = await startSidecar(t, configFile);
  const { api: shownApi, ops: shownOps } = await event('listening');
  assert.deepEqual([shownApi, shownOps], [`unix:${api}`, `unix:${ops}`]);
  await event('ready');
  assert.deepEqual([(await lstat(api)).mode & 0o777, (await lstat(ops)).mode & 0o777], [0o660, 0o600]);
  const env = { VTS_API_LISTEN: `unix:${api}`, VTS_OPS_LISTEN: `unix:${ops}` };
  for (const [where, options] of [
    [['--config', configFile], {}],
    [[], { env }],
  ] as const) {
    assert.deepEqual(await cli(['wait', ...where], options), { code: 0, out: '', err: '' });
    assert.match((await cli(['status', ...where], options)).out, /^app +active +yes/m);
    assert.match((await cli(['token', ...where], options)).out, /^hvs\./);
  }
  assert.equal((await cli(['wait', '--ops', `unix:${ops}`])).code, 0);
  assert.equal((await cli(['status', '--ops', `unix://${ops}`])).code, 0);
  const { out: token } = await cli(['token', '--api', `unix:${api}`]);
  const curl = (path: string, ...args: string[]) =>
    runToEnd(['curl', '-sS', '--fail-with-body', '--unix-socket', path, ...args]);
  const header = ['-H', 'X-Vault-Request: true', '-H', 'Accept: text/plain'];
  assert.equal((await curl(api, ...header, 'http://localhost/v1/token')).out, token.trim());
  assert.equal((await curl(ops, 'http://localhost/readyz')).out, '{"ready":true,"reasons":[]}');
  assert.equal((await curl(api, 'http://localhost/v1/token')).code, 22, 'the guard asks for the header');
  const refreshed = await cli(['refresh', '--api', `unix:${api}`]);
  assert.deepEqual(refreshed, { code: 0, out: 'asked for a new login of exchange app\n', err: '' });
  assert.equal((await stop()).code, 0);
  assert.deepEqual([await sockets(), err()], [[], '']);
});

test('doctor knows the sockets of the running daemon, and says what is wrong with others', async (t) => {
  const { configFile, api } = await setUp(t);
  const doctor = async () => (await cli(['doctor', '--config', configFile])).out;
  const { event, stop } = await startSidecar(t, configFile);
  await event('ready');
  assert.doesNotMatch(await doctor(), /listen/);
  await stop();
  assert.doesNotMatch(await doctor(), /listen/);
  await writeFile(api, '');
  const said = await doctor();
  assert.ok(said.includes(`api.listen unix:${api}: the file there is not a socket`), said);
  assert.match(said, /Remove it, or change the path in "listen"\./);
});

test('a second instance is refused, and one after a kill takes over (G15)', async (t) => {
  const { configFile, api, ops, sockets } = await setUp(t);
  const first = await startSidecar(t, configFile);
  await first.event('ready');
  const second = await startSidecar(t, configFile);
  assert.equal(await second.ended, 8);
  const title = "the sidecar can't listen on an address";
  const hint = 'Stop that process, or change the address in "listen".';
  assert.equal(second.err(), `${title}: unix:${api}, another process listens on it. ${hint}\n`);
  assert.equal((await cli(['token', '--api', `unix:${api}`])).code, 0);
  first.signal('SIGKILL');
  await first.ended;
  assert.deepEqual(await sockets(), ['api.sock', 'ops.sock']);
  const none = await cli(['status', '--ops', `unix:${ops}`]);
  assert.deepEqual([none.code, none.err.includes(`no sidecar answers at unix:${ops}.`)], [3, true]);
  const third = await startSidecar(t, configFile);
  await third.event('ready');
  assert.equal((await cli(['wait', '--ops', `unix:${ops}`])).code, 0);
});

test('a reload with another mode or group of a socket, or format of the log, says that a restart is needed', async (t) => {
  const { configFile, api, write } = await setUp(t);
  const { event, log, signal } = await startSidecar(t, configFile);
  await event('listening');
  const counts = () =>
    ['config_reloaded', 'restart_needed'].map((name) => log().filter((one) => one.event === name).length);
  const reload = async (members: object, expected: readonly number[], logging: object = {}) => {
    await write(members, logging);
    signal('SIGHUP');
    await until('the reload is logged', () => counts()[0] === expected[0]);
    assert.deepEqual(counts(), expected);
  };
  await reload({}, [1, 0]);
  await reload({ socket_mode: '0660' }, [2, 1]);
  await reload({ socket_mode: '0660', socket_gid: 12_345 }, [3, 2]);
  await reload({ socket_mode: '0660', socket_gid: 12_345 }, [4, 2], { level: 'debug' });
  await reload({ socket_mode: '0660', socket_gid: 12_345 }, [5, 3], { format: 'text' });
  assert.equal((await lstat(api)).mode & 0o777, 0o600);
});

test('a start that fails at the second listener removes the socket of the first one', async (t) => {
  const { configFile, ops, sockets } = await setUp(t);
  await writeFile(ops, '');
  const { ended } = await startSidecar(t, configFile);
  assert.equal(await ended, 8);
  assert.deepEqual(await sockets(), ['ops.sock']);
});

test('a user whom the mode of the socket keeps out gets the reason instead of the token', ROOT, async (t) => {
  const { configFile, api, directory } = await setUp(t);
  const { event } = await startSidecar(t, configFile);
  await event('ready');
  const said = runUnprivileged(
    directory,
    `import { invoke } from './test/support/invoke.ts';
    import { command } from './src/commands/token.ts';
    const { code, out, err } = await invoke(command, { api: 'unix:${api}' });
    console.log(code, out, err);`,
  );
  assert.equal(
    said,
    `3  the sidecar isn't ready: no sidecar answers at unix:${api} (EACCES). Run the command as a user that may open the socket.`,
  );
});
