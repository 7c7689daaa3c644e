import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings, SourceSettings } from '../../src/core/settings.ts';
import type { VaultRequest } from '../../src/core/vault-protocol.ts';
import { openExchanges } from '../../src/exchange/exchanges.ts';
import type { SourceTools } from '../../src/sources/open-source.ts';
import { jwtText } from '../support/jwt-text.ts';
import { SILENT_OBSERVER } from '../support/silent-observer.ts';
import { SimulatedTime, T0 } from '../support/simulated-time.ts';
import { settingsOf } from '../support/world.ts';

const loginReply = (serial: number): Secret =>
  new Secret(JSON.stringify({ auth: { client_token: `hvs.token-000${serial}`, lease_duration: 3600 } }));

function setUp(settings: readonly ExchangeSettings[], options: { readonly startJitterMs?: number } = {}) {
  const time = new SimulatedTime();
  const [reads, logins]: [string[], number[]] = [[], []];
  const ids: (string | undefined)[] = [];
  const observer = SILENT_OBSERVER;
  const tokensFor: ((exchange: string) => Secret | undefined)[] = [];
  const ports = {
    openSource: (source: SourceSettings, { tokenOf }: SourceTools) => {
      tokensFor.push(tokenOf);
      return {
        watched: true,
        async read() {
          reads.push(source.kind === 'file' ? source.path : '');
          return new Secret(jwtText({ iat: T0 / 1000 }));
        },
        close: async () => {},
      };
    },
    openSink: () => assert.fail('there is none'),
    runHook: () => assert.fail('there is none'),
    openVault: () => ({
      async send({ correlationId }: VaultRequest) {
        ids.push(correlationId);
        logins.push(time.now - T0);
        return { status: 200, headers: {}, durationMs: 1, body: loginReply(logins.length) };
      },
      close: async () => {},
    }),
    watchDirectoryOf: () => assert.fail('there is none'),
  };
  const exchanges = openExchanges(settings, { clock: time.clock(() => 0.5), observer, env: {}, ports, ...options });
  return { exchanges, time, reads, logins, ids, tokensFor };
}

const settingsFor = (index: number): ExchangeSettings => ({
  ...settingsOf(),
  name: `e${index}`,
  source: { kind: 'file', path: `/jwt-${index}`, pollIntervalMs: 3_600_000 },
  sinks: [],
});

test('spreads the logins of many exchanges at the start and after a reload, and reports all of them at once', async () => {
  const all = Array.from({ length: 200 }, (_, index) => settingsFor(index));
  const { exchanges, time, reads, logins } = setUp(all);
  assert.equal(exchanges.views().length, 200);
  let started = false;
  void exchanges.started.then(() => {
    started = true;
  });
  await time.pass(T0 + 990, () => false);
  assert.equal(started, false);
  await time.pass(T0 + 1100, () => false);
  assert.equal(started, true);
  assert.equal(new Set(reads).size, 200);
  assert.ok(mostWithin(logins, 100) <= 21, `${mostWithin(logins, 100)} logins in 100 ms`);
  assert.ok((logins[0] ?? 1) <= 1, 'the first one waits for nothing');

  logins.splice(0);
  await exchanges.apply(all.map((one) => ({ ...one, login: { ...one.login, role: 'other' } })));
  await time.pass(T0 + 20_000, () => false);
  assert.equal(logins.length, 200);
  assert.ok(mostWithin(logins, 100) <= 21, `${mostWithin(logins, 100)} logins in 100 ms after the reload`);
  await exchanges.close();
});

test('delays the first logins by a random time within start_jitter, with the usual gaps', async () => {
  const { exchanges, time, reads, logins } = setUp([0, 1, 2].map(settingsFor), { startJitterMs: 60_000 });
  await time.pass(T0 + 29_999, () => false);
  assert.deepEqual([reads, exchanges.startsAt], [[], T0 + 30_000]);
  await time.pass(T0 + 31_000, () => false);
  assert.equal(logins.length, 3);
  assert.ok((logins[0] ?? 0) >= 30_000 && (logins[2] ?? 0) - (logins[0] ?? 0) >= 10, `${logins}`);
  await exchanges.apply([0, 1, 2, 3].map(settingsFor));
  await time.pass(T0 + 31_100, () => false);
  assert.equal(logins.length, 4, 'an exchange that a reload adds is not delayed');
  await exchanges.close();
});

test('a refresh ends the delay of one exchange, and a stop does not wait for it', async () => {
  const { exchanges, time, logins } = setUp([0, 1].map(settingsFor), { startJitterMs: 600_000 });
  await time.pass(T0 + 1000, () => false);
  exchanges.views()[1]?.refresh();
  time.touch();
  await time.pass(T0 + 1100, () => false);
  assert.deepEqual([logins.length, exchanges.views().map((view) => view.token() !== undefined)], [1, [false, true]]);
  let isStopped = false;
  void exchanges.stop().then(() => {
    isStopped = true;
  });
  time.touch();
  await time.pass(T0 + 1200, () => isStopped);
  assert.equal(isStopped, true);
});

test('no two calls of a process have the same correlation id, also after a reload', async () => {
  const two = [settingsFor(0), settingsFor(1)];
  const { exchanges, time, ids } = setUp(two);
  await time.pass(T0 + 5000, () => false);
  await exchanges.apply(two.map((one) => ({ ...one, login: { ...one.login, role: 'other' } })));
  await time.pass(T0 + 20_000, () => false);
  assert.deepEqual(ids, ['80000000-1', '80000000-2', '80000000-3', '80000000-4']);
  await exchanges.close();
});

test('a source of an earlier config that is still at work gets no token', async () => {
  const [first, second] = [settingsFor(0), settingsFor(1)];
  const { exchanges, time, tokensFor } = setUp([first, second]);
  await time.pass(T0 + 5000, () => false);
  const tokenOf = tokensFor[1] ?? assert.fail('no source');
  assert.equal(tokenOf('e0')?.reveal(), exchanges.view('e0')?.token()?.secret.reveal());
  assert.equal(tokenOf('none'), undefined);
  await exchanges.apply([first, { ...second, source: { kind: 'env', name: 'JWT' } }]);
  assert.equal(tokenOf('e0'), undefined);
  assert.ok(tokensFor.at(-1)?.('e0') !== undefined);
  await exchanges.apply([first]);
  assert.equal(tokensFor.at(-1)?.('e0'), undefined);
  await exchanges.close();
});

test('a thousand waiting clients get the next token within 100 ms', async () => {
  const { exchanges, time } = setUp([settingsFor(0)]);
  await time.pass(T0 + 10_000, () => false);
  const [view] = exchanges.views();
  const generation = view?.token()?.generation;
  assert.ok(generation !== undefined);
  let woken = 0;
  const signals = Array.from({ length: 1000 }, () => new AbortController());
  const waiting = signals.map(async ({ signal }) => {
    await view?.changed(generation, signal);
    woken += 1;
  });
  signals[0]?.abort();
  await waiting[0];
  assert.equal(woken, 1, 'who goes away waits no more, and the others wait on');
  const before = process.cpuUsage();
  view?.refresh();
  time.touch();
  await time.pass(T0 + 20_000, () => woken === 1000);
  assert.equal(woken, 1000);
  // its own time: what the machine does besides is no matter here
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 100_000, `${(user + system) / 1000} ms`);
  assert.ok((view?.token()?.generation ?? 0) > generation);
  await exchanges.close();
});

test("a suspend of an hour doesn't count as missed steps (K25)", async () => {
  const { exchanges, time } = setUp([settingsFor(0)]);
  await time.pass(T0 + 10_000, () => false);
  const before = exchanges.lastStepAt();
  time.now += 3_600_000;
  // health compares it with performance.now(), which stops during a suspend
  assert.ok(before <= performance.now() && performance.now() - before < 60_000);
  assert.equal(exchanges.lastStepAt(), before);
  await exchanges.close();
});

const mostWithin = (instants: readonly number[], ms: number): number =>
  Math.max(...instants.map((from) => instants.filter((at) => at >= from && at < from + ms).length));
