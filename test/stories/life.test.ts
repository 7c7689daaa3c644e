// A token's life beyond one login: taken over by the next process, looked up in between, revoked once it is replaced.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../src/core/errors.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import { jwtText } from '../support/jwt-text.ts';
import { World } from '../support/world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const REUSE: Partial<ExchangeSettings> = { onStart: 'reuse' };
const SEALED: Failure = { code: 'vault_sealed' };
const NEVER = Number.POSITIVE_INFINITY;

const mint = (at: number) =>
  jwtText({ iss: 'i', sub: 's', aud: 'a', iat: Math.floor(at / SECOND), exp: Math.floor(at / SECOND) + 86_400 });
const operations = ({ calls }: World) => calls.map(({ operation }) => operation);
const heldBy = ({ state }: World) => state.token?.secret.reveal();

function begin(settings: Partial<ExchangeSettings>, before?: World): World {
  const world = new World({ settings }, before);
  if (before === undefined) world.jwt = mint(world.now);
  world.post({ type: 'woke' });
  return world;
}

/** A process that logged in, and the next one on the same Vault and file; `meanwhile` happens in between. */
function restart(settings: Partial<ExchangeSettings>, meanwhile: (first: World) => void = () => {}): [World, World] {
  const first = begin(settings);
  first.pass(10 * MINUTE);
  meanwhile(first);
  return [first, begin(settings, first)];
}

test('on_start: reuse takes over the token of an earlier process with one lookup, and renews it when it is due', () => {
  const [first, second] = restart(REUSE);
  second.pass(SECOND);
  assert.deepEqual([operations(second), heldBy(second)], [['lookup'], heldBy(first)]);
  assert.equal(second.status().ready, true);
  assert.equal(second.state.token?.expiresAt, first.state.token?.expiresAt);
  second.pass(40 * MINUTE);
  assert.deepEqual(operations(second), ['lookup', 'renew']);
});

test('a token late in its lease is renewed at once after a restart', () => {
  const [first, second] = restart(REUSE, (world) => {
    world.now += 45 * MINUTE;
  });
  second.pass(5 * SECOND);
  assert.deepEqual([operations(second), heldBy(second)], [['lookup', 'renew'], heldBy(first)]);
});

test('twenty restarts need one login', () => {
  let world = begin(REUSE);
  let logins = 0;
  for (let count = 0; count < 20; count++) {
    world.pass(MINUTE);
    logins += operations(world).filter((one) => one === 'login').length;
    world = begin(REUSE, world);
  }
  assert.equal(logins, 1);
});

test('logs in if an earlier token is missing, dead, of another role, or about to expire', () => {
  const cases: readonly ((first: World) => void)[] = [
    (first) => void Object.assign(first, { file: undefined }),
    (first) => first.vault.forget(),
    (first) => void Object.assign(first, { now: first.now + 49 * MINUTE + 55 * SECOND }),
    (first) => {
      const { lookup } = first.vault;
      first.vault.lookup = (...asked) => {
        const life = lookup(...asked);
        return 'code' in life ? life : { ...life, role: 'other' };
      };
    },
  ];
  for (const meanwhile of cases) {
    const [first, second] = restart(REUSE, meanwhile);
    second.pass(5 * SECOND);
    assert.equal(operations(second).at(-1), 'login');
    assert.notEqual(heldBy(second), heldBy(first));
    assert.equal(second.status().ready, true);
  }
});

test('serves nothing before Vault confirms the earlier token, and keeps asking while Vault is down', () => {
  const [first, second] = restart(REUSE, ({ vault }) => void Object.assign(vault, { outage: SEALED }));
  second.pass(5 * MINUTE);
  assert.equal(second.status().authenticated, false);
  assert.equal(second.status().failure?.code, 'vault_sealed');
  assert.ok(operations(second).every((one) => one === 'lookup'));
  second.vault.outage = undefined;
  second.pass(2 * MINUTE);
  assert.equal(heldBy(second), heldBy(first));
});

test('a lookup that fails otherwise delays the login by one call', () => {
  const [, second] = restart(REUSE, ({ vault }) => {
    vault.lookup = () => ({ code: 'bad_response' });
  });
  second.pass(3 * SECOND);
  assert.deepEqual(operations(second), ['lookup', 'login']);
});

test('with on_new_jwt: login, a JWT that was rotated meanwhile leads to one login, and one that was not to none', () => {
  for (const [rotated, expected] of [
    [true, ['lookup', 'login']],
    [false, ['lookup']],
  ] as const) {
    const [, second] = restart(REUSE, (world) => {
      if (rotated) world.jwt = mint(world.now);
    });
    second.pass(30 * SECOND);
    assert.deepEqual(operations(second), expected);
  }
  const [, patient] = restart(
    { ...REUSE, onNewJwt: 'when-needed' },
    (world) => void Object.assign(world, { jwt: mint(world.now) }),
  );
  patient.pass(30 * SECOND);
  assert.deepEqual(operations(patient), ['lookup']);
});

test('on_replace: revoke revokes a replaced token when its readers have had 30 s, and never the one in use', () => {
  const world = begin({ onReplace: 'revoke' });
  world.pass(MINUTE);
  const old = heldBy(world) ?? '';
  world.writeJwt(mint(world.now + MINUTE));
  world.pass(29 * SECOND);
  assert.notEqual(heldBy(world), old);
  assert.ok(world.vault.issued.has(old));
  world.pass(3 * SECOND);
  assert.deepEqual([world.vault.issued.has(old), operations(world).at(-1)], [false, 'revoke']);
  world.pass(60 * MINUTE);
  assert.equal(operations(world).filter((one) => one === 'revoke').length, 1);
  assert.equal(world.vault.isAlive(world.state.token?.secret ?? world.jwtSecret(), world.now), true);
});

test("a replaced token isn't revoked while a sink still holds it", () => {
  const world = begin({ onReplace: 'revoke' });
  world.pass(MINUTE);
  const old = heldBy(world) ?? '';
  world.sinkFailure = { code: 'sink_no_space' };
  world.writeJwt(mint(world.now + MINUTE));
  world.pass(10 * MINUTE);
  assert.ok(world.vault.issued.has(old));
  world.sinkFailure = undefined;
  world.pass(2 * MINUTE);
  assert.ok(!world.vault.issued.has(old));
});

test('check_interval notices within one interval that the token was revoked, and logs in', () => {
  const world = begin({ checkIntervalMs: MINUTE });
  world.pass(5 * MINUTE);
  const checks = operations(world).filter((one) => one === 'lookup').length;
  assert.ok(checks >= 4 && checks <= 5, `${checks} checks`);
  world.vault.forget();
  world.pass(70 * SECOND);
  assert.equal(operations(world).filter((one) => one === 'login').length, 2);
  assert.equal(world.vault.isAlive(world.state.token?.secret ?? world.jwtSecret(), world.now), true);
  world.pass(5 * MINUTE);
  assert.ok(operations(world).filter((one) => one === 'lookup').length > checks + 4);
});

test('ends the checks if the policies lack lookup-self, and never checks a token with limited uses', () => {
  const world = begin({ checkIntervalMs: MINUTE });
  world.vault.lookup = () => ({ code: 'token_rejected' });
  world.pass(30 * MINUTE);
  const asked = operations(world).filter((one) => one === 'lookup').length;
  assert.deepEqual([asked, operations(world).filter((one) => one === 'login').length], [2, 3]);
  const limited = begin({ checkIntervalMs: MINUTE });
  limited.vault.overrides = { numUses: 5, renewable: false };
  const counted = new World({ settings: { checkIntervalMs: MINUTE } }, limited);
  counted.post({ type: 'woke' });
  counted.pass(25 * MINUTE);
  assert.deepEqual(operations(counted), ['login']);
  assert.equal(counted.state.checkAt, NEVER);
});

test('a check during an outage changes nothing', () => {
  const world = begin({ checkIntervalMs: MINUTE });
  world.pass(MINUTE / 2);
  const held = heldBy(world);
  world.vault.outage = SEALED;
  world.pass(10 * MINUTE);
  assert.deepEqual([heldBy(world), world.status().ready, world.status().failure], [held, true, undefined]);
  assert.ok(operations(world).length < 14, `${operations(world)}`);
});

test('logs in after two lookups that a quota or a gateway refuses, and keeps asking through a wrong CA', () => {
  for (const [code, limit] of [
    ['vault_rate_limited', 2],
    ['vault_unavailable', 2],
    ['vault_tls', 10],
  ] as const) {
    const [, second] = restart(REUSE, ({ vault }) => Object.assign(vault, { lookup: () => ({ code }) }));
    second.pass(10 * MINUTE);
    const lookups = operations(second).filter((one) => one === 'lookup').length;
    assert.equal(operations(second).includes('login'), limit === 2, code);
    assert.ok(limit === 2 ? lookups === 2 : lookups >= 3, `${code}: ${lookups} lookups`);
  }
});

test('a reload goes on looking for the token of an earlier process, and keeps a pending refresh', () => {
  const [first, second] = restart(REUSE, ({ vault }) => Object.assign(vault, { outage: SEALED }));
  second.pass(10 * SECOND);
  second.vault.outage = undefined;
  const settings = { ...second.policy.settings, onStop: 'revoke' as const };
  const inherited = { settings: second.policy.settings, state: second.state };
  const third = new World({ settings, beginning: { inherited } }, second);
  third.post({ type: 'woke' });
  third.pass(5 * SECOND);
  assert.deepEqual([operations(third), heldBy(third)], [['lookup'], heldBy(first)]);
  third.vault.outage = SEALED;
  third.post({ type: 'refresh-requested' });
  const again = { settings, state: third.state };
  const fourth = new World({ settings: { ...settings, onStop: 'keep' }, beginning: { inherited: again } }, third);
  fourth.vault.outage = undefined;
  fourth.post({ type: 'woke' });
  fourth.pass(10 * SECOND);
  assert.deepEqual([operations(fourth), heldBy(fourth) === heldBy(first)], [['login'], false]);
});

test('a failed check waits for as long as Vault asks, and leaves the budget of failures to logins', () => {
  const world = begin({ checkIntervalMs: 10 * SECOND });
  world.pass(SECOND);
  world.vault.lookup = () => ({ code: 'vault_rate_limited', retryAfterMs: 2 * MINUTE });
  world.pass(10 * MINUTE);
  const lookups = operations(world).filter((one) => one === 'lookup').length;
  assert.ok(lookups >= 4 && lookups <= 6, `${lookups} lookups in ten minutes`);
  world.vault.lookup = () => ({ code: 'vault_timeout' });
  world.pass(30 * MINUTE);
  const before = operations(world).length;
  world.writeJwt(mint(world.now));
  world.pass(2 * SECOND);
  assert.equal(operations(world).slice(before).includes('login'), true, 'a new JWT leads to a login at once');
});

test('a lease that Vault has shortened is renewed at once', () => {
  const world = begin({ checkIntervalMs: MINUTE });
  world.pass(5 * SECOND);
  const { lookup } = world.vault;
  world.vault.lookup = (...asked) => {
    const life = lookup(...asked);
    return 'code' in life ? life : { ...life, leftMs: 5 * MINUTE };
  };
  world.pass(40 * SECOND);
  assert.deepEqual(operations(world), ['login', 'lookup', 'renew']);
});

test('one replaced token that cannot be revoked does not keep another one alive', () => {
  const world = begin({ onReplace: 'revoke' });
  world.pass(SECOND);
  const token = world.state.token;
  assert.ok(token);
  const elsewhere = { ...token, secret: world.jwtSecret(), origin: { address: 'https://gone', namespace: undefined } };
  const here = heldBy(world) ?? '';
  world.writeJwt(mint(world.now + MINUTE));
  world.pass(10 * SECOND);
  const stuck = { ...elsewhere, outOfUseAt: world.now, retryAt: world.now + 10 * MINUTE };
  world.state = { ...world.state, replaced: [stuck, ...world.state.replaced] };
  world.pass(MINUTE);
  assert.ok(!world.vault.issued.has(here));
});

test('the token in use is not revoked when a late login returns it', () => {
  const world = begin({ onReplace: 'revoke' });
  world.pass(SECOND);
  const { token } = world.state;
  assert.ok(token);
  world.post({ type: 'late-grant', grant: token, origin: token.origin });
  world.pass(10 * MINUTE);
  assert.deepEqual(operations(world), ['login']);
});

test('a suspicion leads to one lookup in ten seconds, and to a login if Vault has forgotten the token', () => {
  const world = begin({});
  world.pass(MINUTE);
  const suspect = () => world.post({ type: 'token-suspected', generation: world.state.token?.generation ?? 0 });
  for (let second = 0; second < 9; second += 1) {
    suspect();
    world.pass(SECOND);
  }
  assert.deepEqual(operations(world), ['login', 'lookup']);
  world.pass(2 * SECOND);
  const held = heldBy(world);
  world.vault.forget();
  suspect();
  world.pass(3 * SECOND);
  assert.deepEqual(operations(world), ['login', 'lookup', 'lookup', 'login']);
  assert.notEqual(heldBy(world), held);
});

test('each time that Vault forgets the token, a suspicion leads to a login', () => {
  const world = begin({});
  for (let turn = 0; turn < 5; turn += 1) {
    world.pass(MINUTE);
    const held = heldBy(world);
    world.vault.forget();
    world.post({ type: 'token-suspected', generation: world.state.token?.generation ?? 0 });
    world.pass(MINUTE);
    assert.notEqual(heldBy(world), held, `turn ${turn}`);
  }
});

test('a suspicion against a replaced token, or where the policies lack lookup-self, leads to nothing', () => {
  const world = begin({});
  world.pass(MINUTE);
  world.post({ type: 'token-suspected', generation: (world.state.token?.generation ?? 0) - 1 });
  world.pass(10 * SECOND);
  assert.deepEqual(operations(world), ['login']);
  world.vault.lookup = () => ({ code: 'token_rejected' });
  for (let turn = 0; turn < 6; turn += 1) {
    world.post({ type: 'token-suspected', generation: world.state.token?.generation ?? 0 });
    world.pass(15 * SECOND);
  }
  assert.deepEqual(operations(world), ['login', 'lookup', 'login', 'lookup', 'login']);
});
