// Faults of a real Vault and its surroundings: the token file is kept while the token is valid, the failure is
// reported, the next token comes soon after the fault ends, and the calls to Vault stay within their limits.

import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { type BadProxy, openBadProxy } from './bad-proxy.ts';
import { RECOVERY_MS, ROLE, replacesDeadToken, setUp, survive } from './fault-world.ts';
import { openRealVault, type RealVault } from './real-vault.ts';

test('recovers after Vault was sealed and unsealed (C1)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, { begin: () => vault.seal(), codes: ['vault_sealed'], end: () => vault.unseal() });
});

test('recovers after Vault was killed and restarted on the same storage (C2)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, { begin: () => vault.kill(), codes: ['vault_unreachable'], end: () => vault.start() });
});

test('replaces the token at its renewal after Vault was restarted on empty storage (C14, C28)', async (t) => {
  // the lease is long enough that no renewal fails while Vault is down
  const world = await setUp(t, { role: { ttl: '60s' } });
  const { vault, trust, tokenNow, times } = world;
  const first = await until('the first token', tokenNow);
  await vault.kill();
  await vault.startEmpty();
  await trust();
  assert.deepEqual(times('renewal_failed'), []);
  await replacesDeadToken(world, first);
});

test("replaces the token within two seconds of its renewal after Vault's storage was restored from a backup (C28)", async (t) => {
  const world = await setUp(t, { role: { ttl: '60s' } });
  const { vault, writeJwt, tokenNow, another, times } = world;
  const first = await until('the first token', tokenNow);
  const storage = join(vault.directory, 'storage');
  await vault.kill();
  await cp(storage, `${storage}.backup`, { recursive: true });
  await vault.start();
  await writeJwt();
  const second = await another(first);
  await vault.kill();
  await rm(storage, { recursive: true });
  await rename(`${storage}.backup`, storage);
  await vault.start();
  const lookUp = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': second });
  assert.equal(lookUp.status, 403);
  assert.deepEqual(times('renewal_failed'), []);
  await replacesDeadToken(world, second);
});

test('recovers after the role was deleted and written again (C10, C16)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, {
    begin: () => vault.call('DELETE', 'auth/jwt/role/app'),
    codes: ['role_missing'],
    end: () => vault.write('auth/jwt/role/app', ROLE),
  });
});

test('replaces a token without renew-self by logins, and soon stops trying renewals (C15)', async (t) => {
  const { vault, tokenNow, another, count } = await setUp(t, { role: { ttl: '6s', token_no_default_policy: true } });
  let token = await until('the first token', tokenNow);
  for (let generation = 0; generation < 4; generation += 1) token = await another(token);
  // two renewals for each of two tokens, since the refusal of a young token may be replication lag
  assert.ok(count('auth/token/renew-self') <= 4, `${count('auth/token/renew-self')} renewals`);
  assert.ok(count('auth/jwt/login') <= 7);
  assert.equal((await vault.call('GET', 'sys/health')).status, 200);
});

test('replaces a revoked token in every sink within two seconds of its renewal (C14)', async (t) => {
  // at its renewal the token is old enough that a denial isn't taken for replication lag
  const world = await setUp(t, { role: { ttl: '20s' } });
  const first = await until('the first token', world.tokenNow);
  await world.vault.write('auth/token/revoke', { token: first });
  await replacesDeadToken(world, first);
});

test('logs in after the issuer rotated its keys, which Vault had cached (C9)', async (t) => {
  const { issuer, writeJwt, tokenNow, another } = await setUp(t);
  const first = await until('the first token', tokenNow);
  await issuer.rotateKeys(false);
  await writeJwt();
  await another(first);
});

test('recovers after the issuer was down while Vault needed its new keys (C9)', async (t) => {
  const world = await setUp(t);
  const { issuer } = world;
  await survive(world, {
    begin: async () => {
      await issuer.rotateKeys(false);
      issuer.setDown(true);
    },
    codes: ['issuer_unreachable'],
    end: () => issuer.setDown(false),
  });
});

test("uses a JWT that isn't valid yet as soon as Vault accepts it (C11)", async (t) => {
  const { writeJwt, tokenNow, another, failing } = await setUp(t);
  const first = await until('the first token', tokenNow);
  const ahead = Math.floor(Date.now() / 1000) + 66;
  await writeJwt({ nbf: ahead, iat: ahead });
  await failing('jwt_not_yet_valid');
  assert.equal(await tokenNow(), first);
  await another(first);
});

test('sends an expired JWT at most once a minute, and uses a new one at once (A15)', async (t) => {
  const expired = { exp: Math.floor(Date.now() / 1000) - 3600 };
  const { writeJwt, tokenNow, failing, count } = await setUp(t, { firstJwt: expired });
  await failing('jwt_expired');
  const from = performance.now();
  await until(
    'fifty seconds pass',
    () => {
      assert.ok(count('auth/jwt/login') <= 1, `${count('auth/jwt/login')} logins`);
      return performance.now() - from > 50_000;
    },
    60_000,
  );
  await writeJwt();
  await until('a token', tokenNow, 5000);
});

for (const [mischief, codes] of [
  ['hold', ['vault_timeout']],
  ['cut', ['vault_connection_lost']],
  ['truncate', ['vault_connection_lost', 'bad_response']],
] as const) {
  test(`recovers after a proxy did "${mischief}" to Vault's replies (D4, D6, C25)`, async (t) => {
    let proxy: BadProxy | undefined;
    const world = await setUp(t, {
      addressOf: async (vault) => {
        proxy = await openBadProxy(t, vault.url);
        return proxy.url;
      },
    });
    const set = (to: BadProxy['mischief']) => Object.assign(proxy ?? {}, { mischief: to });
    await survive(world, { begin: () => set(mischief), codes: [...codes], end: () => set('none') });
  });
}

test('logs in through a standby, and retries a login during which the active node stepped down (C30)', async (t) => {
  const raft = (node: string, path: string) => ({
    storage: { raft: { path, node_id: node } },
  });
  const other = await temporaryDirectory(t);
  let standby: RealVault | undefined;
  const { vault, writeJwt, tokenNow, another } = await setUp(t, {
    server: { config: raft('one', await temporaryDirectory(t)) },
    addressOf: async (leader) => {
      standby = await openRealVault(t, { config: raft('two', other), joins: leader });
      return standby.url;
    },
  });
  const first = await until('the first token', tokenNow, RECOVERY_MS);
  await until(
    'the standby is a voter',
    async () => {
      const { body } = await vault.call('GET', 'sys/storage/raft/configuration');
      const { servers } = (body['data'] as { config: { servers: { voter: boolean }[] } }).config;
      return servers.length === 2 && servers.every(({ voter }) => voter);
    },
    30_000,
  );
  await Promise.all([writeJwt(), vault.call('PUT', 'sys/step-down')]);
  await another(first);
  const { body } = await vault.call('GET', 'auth/token/accessors?list=true');
  const { keys } = body['data'] as { keys: string[] };
  // the root token, the two that were in the file, and at most one whose reply was lost
  assert.ok(keys.length >= 3 && keys.length <= 4, `${keys.length} tokens`);
});
