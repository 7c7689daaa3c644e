// The ops API for probes, Prometheus and operators, with fake exchanges; and its protection against web pages.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ExchangeStatus } from '../../src/core/status.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildOpsApi, type OpsApiOptions } from '../../src/http/ops-api.ts';
import { BARE_OPS } from './bare-ops.ts';
import { fakeView } from './fake-view.ts';
import { ask, portOf, request, statusesIn } from './raw-socket.ts';

const PATHS = ['/livez', '/readyz', '/readyz/app', '/startupz', '/metrics', '/status'];

async function setUp(t: TestContext, over: Partial<OpsApiOptions> = {}) {
  const told: [string, number][] = [];
  let now = 0;
  const app = buildOpsApi({
    ...BARE_OPS,
    exchanges: () => [fakeView()],
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'm 1\n' }),
    version: '1.2.3',
    now: () => now,
    onRequest: (route, code) => void told.push([route, code]),
    ...over,
  });
  t.after(() => closeApp(app));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const read = async (path: string) => {
    const answer = await fetch(url + path);
    return [answer.status, await answer.text()];
  };
  return { read, port: portOf(url), told, later: (ms: number) => (now += ms) };
}

const viewWith = (name: string, over: Partial<ExchangeStatus>) => {
  const view = fakeView(name);
  return { ...view, status: () => ({ ...view.status(), ...over }) };
};

test('/livez is 503 when the exchanges are no longer running', async (t) => {
  let isStepping = true;
  const { read } = await setUp(t, { isStepping: () => isStepping });
  assert.deepEqual(await read('/livez'), [200, 'ok\n']);
  isStepping = false;
  assert.deepEqual(await read('/livez'), [503, 'stuck\n']);
});

test('/livez is 503 when the event loop is blocked for five seconds', async (t) => {
  const { port } = await setUp(t);
  for (const [lagMs, status] of [
    [4900, 200],
    [5100, 503],
  ] as const) {
    const { now } = performance;
    let skewMs = 0;
    t.mock.method(performance, 'now', () => {
      skewMs += lagMs;
      return now.call(performance) + skewMs;
    });
    const answer = await ask(port, request(port, [], 'GET /livez HTTP/1.1'));
    t.mock.restoreAll();
    assert.deepEqual(statusesIn(answer), [status], `${lagMs} ms`);
  }
});

test('/readyz is 200 when every exchange is ready, else 503 with the reasons; /readyz/NAME is for one exchange', async (t) => {
  const ready = viewWith('a', {});
  const broken = viewWith('b', { ready: false, reasons: ['there is no Vault token yet', 'a sink is old'] });
  const one = await setUp(t, { exchanges: () => [broken] });
  const reasons = ['there is no Vault token yet', 'a sink is old'];
  assert.deepEqual(await one.read('/readyz'), [503, JSON.stringify({ ready: false, reasons })]);
  const both = await setUp(t, { exchanges: () => [ready, broken] });
  const named = reasons.map((reason) => `b: ${reason}`);
  assert.deepEqual(await both.read('/readyz'), [503, JSON.stringify({ ready: false, reasons: named })]);
  assert.deepEqual(await both.read('/readyz/a'), [200, JSON.stringify({ ready: true, reasons: [] })]);
  assert.deepEqual(await both.read('/readyz/b'), [503, JSON.stringify({ ready: false, reasons })]);
  assert.equal((await both.read('/readyz/c'))[0], 404);
});

test('/startupz is 503 until the first delivery; /metrics and /status return their data', async (t) => {
  let isStarted = false;
  const { read, told } = await setUp(t, { isStarted: () => isStarted });
  assert.deepEqual(await read('/startupz'), [503, 'waiting for the first delivery\n']);
  isStarted = true;
  assert.deepEqual(await read('/startupz'), [200, 'ok\n']);
  assert.deepEqual(await read('/metrics'), [200, 'm 1\n']);
  const { version, exchanges } = JSON.parse(String((await read('/status'))[1]));
  assert.deepEqual([version, exchanges.length, exchanges[0].exchange], ['1.2.3', 1, 'app']);
  await read('/readyz/x?y=z');
  const routes = '/livez, /readyz, /readyz/:exchange, /startupz, /metrics, /status';
  const error_description = `There is no such route. The routes are ${routes}.`;
  assert.deepEqual(await read('/health'), [404, JSON.stringify({ error: 'not_found', error_description })]);
  assert.deepEqual(told.slice(-4), [
    ['/metrics', 200],
    ['/status', 200],
    ['/readyz/:exchange', 404],
    ['unknown', 404],
  ]);
});

test('limits scrapes to a burst of 100 and 50 a second, but not probes (G14)', async (t) => {
  const { port, later } = await setUp(t);
  const statusesOf = async (path: string, count: number) => {
    const bytes = request(port, [], `GET ${path} HTTP/1.1`);
    const statuses: (number | undefined)[] = [];
    for (let asked = 0; asked < count; asked += 1) statuses.push(statusesIn(await ask(port, bytes))[0]);
    return statuses;
  };
  const served = (statuses: readonly (number | undefined)[]) => statuses.filter((status) => status === 200).length;
  assert.equal(served(await statusesOf('/metrics', 110)), 100);
  later(1000);
  assert.equal(served(await statusesOf('/metrics', 60)), 50);
  later(60_000);
  assert.equal(served(await statusesOf('/metrics', 110)), 100);
  for (const path of ['/livez', '/readyz', '/readyz/app', '/startupz'])
    assert.deepEqual(new Set(await statusesOf(path, 120)), new Set([200]));
});

test('refuses web pages with a foreign Host or Origin, and serves probes and scrapes by address (K24)', async (t) => {
  const { port } = await setUp(t);
  const statusOf = async (path: string, ...lines: string[]) =>
    statusesIn(await ask(port, request(port, lines, `GET ${path} HTTP/1.1`)))[0];
  const foreign = [
    'evil.example',
    `evil.example:${port}`,
    `127.evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `127.0.0.1:${port}.evil.example`,
    `127.0.0.1@evil.example:${port}`,
    `evil.example#127.0.0.1:${port}`,
    `127.1:${port}`,
    `2130706433:${port}`,
    `[evil.example]:${port}`,
    `[::1].evil.example:${port}`,
    `127.0.0.1:${port}, evil.example`,
    'sidecar.default.svc',
  ];
  const own = [
    `127.0.0.1:${port}`,
    '127.0.0.1',
    '10.1.2.3:8276',
    '10.1.2.3:9999',
    '[::1]:8276',
    '[2001:db8::7]:8276',
    '[2001:db8::7]',
    'localhost',
    'localhost:9999',
    'LOCALHOST:8276',
    '',
  ];
  for (const path of PATHS) {
    for (const host of foreign) assert.equal(await statusOf(path, `Host: ${host}`), 403, host);
    assert.equal(await statusOf(path, 'Origin: null'), 403);
    assert.equal(await statusOf(path, `Origin: http://127.0.0.1:${port}`), 403);
    for (const site of ['cross-site', 'same-site', 'same-origin'])
      assert.equal(await statusOf(path, `Sec-Fetch-Site: ${site}`), 403);
    assert.equal(await statusOf(path, 'Sec-Fetch-Site: none'), 200);
    assert.equal(await statusOf(path, 'User-Agent: kube-probe/1.34', 'Accept: */*'), 200);
  }
  for (const host of own) assert.equal(await statusOf('/livez', `Host: ${host}`), 200, host);
  assert.equal(await statusOf('/livez', `Host: 127.0.0.1:${port}`, 'Host: evil.example'), 403);
  assert.equal(await statusOf('/livez', 'Host: evil.example', `Host: 127.0.0.1:${port}`), 403);
  const refusal = await ask(port, request(port, ['Host: evil.example'], 'GET /status HTTP/1.1'));
  assert.doesNotMatch(refusal, /evil|exchange|access-control/i);
  const oldProbe = await ask(port, 'GET /livez HTTP/1.0\r\n\r\n');
  assert.deepEqual(statusesIn(oldProbe), [200], 'a load balancer may send no name');
});

test('accepts the listen address as Host, also by its name (K24)', async (t) => {
  const { port } = await setUp(t, { listen: { host: 'sidecar.internal', port: 8276 } });
  for (const [host, status] of [
    ['sidecar.internal:8276', 200],
    ['Sidecar.Internal', 200],
    ['other.internal:8276', 403],
  ] as const)
    assert.deepEqual(statusesIn(await ask(port, request(port, [`Host: ${host}`], 'GET /livez HTTP/1.1'))), [status]);
});
