// What `once` leaves behind: a token that it couldn't deliver to every sink is revoked.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDevVault } from '../../src/dev/vault.ts';
import { openActionsEndpoint } from '../support/jwt-endpoints.ts';
import { jwtText } from '../support/jwt-text.ts';
import { cli } from '../support/program.ts';
import { openPeers } from '../support/sidecar.ts';

/** Peers with a JWT and a directory that every sink refuses, since other users may write to it. */
async function setUp(t: TestContext) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const at = (name: string) => join(peers.directory, name);
  await mkdir(at('unsafe'));
  await chmod(at('unsafe'), 0o777);
  const exchange = (...sinks: string[]) => ({
    source: { file: { path: at('jwt') } },
    login: { role: 'app' },
    sinks: sinks.map((name) => ({ file: { path: at(name) } })),
  });
  const once = async (exchanges: Record<string, unknown>, address = peers.vault.url, members = {}) => {
    await writeFile(at('config.json'), JSON.stringify({ vault: { address }, exchanges, ...members }));
    return cli(['once', '--config', at('config.json'), '--timeout', '10s']);
  };
  return { ...peers, at, exchange, once };
}

test('once revokes the token that a sink refuses and removes its other files, and keeps what is delivered', async (t) => {
  const { vault, at, exchange, once } = await setUp(t);
  await writeFile(at('unsafe/token'), 'of an earlier run');
  const { code, err } = await once({
    delivered: exchange('delivered'),
    refused: exchange('first', 'unsafe/token'),
  });
  assert.equal(code, 7, err);
  assert.match(err.trim().split('\n').at(-1) ?? '', /^exchange refused: /);
  assert.deepEqual(
    vault.alive().map(({ token }) => token),
    [await readFile(at('delivered'), 'utf8')],
  );
  assert.equal(existsSync(at('first')), false);
  assert.equal(await readFile(at('unsafe/token'), 'utf8'), 'of an earlier run');
});

test('once ignores start_jitter', async (t) => {
  const { vault, exchange, once } = await setUp(t);
  const { code, err } = await once({ app: exchange('token') }, vault.url, { start_jitter: '10m' });
  assert.equal(code, 0, err);
});

test('once keeps the files of an earlier run if it gets no token', async (t) => {
  const { vault, at, exchange, once } = await setUp(t);
  await writeFile(at('token'), 'of an earlier run');
  const { code } = await once({ app: { ...exchange('token'), login: { role: 'nobody' } } });
  assert.equal(code, 4);
  assert.equal(await readFile(at('token'), 'utf8'), 'of an earlier run');
  assert.equal(vault.alive().length, 0);
});

test('once revokes a token that no sink is configured for', async (t) => {
  const { vault, exchange, once } = await setUp(t);
  const { code, err } = await once({ home: exchange() });
  assert.equal(code, 0, err);
  assert.deepEqual([vault.requests.some(({ path }) => path.endsWith('/login')), vault.alive().length], [true, 0]);
});

test('once names the accessor of a token that it could not revoke, and ends in time', async (t) => {
  const { vault, exchange, once } = await setUp(t);
  // a Vault that answers logins, and hangs on or fails a revocation
  const front = await openDevVault();
  t.after(() => front.close());
  for (const reply of [undefined, { status: 500, body: { errors: [] } }]) {
    front.setFault(async ({ method, path, headers, body }) => {
      if (path === '/v1/auth/token/revoke-self') return reply;
      const init = { method, headers: { 'x-vault-request': 'true', ...(headers as object) }, body };
      const answer = await fetch(`${vault.url}${path}`, init);
      return { status: answer.status, body: await answer.text() };
    });
    const startedAt = performance.now();
    const { code, err } = await once({ app: exchange('unsafe/token') }, front.url);
    const tookMs = performance.now() - startedAt;
    assert.equal(code, 7, err);
    const { accessor, token } = vault.alive().at(-1) ?? {};
    assert.ok(err.includes(`exchange app: the Vault token with accessor ${accessor} was not revoked`), err);
    assert.ok(token !== undefined && !err.includes(token));
    assert.ok(tookMs < 3000, `${tookMs} ms`);
  }
});

test("once ends early if the JWT's endpoint refuses, or its reply is no JWT", async (t) => {
  const { exchange, once } = await setUp(t);
  const endpoint = await openActionsEndpoint(t, { token: '', mint: async () => '' });
  const http = (json_pointer: string) => ({
    ...exchange('token'),
    source: { http: { url: endpoint.origin, json_pointer } },
  });
  for (const [reply, pointer, line] of [
    [{ status: 401, body: '<title>Unauthorized</title>' }, '', /refuses to issue .*: status 401\. Check the url/],
    [{ status: 302, headers: { location: '/login' } }, '', /refuses to issue .*: status 302\./],
    [{ status: 403 }, '', /refuses to issue .*: status 403\./],
    [{ status: 200, body: '<title>Sign in</title>' }, '', /: it has 1 part instead of 3\. .* json_pointer names/],
    [{ status: 200, body: '{"value":"word"}' }, '/value', /: it has 1 part instead of 3\. .* json_pointer names/],
  ] as const) {
    endpoint.fail(reply);
    const startedAt = performance.now();
    const { code, err } = await once({ app: http(pointer) });
    assert.equal(code, 6, err);
    assert.match(err.trim().split('\n').at(-1) ?? '', line);
    assert.ok(performance.now() - startedAt < 5000, `status ${reply.status}`);
  }
});

test('once ends early if the variable holds no JWT', async (t) => {
  const { at, exchange } = await setUp(t);
  await writeFile(
    at('config.json'),
    JSON.stringify({
      vault: { address: 'http://127.0.0.1:1' },
      exchanges: { app: { ...exchange('token'), source: { env: { name: 'JWT' } } } },
    }),
  );
  for (const [JWT, line] of [
    ['word', /^exchange app: the workload JWT is malformed: it has 1 part instead of 3\./m],
    [`Bearer ${jwtText()}`, /^exchange app: the workload JWT has other text around it: /m],
  ] as const) {
    const startedAt = performance.now();
    const { code, err } = await cli(['once', '--config', at('config.json'), '--timeout', '10s'], { env: { JWT } });
    assert.equal(code, 6, err);
    assert.match(err, line);
    assert.ok(performance.now() - startedAt < 5000, JWT);
  }
});
