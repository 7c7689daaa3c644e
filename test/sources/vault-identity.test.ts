// A vault_identity source: requests identity tokens from another Vault.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { VaultReply, VaultRequest } from '../../src/core/vault-protocol.ts';
import { openVaultIdentitySource } from '../../src/sources/vault-identity.ts';
import { codeOf } from '../support/jwt-file.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const VAULT = {
  address: 'http://127.0.0.1:1',
  namespace: 'team',
  tls: {},
  timeoutMs: 1000,
  redirectHosts: [],
  useProxyEnv: false,
};

/** A source with a clock and a Vault that the test sets. */
async function setUp(t: TestContext) {
  const file = join(await temporaryDirectory(t), 'token');
  await writeFile(file, 'hvs.of-the-source\n');
  const world = { minted: 0, refusal: undefined as VaultReply | undefined, asked: [] as VaultRequest[] };
  const reply = (status: number, body: unknown): VaultReply => ({
    status,
    headers: {},
    durationMs: 1,
    body: new Secret(JSON.stringify(body)),
  });
  const vault = {
    async send(request: VaultRequest) {
      world.asked.push(request);
      if (world.refusal !== undefined) return world.refusal;
      world.minted += 1;
      return reply(200, { data: { token: `jwt-${world.minted}`, ttl: 600, client_id: 'c' } });
    },
    async close() {},
  };
  const source = openVaultIdentitySource(
    { kind: 'vault-identity', role: 'fed eration', vault: VAULT, token: { file } },
    { vault, tokenOf: () => undefined },
  );
  return { file, world, source, reply };
}

test('each read requests one new token', async (t) => {
  const { world, source } = await setUp(t);
  assert.equal(await codeOf(source), 'jwt-1');
  assert.equal(await codeOf(source), 'jwt-2');
  const { method, path, namespace, token } = world.asked[0] ?? {};
  assert.deepEqual(
    [method, path, namespace, token?.reveal()],
    ['GET', '/v1/identity/oidc/token/fed%20eration', 'team', 'hvs.of-the-source'],
  );
});

test('a refusal quotes no secret', async (t) => {
  const { world, source, reply } = await setUp(t);
  world.refusal = reply(403, { errors: ['permission denied for hvs.of-the-source'] });
  await assert.rejects(source.read(), (error) => {
    assert.ok(error instanceof ExchangeError);
    assert.equal(error.failure.code, 'identity_refused');
    assert.doesNotMatch(error.message, /hvs/);
    return true;
  });
});

test('keeps the Retry-After of the issuing Vault', async (t) => {
  const { world, source, reply } = await setUp(t);
  world.refusal = { ...reply(429, { errors: ['rate limit quota exceeded'] }), headers: { 'retry-after': '7' } };
  await assert.rejects(source.read(), (error) => {
    assert.ok(error instanceof ExchangeError);
    assert.deepEqual([error.failure.code, error.failure.retryAfterMs], ['vault_rate_limited', 7000]);
    return true;
  });
});

test('reports a sealed Vault, and refuses a reply without a token', async (t) => {
  const { world, source, reply } = await setUp(t);
  world.refusal = reply(503, { errors: ['Vault is sealed'] });
  assert.equal(await codeOf(source), 'vault_sealed');
  world.refusal = reply(200, { data: {} });
  assert.equal(await codeOf(source), 'bad_response');
});

test('the token of another exchange is asked with; without it, or a file, nobody is asked', async (t) => {
  const { world, reply, file } = await setUp(t);
  const tokens = new Map([['first', new Secret('hvs.of-the-first')]]);
  const asking = (token: { exchange: string } | { file: string }) =>
    openVaultIdentitySource(
      { kind: 'vault-identity', role: 'r', vault: VAULT, token },
      {
        vault: {
          async send(request) {
            world.asked.push(request);
            return reply(200, { data: { token: 'jwt' } });
          },
          async close() {},
        },
        tokenOf: (exchange) => tokens.get(exchange),
      },
    );
  assert.equal(asking({ exchange: 'first' }).watched, true);
  assert.equal(await codeOf(asking({ exchange: 'first' })), 'jwt');
  assert.deepEqual(
    world.asked.map(({ token }) => token?.reveal()),
    ['hvs.of-the-first'],
  );
  for (const token of [{ exchange: 'second' }, { file: `${file}.none` }]) {
    await assert.rejects(asking(token).read(), (error) => {
      assert.ok(error instanceof ExchangeError);
      assert.equal(error.failure.code, 'identity_token_missing');
      assert.match(
        explain(error.failure).evidence ?? '',
        'exchange' in token ? /^exchange second holds no valid Vault token$/ : /\.none: /,
      );
      return true;
    });
  }
  assert.equal(world.asked.length, 1);
});

test('without a Vault token to ask with nobody is asked, and it is used as soon as it is there', async (t) => {
  const { file, world, source } = await setUp(t);
  await writeFile(file, 'two words');
  assert.equal(await codeOf(source), 'identity_token_missing');
  assert.equal(world.asked.length, 0);
  await writeFile(file, 'hvs.another');
  assert.equal(await codeOf(source), 'jwt-1');
});
