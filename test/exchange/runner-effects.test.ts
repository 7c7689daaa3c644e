// What the runner makes of each effect: which part it asks, and the event that comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ExchangeError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { ExchangeEvent } from '../../src/core/state.ts';
import type { VaultReply, VaultRequest } from '../../src/core/vault-protocol.ts';
import { openCorrelationIds } from '../../src/exchange/correlation.ts';
import { type Clock, type RunnerParts, startRunner, type VaultCall } from '../../src/exchange/runner.ts';
import type { TokenDocument, TokenSink } from '../../src/sinks/sink.ts';
import { jwtText } from '../support/jwt-text.ts';
import { SILENT_OBSERVER } from '../support/silent-observer.ts';
import { grant } from '../support/states.ts';
import { settingsOf, T0 } from '../support/world.ts';

const HOUR = 3_600_000;
const ELSEWHERE = { address: 'http://elsewhere', namespace: undefined };

const reply = (status: number, body: unknown, headers: Record<string, string> = {}): VaultReply => ({
  status,
  headers,
  durationMs: 1,
  body: new Secret(JSON.stringify(body)),
});
const GRANTED = reply(200, { auth: { client_token: 'hvs.token-0001', lease_duration: 3600, renewable: true } });

function fakeSink(id: string, { ageMs = Number.POSITIVE_INFINITY, written = true } = {}) {
  const asked: (TokenDocument | 'removed')[] = [];
  const sink: TokenSink = {
    id,
    deliver: async (document) => {
      asked.push(document);
      return { written };
    },
    read: async () => undefined,
    age: async () => ageMs,
    check: async () => {},
    remove: async () => void asked.push('removed'),
  };
  return { sink, asked };
}

interface Options extends Partial<Omit<RunnerParts, 'policy'>> {
  readonly settings?: Partial<ExchangeSettings>;
  readonly sinkIds?: readonly string[];
  readonly send?: (request: VaultRequest) => Promise<VaultReply>;
}

function setUp({ settings = {}, sinkIds, send = async () => GRANTED, sinks = [], ...parts }: Options = {}) {
  const events: ExchangeEvent[] = [];
  const calls: VaultCall[] = [];
  const world = { now: T0, wallOffsetMs: 0, timers: 0 };
  const clock: Clock = {
    now: () => world.now,
    wall: () => world.now + world.wallOffsetMs,
    random: () => 0.5,
    wakeAt() {
      world.timers += 1;
      return () => {
        world.timers -= 1;
      };
    },
  };
  const runner = startRunner({
    policy: {
      settings: { ...settingsOf(), onStop: 'revoke', ...settings },
      sinks: sinkIds ?? sinks.map(({ id }) => id),
    },
    source: { watched: true, read: async () => new Secret(jwtText({ iat: T0 / 1000 })), close: async () => {} },
    vault: { send, close: async () => {} },
    sinks,
    clock,
    nextCorrelationId: openCorrelationIds(() => 0.5),
    observer: {
      ...SILENT_OBSERVER,
      called: (_policy, call) => void calls.push(call),
      stepped: (_policy, _before, _after, event) => void events.push(event),
    },
    ...parts,
  });
  return { runner, events, calls, world };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await nextTurn();
}

const ofType = <T extends ExchangeEvent['type']>(events: readonly ExchangeEvent[], type: T) =>
  events.filter((event): event is Extract<ExchangeEvent, { type: T }> => event.type === type);

test('a reading says whether its file is watched, and may be torn where the source says so', async () => {
  for (const [parts, expected] of [
    [{ watched: true }, [true, false]],
    [{ watched: false, mayBeTorn: false }, [false, false]],
    [{ watched: true, mayBeTorn: true }, [true, true]],
  ] as const) {
    const source = { ...parts, read: async () => new Secret(jwtText({ iat: T0 / 1000 })), close: async () => {} };
    const { runner, events } = setUp({ source });
    await settle();
    const [read] = ofType(events, 'jwt-read');
    assert.deepEqual([read?.watched, read?.mayBeTorn], expected);
    await runner.close();
  }
});

test("the last login is as old as the youngest of the sinks' files", async () => {
  const age = async (ages: readonly number[]) => {
    const sinks = ages.map((ageMs, index) => fakeSink(`/sink-${index}`, { ageMs }).sink);
    const { runner, events } = setUp({ sinks, beginning: { honoursLastLogin: true } });
    await settle();
    await runner.close();
    return ofType(events, 'last-login-found')[0]?.ageMs;
  };
  assert.deepEqual([await age([9000, 5000, 7000]), await age([])], [5000, Number.POSITIVE_INFINITY]);
});

test('each sink gets the token with its instants on the wall clock, and each result goes back to its sink', async () => {
  const [one, two] = [fakeSink('/one'), fakeSink('/two', { written: false })];
  const { runner, events, world } = setUp({ sinks: [one.sink, two.sink] });
  await settle();
  for (const { asked } of [one, two]) {
    const [document] = asked;
    assert.ok(document !== undefined && document !== 'removed');
    assert.deepEqual(
      [document.secret.reveal(), document.issuedAt, document.expiresAt],
      ['hvs.token-0001', T0, T0 + HOUR],
    );
  }
  assert.deepEqual(
    ofType(events, 'delivered').map(({ sink, written }) => [sink, written]),
    [
      ['/one', true],
      ['/two', false],
    ],
  );
  world.wallOffsetMs = HOUR;
  world.now += 60_000;
  runner.post({ type: 'woke' });
  await settle();
  const latest = one.asked.at(-1);
  assert.ok(latest !== undefined && latest !== 'removed');
  assert.deepEqual([latest.issuedAt, latest.expiresAt], [T0 + HOUR, T0 + 60_000 + 2 * HOUR]);
  await runner.close();
});

test('the end of a hook is reported, unless the hook did not run', async () => {
  for (const result of [{ sink: '/one', failure: undefined, output: 'done' }, undefined]) {
    const { sink } = fakeSink('/one');
    const onChange = { kind: 'command', command: ['/bin/reload'], timeoutMs: 1000 } as const;
    const sinks = [{ kind: 'file', path: '/one', mode: 0o600, format: 'raw', onChange }] as const;
    const [asked, reported]: unknown[][] = [[], []];
    const { runner } = setUp({
      settings: { sinks },
      sinks: [sink],
      runHook: async (hook) => {
        asked?.push(hook.sink);
        return result;
      },
      observer: { ...SILENT_OBSERVER, hooked: (_policy, one) => void reported?.push(one) },
    });
    await settle();
    assert.deepEqual([asked, reported], [['/one'], result === undefined ? [] : [result]]);
    await runner.close();
  }
});

test('a sink that is not there has nothing written', async () => {
  const { runner, events } = setUp({ sinkIds: ['/none'] });
  await settle();
  assert.deepEqual(
    ofType(events, 'delivered').map(({ sink, written }) => [sink, written]),
    [['/none', false]],
  );
  await runner.close();
});

test('a refused call is a failed login or renewal, and each call is reported with its code', async () => {
  const from = performance.now();
  let refusal: VaultReply | undefined = reply(503, { errors: ['Vault is sealed'] });
  const { runner, events, calls, world } = setUp({ send: async () => refusal ?? GRANTED });
  await settle();
  assert.equal(ofType(events, 'login-failed')[0]?.failure.code, 'vault_sealed');
  refusal = undefined;
  world.now += 5000;
  runner.post({ type: 'woke' });
  await settle();
  assert.equal(ofType(events, 'logged-in')[0]?.grant.secret.reveal(), 'hvs.token-0001');
  refusal = reply(403, { errors: ['permission denied'] });
  world.now += 0.75 * HOUR;
  runner.post({ type: 'woke' });
  await settle();
  assert.equal(ofType(events, 'renewal-failed')[0]?.failure.code, 'renewal_denied');
  assert.deepEqual(calls.map(({ operation, code }) => `${operation} ${code}`).slice(0, 3), [
    'login vault_sealed',
    'login ok',
    'renew renewal_denied',
  ]);
  for (const { durationMs, clockSkewMs } of calls)
    assert.ok(durationMs >= 0 && durationMs <= performance.now() - from && clockSkewMs === undefined);
  await runner.close();
});

test('each call carries an id of its own, and its event has that id and the one of Vault', async () => {
  const ids: unknown[] = [];
  const timeouts: unknown[] = [];
  const answers = [
    reply(503, { errors: ['Vault is sealed'], request_id: 'b1' }),
    reply(200, { request_id: 'b2', auth: { client_token: 'hvs.token-0001', lease_duration: 3600, renewable: true } }),
    reply(200, { request_id: 'of hvs.token-0001', auth: { client_token: 'hvs.token-0001', lease_duration: 3600 } }),
    reply(204, ''),
  ];
  const { runner, events, world } = setUp({
    settings: { vault: { ...settingsOf().vault, timeoutMs: 20_000 } },
    async send({ correlationId, timeoutMs }) {
      ids.push(correlationId);
      timeouts.push(timeoutMs);
      return answers[ids.length - 1] ?? assert.fail('one call too many');
    },
  });
  await settle();
  for (const ms of [5000, 0.75 * HOUR]) {
    world.now += ms;
    runner.post({ type: 'woke' });
    await settle();
  }
  await runner.stop();
  assert.deepEqual(ids, ['80000000-1', '80000000-2', '80000000-3', '80000000-4']);
  assert.deepEqual(timeouts, [20_000, 20_000, 20_000, 20_000]);
  const traces = events.flatMap((event) => ('trace' in event ? [[event.type, event.trace?.requestId]] : []));
  assert.deepEqual(traces, [
    ['login-failed', 'b1'],
    ['logged-in', 'b2'],
    ['renewed', 'of [redacted]'],
    ['revoked', undefined],
  ]);
  const sent = events.flatMap((event) => ('trace' in event ? [event.trace?.correlationId] : []));
  assert.deepEqual(sent, ids);
  await runner.close();
});

test("the clock skew is the wall clock minus the reply's date, and unknown without a reply", async () => {
  const date = new Date(T0 - 90_000).toUTCString();
  const dated = setUp({ send: async () => ({ ...GRANTED, headers: { date } }) });
  const failing = setUp({
    send: () => Promise.reject(new ExchangeError('vault_unreachable', { kind: 'network', codes: ['ECONNREFUSED'] })),
  });
  await settle();
  assert.equal(dated.calls[0]?.clockSkewMs, 90_000);
  assert.deepEqual([failing.calls[0]?.code, failing.calls[0]?.clockSkewMs], ['vault_unreachable', undefined]);
  await Promise.all([dated.runner.close(), failing.runner.close()]);
});

test('a revoking stop takes the token out of each sink and revokes it at the Vault that granted it', async () => {
  const sent: string[] = [];
  const sending =
    (name: string, status = 204) =>
    async (request: VaultRequest) => {
      if (!request.path.endsWith('/revoke-self')) return GRANTED;
      sent.push(`${name} ${request.token?.reveal()}`);
      return reply(status, '');
    };
  const [one, two] = [fakeSink('/one'), fakeSink('/two')];
  const earlier: string[] = [];
  const { runner, events } = setUp({
    sinks: [one.sink, two.sink],
    send: sending('own'),
    earlierVault: (address) => {
      earlier.push(address);
      return { send: sending('earlier'), close: async () => {} };
    },
  });
  await settle();
  runner.post({ type: 'late-grant', grant: grant(), origin: ELSEWHERE });
  await runner.stop();
  assert.deepEqual(sent, ['own hvs.token-0001', 'earlier hvs.granted-token']);
  assert.deepEqual([earlier, ofType(events, 'revoked').length], [[ELSEWHERE.address], 2]);
  assert.deepEqual([one.asked.at(-1), two.asked.at(-1)], ['removed', 'removed']);
  await runner.close();
});

test('a revocation fails where Vault refuses it, or where the Vault is not known any more', async () => {
  const refusing = setUp({
    send: async ({ path }) => (path.endsWith('/login') ? GRANTED : reply(503, { errors: ['Vault is sealed'] })),
  });
  await settle();
  refusing.runner.post({ type: 'stop-requested' });
  await settle();
  assert.equal(ofType(refusing.events, 'revocation-failed')[0]?.failure.code, 'vault_sealed');
  assert.equal(ofType(refusing.events, 'revoked').length, 0);
  const unknown = setUp({ send: () => new Promise(() => {}) });
  unknown.runner.post({ type: 'late-grant', grant: grant(), origin: ELSEWHERE });
  unknown.runner.post({ type: 'stop-requested' });
  await settle();
  assert.equal(ofType(unknown.events, 'revocation-failed')[0]?.failure.code, 'vault_unreachable');
});

test('a close waits for calls to Vault alone, passes on what a login brings, and takes no event after it', async () => {
  const answer = Promise.withResolvers<VaultReply>();
  const late: string[] = [];
  const { runner, world } = setUp({
    send: () => answer.promise,
    onLateGrant: ({ secret }, { address }) => late.push(`${secret.reveal()} ${address}`),
  });
  await settle();
  const before = runner.state();
  assert.equal(before.call?.operation, 'login');
  let isClosed = false;
  const closing = runner.close().then(() => {
    isClosed = true;
  });
  runner.post({ type: 'refresh-requested' });
  await settle();
  assert.deepEqual([isClosed, world.timers, late], [false, 0, []]);
  answer.resolve(GRANTED);
  await closing;
  assert.deepEqual(late, [`hvs.token-0001 ${settingsOf().vault.address}`]);
  assert.equal(runner.state(), before);
  const hanging = setUp({ source: { watched: true, read: () => new Promise(() => {}), close: async () => {} } });
  await hanging.runner.close();
});

test('a close does not wait for a delivery that hangs', async () => {
  const never = () => new Promise<never>(() => {});
  const sink: TokenSink = { id: '/hanging', deliver: never, read: never, age: never, check: never, remove: never };
  const { runner, events } = setUp({ sinks: [sink], sinkIds: [sink.id] });
  await settle();
  assert.equal(ofType(events, 'logged-in').length, 1);
  await runner.close();
});
