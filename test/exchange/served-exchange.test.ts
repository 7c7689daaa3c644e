// Exchanges as a process serves them, on a simulated host: clients that wait, reloads, and the end of each.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import { openExchanges } from '../../src/exchange/exchanges.ts';
import { SimulatedHost } from '../support/simulated-host.ts';
import { SimulatedTime, T0 } from '../support/simulated-time.ts';
import { Ledger, SimulatedVault } from '../support/simulated-vault.ts';
import { settingsOf } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const HERE = settingsOf().vault;
const ELSEWHERE = { ...HERE, address: 'http://127.0.0.2:8200' };

const sinkAt = (path: string) => ({ kind: 'file', path, mode: 0o640, format: 'raw' }) as const;
const settingsFor = (changes: Partial<ExchangeSettings> = {}): ExchangeSettings => ({
  ...settingsOf(),
  sinks: [sinkAt('/vault/token')],
  ...changes,
});

function setUp(
  settings: readonly ExchangeSettings[],
  {
    shared = { isOneShot: true } as { isOneShot?: boolean },
    files = {} as Record<string, string>,
    sourceClosesAfterMs = 0,
  } = {},
) {
  const time = new SimulatedTime();
  const ledger = new Ledger();
  const [vault, other] = [HERE, ELSEWHERE].map(({ address }) => new SimulatedVault(address, time, ledger));
  assert.ok(vault !== undefined && other !== undefined);
  const calls: string[] = [];
  const ids: (string | undefined)[] = [];
  const told: string[] = [];
  const repairs: string[] = [];
  const steps: string[] = [];
  const host = new SimulatedHost(time, [vault, other], () => 0.5, {
    read() {},
    wrote() {},
    removed() {},
    sent({ operation, request, settings: { address } }) {
      calls.push(address === HERE.address ? operation : `${operation} elsewhere`);
      ids.push(request.correlationId);
    },
    settled() {},
  });
  host.put('/jwt/token', ledger.issueJwt('app', T0, 24 * HOUR));
  for (const [path, text] of Object.entries(files)) host.put(path, text);
  const observer = {
    added: ({ settings: { name }, sinks }: { settings: ExchangeSettings; sinks: readonly string[] }) =>
      told.push(`added ${name} ${sinks.join()}`),
    removed: (name: string) => told.push(`removed ${name}`),
    left: (name: string, sink: string) => told.push(`left ${name} ${sink}`),
    stepped: (_policy: unknown, _before: unknown, _after: unknown, { type }: { readonly type: string }) =>
      void steps.push(type),
    called() {},
    hooked() {},
  };
  const exchanges = openExchanges(settings, {
    clock: time.clock(() => 0.5),
    observer: {
      ...observer,
      added: (policy) => void observer.added(policy),
      removed: (name) => void observer.removed(name),
      left: (name, sink) => void observer.left(name, sink),
    },
    env: {},
    ports: {
      ...host.ports,
      openSource(...opening) {
        const source = host.ports.openSource(...opening);
        const close = async () => {
          if (sourceClosesAfterMs > 0) await time.pause(sourceClosesAfterMs);
          await source.close();
        };
        return { ...source, read: () => source.read(), close };
      },
      watchDirectoryOf: (path, onHint) => ({
        ...host.ports.watchDirectoryOf(path, onHint),
        repair: async () => void repairs.push(path),
      }),
    },
    ...shared,
  });
  const pass = async (ms: number) => {
    time.touch();
    await time.pass(time.now + ms, () => false);
  };
  /** Lets time pass until the work is done. */
  const during = async (work: Promise<void>, mostMs = 10 * SECOND) => {
    let isDone = false;
    const done = work.then(() => {
      isDone = true;
    });
    time.touch();
    await time.pass(time.now + mostMs, () => isDone);
    assert.ok(isDone, 'it ends in time');
    await done;
  };
  const view = (name = 'app') => {
    const found = exchanges.views().find((one) => one.name === name);
    assert.ok(found !== undefined);
    return found;
  };
  return { time, ledger, vault, other, calls, ids, told, repairs, steps, host, exchanges, pass, during, view };
}

test('a token is served with what is left of its lease, and its expiry on the wall clock', async () => {
  const { time, view, pass, ledger } = setUp([settingsFor()]);
  assert.equal(view().token(), undefined);
  await pass(MINUTE);
  time.wallOffsetMs = 7 * SECOND;
  const token = view().token();
  const [minted] = ledger.tokens.values();
  assert.ok(token !== undefined && minted !== undefined);
  assert.ok(Math.abs(token.expiresInMs - (HOUR - MINUTE)) < SECOND, `${token.expiresInMs} ms`);
  assert.equal(token.expiresAt, time.now + 7 * SECOND + token.expiresInMs);
  assert.equal(token.generation, view().generation());
  time.now += HOUR;
  assert.equal(view().token(), undefined);
});

test('a client that waits gets word of the next token, of the stop, and at once where there is news already', async () => {
  const { view, pass, during, exchanges } = setUp([settingsFor()]);
  await pass(MINUTE);
  const waiting = () => {
    const state = { isOver: false };
    void view()
      .changed(view().generation(), new AbortController().signal)
      .then(() => {
        state.isOver = true;
      });
    return state;
  };
  const first = waiting();
  await pass(5 * MINUTE);
  assert.equal(first.isOver, false);
  view().refresh();
  await pass(5 * SECOND);
  assert.equal(first.isOver, true);
  const { signal } = new AbortController();
  const heard = view().changed(view().generation(), signal);
  view().refresh();
  await pass(10 * SECOND);
  await heard;
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const aborted = AbortSignal.abort();
  await view().changed(view().generation(), aborted);
  await view().changed((view().generation() ?? 0) - 1, new AbortController().signal);
  const last = waiting();
  await during(exchanges.stop());
  await pass(0);
  assert.equal(last.isOver, true);
});

test('each exchange is reported with its sinks when it opens, and again after a change', async () => {
  const { told, pass, during, exchanges } = setUp([settingsFor()]);
  await pass(SECOND);
  await during(exchanges.apply([settingsFor()]));
  assert.deepEqual(told, ['added app /vault/token']);
  await during(exchanges.apply([settingsFor({ sinks: [sinkAt('/vault/other')] })]));
  assert.deepEqual(told.slice(1), ['added app /vault/other', 'left app /vault/token']);
});

test('a reload that drops a sink leaves its file, or takes it away where tokens are revoked', async () => {
  for (const [onStop, isLeft] of [
    ['keep', true],
    ['revoke', false],
  ] as const) {
    const sinks = [sinkAt('/vault/token'), sinkAt('/vault/second')];
    const { host, told, pass, during, exchanges } = setUp([settingsFor({ onStop, sinks })]);
    await pass(MINUTE);
    await during(exchanges.apply([settingsFor({ onStop })]));
    await pass(SECOND);
    assert.deepEqual([host.files.has('/vault/token'), host.files.has('/vault/second')], [true, isLeft]);
    assert.deepEqual(told.slice(2), isLeft ? ['left app /vault/second'] : []);
  }
});

test('after a move to another Vault a revoking stop revokes the tokens of both, and closes everything', async () => {
  const { calls, ledger, host, time, pass, during, exchanges } = setUp([settingsFor({ onStop: 'revoke' })]);
  await pass(MINUTE);
  await during(exchanges.apply([settingsFor({ onStop: 'revoke', vault: ELSEWHERE })]));
  await pass(MINUTE);
  assert.deepEqual(calls, ['login', 'login elsewhere']);
  await during(exchanges.stop());
  assert.deepEqual(calls.slice(2), ['revoke elsewhere', 'revoke']);
  assert.ok([...ledger.tokens.values()].every(({ expiresAt }) => expiresAt <= time.now));
  assert.deepEqual([host.files.has('/vault/token'), host.opened, time.timers], [false, 0, 0]);
});

const REVOKING = settingsFor({ onStop: 'revoke' });
const REVOKING_NEXT = { ...REVOKING, login: { mount: 'jwt', role: 'next' } };

/** Begins the login of an exchange that revokes at its stop. The reply comes after `latencyMs`. */
async function setUpLogin(latencyMs: number, sourceClosesAfterMs = 0) {
  const world = setUp([REVOKING], { sourceClosesAfterMs });
  world.vault.troubles.push({ operations: ['login'], latencyMs });
  await world.pass(SECOND);
  assert.deepEqual(world.calls, ['login']);
  const { ledger, time } = world;
  const areDead = () => [...ledger.tokens.values()].every(({ expiresAt }) => expiresAt <= time.now);
  return { ...world, areDead };
}

test('a login in flight during a reload still brings its token, for a revoking stop to end', async () => {
  // also if the reply comes while the reload closes the old source
  for (const sourceClosesAfterMs of [0, 4 * SECOND]) {
    const { ledger, pass, during, exchanges, areDead } = await setUpLogin(3 * SECOND, sourceClosesAfterMs);
    await during(exchanges.apply([REVOKING_NEXT]));
    await pass(10 * SECOND);
    assert.equal(ledger.tokens.size, 2);
    await during(exchanges.stop());
    assert.ok(areDead(), `${sourceClosesAfterMs}`);
  }
});

test('such a token is revoked too if the stop is requested before the reload ends', async () => {
  const { ledger, vault, pass, during, exchanges, areDead } = await setUpLogin(1500, 1500);
  vault.troubles.length = 0;
  const reload = exchanges.apply([REVOKING_NEXT]);
  await during(Promise.all([reload, exchanges.stop()]).then(() => {}));
  await pass(5 * SECOND);
  assert.ok(ledger.tokens.size > 0);
  assert.ok(areDead());
});

test('a close leaves files and tokens, and nothing open', async () => {
  const { calls, host, time, pass, during, exchanges } = setUp([settingsFor({ onStop: 'revoke' })]);
  await pass(MINUTE);
  await during(exchanges.close());
  await pass(2 * HOUR);
  assert.deepEqual([calls, host.files.has('/vault/token'), host.opened, time.timers], [['login'], true, 0, 0]);
});

test('a config that comes after the end is ignored, and one that a stop overtakes starts nothing more', async () => {
  const late = [settingsFor({ name: 'late' })];
  for (const end of ['stop', 'close'] as const) {
    const { told, pass, during, exchanges } = setUp([settingsFor()]);
    await pass(MINUTE);
    await during(exchanges[end]());
    await during(exchanges.apply(late));
    assert.deepEqual(told, ['added app /vault/token'], end);
  }
  const { told, pass, during, exchanges } = setUp([settingsFor()]);
  await pass(MINUTE);
  const applying = exchanges.apply([settingsFor({ onStop: 'revoke' }), ...late]);
  await during(Promise.all([exchanges.stop(), applying]).then(() => {}));
  assert.ok(!told.some((line) => line.startsWith('added late')), told.join());
});

test('a revoking stop has a second for its revocations', async () => {
  const { calls, vault, view, pass, during, exchanges } = setUp([settingsFor({ onStop: 'revoke' })]);
  for (let token = 0; token < 3; token++) {
    await pass(MINUTE);
    view().refresh();
  }
  await pass(10 * SECOND);
  vault.troubles.push({ operations: ['revoke'], latencyMs: 410 });
  await during(exchanges.stop());
  assert.equal(calls.filter((call) => call === 'revoke').length, 3, 'one after another');
});

test('a stop ends within its grace whatever hangs', async () => {
  const { host, vault, time, pass, during, exchanges } = setUp([settingsFor({ onStop: 'revoke' })]);
  await pass(MINUTE);
  vault.troubles.push({ network: 'silent' });
  host.troubles.set('/vault/token', { isHung: true });
  const from = time.now;
  await during(exchanges.stop());
  assert.ok(time.now - from <= 1200, `${time.now - from} ms`);
  assert.equal(host.opened, 0);
});

test('an exchange that a reload takes away ends as its on_stop says, and is reported as removed', async () => {
  const gone = settingsFor({ name: 'gone', onStop: 'revoke', sinks: [sinkAt('/vault/gone')] });
  const { calls, host, told, vault, ledger, time, pass, during, exchanges } = setUp([settingsFor(), gone]);
  await pass(MINUTE);
  vault.troubles.push({ operations: ['revoke'], latencyMs: 600 });
  const from = time.now;
  await during(exchanges.apply([settingsFor()]));
  assert.ok(time.now - from >= 600, 'the reload waits for the revocation');
  assert.equal([...ledger.tokens.values()].filter(({ expiresAt }) => expiresAt <= time.now).length, 1);
  assert.deepEqual(
    exchanges.views().map(({ name }) => name),
    ['app'],
  );
  assert.deepEqual(
    [calls.at(-1), host.files.has('/vault/gone'), host.files.has('/vault/token')],
    ['revoke', false, true],
  );
  assert.deepEqual(told.slice(2), ['removed gone']);
});

test('the process has started once each exchange that it began with has delivered, or was taken away', async () => {
  const stuck = settingsFor({
    name: 'stuck',
    source: { kind: 'file', path: '/none', pollIntervalMs: MINUTE },
    sinks: [],
  });
  const { exchanges, pass, during } = setUp([settingsFor(), stuck]);
  let isStarted = false;
  void exchanges.started.then(() => {
    isStarted = true;
  });
  await pass(MINUTE);
  assert.deepEqual([exchanges.isStarted(), isStarted], [false, false]);
  await during(exchanges.apply([settingsFor()]));
  await pass(0);
  assert.deepEqual([exchanges.isStarted(), isStarted], [true, true]);
});

test('a changed file of the TLS settings ends the backoff of calls, unless the exchange was closed', async () => {
  const tls = { caFile: '/tls/ca.pem', clientCertFile: '/tls/cert.pem', clientKeyFile: '/tls/key.pem' };
  const { calls, host, vault, pass, during, exchanges } = setUp([settingsFor({ vault: { ...HERE, tls } })]);
  vault.troubles.push({ reply: () => ({ status: 403, headers: {}, body: '{}' }) });
  await pass(30 * MINUTE);
  for (const path of Object.values(tls)) {
    const before = calls.length;
    host.hint(path);
    await pass(6 * SECOND);
    assert.ok(calls.length > before, path);
    await pass(20 * MINUTE);
  }
  await during(exchanges.close());
  assert.equal(host.opened, 0);
});

test('the directories of the TLS files are watched from the start, and looked for again after each call', async () => {
  const vault = { ...HERE, tls: { caFile: '/tls/ca.pem' } };
  const { calls, repairs, steps, pass, during, exchanges } = setUp([settingsFor({ vault })]);
  assert.deepEqual(repairs, ['/tls/ca.pem']);
  await pass(MINUTE);
  assert.deepEqual([calls, repairs.length], [['login'], 2]);
  assert.ok(steps.includes('logged-in'), 'each step is reported');
  await during(exchanges.close());
});

test('an exchange asks another Vault with the token of an exchange that logs in there, while both are in force', async () => {
  const source = { kind: 'vault-identity', vault: HERE, role: 'fed', token: { exchange: 'first' } } as const;
  const first = settingsFor({ name: 'first', sinks: [] });
  const second = settingsFor({ name: 'second', vault: ELSEWHERE, source, sinks: [] });
  const { calls, ids, pass, during, exchanges, view } = setUp([first, second]);
  await pass(30 * SECOND);
  assert.deepEqual(calls, ['login', 'identity', 'login elsewhere']);
  assert.deepEqual(ids, ['80000000-1', '80000000-2', '80000000-3']);
  assert.ok(view('second').token() !== undefined);
  const moved = { ...second, source: { ...source, vault: ELSEWHERE } };
  await during(exchanges.apply([{ ...first, vault: ELSEWHERE }, moved]));
  await pass(HOUR);
  assert.ok(calls.includes('identity elsewhere'));
  assert.ok(!calls.slice(3).includes('identity'), 'a token of one Vault is not sent to the other');
});

test("a restart counts its predecessor's login by the age of the token file; a one-shot command does not wait", async () => {
  for (const [shared, atOnce] of [
    [{}, 0],
    [{ isOneShot: true }, 1],
  ] as const) {
    const { calls, pass } = setUp([settingsFor()], {
      shared,
      files: { '/vault/token': 'hvs.of-an-earlier-process' },
    });
    await pass(3 * SECOND);
    assert.equal(calls.length, atOnce);
    await pass(3 * SECOND);
    assert.equal(calls.length, 1);
  }
});

test('a sink that moves to another exchange gets its token alone', async () => {
  const [first, second] = [settingsFor({ name: 'first' }), settingsFor({ name: 'second', sinks: [] })];
  const { host, pass, during, exchanges, view } = setUp([first, second]);
  await pass(MINUTE);
  await during(
    exchanges.apply([
      { ...first, sinks: [] },
      { ...second, sinks: first.sinks },
    ]),
  );
  await pass(MINUTE);
  assert.equal(host.files.get('/vault/token'), view('second').token()?.secret.reveal());
  assert.equal(view('second').status().ready, true);
});

test('a kept token is written again on a reload that asks for another format', async () => {
  const { calls, host, pass, during, exchanges } = setUp([settingsFor()]);
  await pass(MINUTE);
  const raw = host.files.get('/vault/token') ?? '';
  await during(exchanges.apply([settingsFor({ sinks: [{ ...sinkAt('/vault/token'), format: 'env' }] })]));
  await pass(SECOND);
  assert.equal(host.files.get('/vault/token'), `VAULT_TOKEN=${raw}\n`);
  assert.deepEqual(calls, ['login']);
});

test("the Vault of an exchange has the login's namespace, and follows a reload before the token does", async () => {
  const first = settingsFor({ login: { mount: 'jwt', role: 'app', namespace: 'team' } });
  const { exchanges, view, pass, during } = setUp([first]);
  await pass(MINUTE);
  const { vault, token } = view();
  assert.deepEqual([vault().address, vault().namespace], [HERE.address, 'team']);
  assert.equal(vault(), view().vault(), 'the same object, so that it can be compared quickly');
  assert.deepEqual(token()?.origin, { address: HERE.address, namespace: 'team' });
  await during(exchanges.apply([{ ...first, vault: ELSEWHERE }]));
  assert.deepEqual([vault().address, token()?.origin.address], [ELSEWHERE.address, HERE.address]);
});

test('a suspicion against the token leads to a lookup, and to a login if Vault has forgotten the token', async () => {
  const { view, pass, calls, steps, vault } = setUp([settingsFor()]);
  await pass(MINUTE);
  const suspect = async () => {
    view().suspect(view().generation() ?? 0);
    await pass(10 * SECOND);
  };
  await suspect();
  assert.deepEqual([calls, steps.includes('looked-up')], [['login', 'lookup'], true]);
  vault.forget();
  await suspect();
  assert.deepEqual(calls, ['login', 'lookup', 'lookup', 'login']);
  assert.equal(view().status().ready, true);
});

test('a new exchange that reuses tokens waits until a removed one has revoked its token; one that logs in starts at once', async () => {
  const gone = settingsFor({ name: 'gone', onStop: 'revoke', sinks: [{ ...sinkAt('/vault/token'), format: 'json' }] });
  const next = (onStart: ExchangeSettings['onStart']) => ({ ...gone, name: 'next', onStart });
  for (const [onStart, meanwhile, after] of [
    ['reuse', [], ['lookup', 'login']],
    ['login', ['login'], []],
  ] as const) {
    const { calls, vault, view, ledger, time, pass, during, exchanges } = setUp([gone]);
    await pass(MINUTE);
    vault.troubles.push({ operations: ['revoke'], latencyMs: 600 });
    const applying = exchanges.apply([next(onStart)]);
    await pass(500);
    assert.deepEqual(calls, ['login', 'revoke', ...meanwhile], onStart);
    await during(applying);
    await pass(10 * SECOND);
    assert.deepEqual(calls, ['login', 'revoke', ...meanwhile, ...after], onStart);
    const token = ledger.tokens.get(view('next').token()?.secret.reveal() ?? '');
    assert.ok(token !== undefined && token.expiresAt > time.now, onStart);
  }
});

test('the end of a one-shot run keeps the tokens that are in their sinks, and stops the other exchanges', async () => {
  const onStop = 'revoke';
  const kept = settingsFor({ name: 'kept', onStop });
  const stuck = settingsFor({ name: 'stuck', onStop, sinks: [sinkAt('/vault/stuck')] });
  const bare = settingsFor({ name: 'bare', onStop, sinks: [] });
  for (const [keeps, revoked] of [
    ['delivered', ['bare', 'stuck']],
    ['all', []],
  ] as const) {
    const { host, view, ledger, time, pass, during, exchanges } = setUp([kept, stuck, bare]);
    host.troubles.set('/vault/stuck', { code: 'sink_no_space' });
    await pass(MINUTE);
    const tokens = ['bare', 'kept', 'stuck'].map((name) => [name, view(name).token()?.secret.reveal() ?? ''] as const);
    await during(exchanges.close(keeps));
    const isOver = (text: string) => (ledger.tokens.get(text)?.expiresAt ?? 0) <= time.now;
    assert.deepEqual(
      tokens.filter(([, text]) => isOver(text)).map(([name]) => name),
      revoked,
      keeps,
    );
    assert.deepEqual([host.opened, time.timers], [0, 0], keeps);
  }
});

test('a stop leaves nothing open while the Vault of an earlier config hangs', async () => {
  const { host, vault, pass, during, exchanges } = setUp([settingsFor({ onStop: 'revoke' })]);
  await pass(MINUTE);
  await during(exchanges.apply([settingsFor({ onStop: 'revoke', vault: ELSEWHERE })]));
  await pass(MINUTE);
  vault.troubles.push({ network: 'silent' });
  await during(exchanges.stop());
  assert.equal(host.opened, 0);
});
