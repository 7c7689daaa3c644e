// The API proxy of the built program with a real Vault: what clients do, and what happens to their requests while the token, the
// config or the process changes.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { openIssuer } from '../../src/dev/issuer.ts';
import { startSidecar } from '../faults/sidecar-process.ts';
import { reservePort } from '../support/ports.ts';
import { readmeBlock } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import { openRealVault } from './real-vault.ts';

const CLIENTS = 8;

async function setUp(t: TestContext, members: Record<string, unknown> = {}) {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.url, bound_issuer: issuer.issuer });
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', token_policies: 'kv', token_ttl: '1h' };
  await vault.write('auth/jwt/role/app', role);
  await vault.write('sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  const capabilities = '["create", "read", "update", "patch", "delete", "list"]';
  await vault.write('sys/policies/acl/kv', { policy: `path "kv/*" { capabilities = ${capabilities} }` });
  await vault.write('kv/data/app', { data: { greeting: 'hello' } });
  const rotate = async () => replaceByRename(here('jwt'), await issuer.mint());
  await rotate();
  // a fixed port: a new process takes the place of the old one
  const address = `127.0.0.1:${await reservePort()}`;
  const write = async (changes: Record<string, unknown> = {}) => {
    const app = {
      source: { file: { path: here('jwt') } },
      login: { role: 'app' },
      sinks: [{ file: { path: here('token') } }],
      proxy: { listen: address },
      ...members,
    };
    const listeners = { api: { listen: '127.0.0.1:0' }, ops: { listen: '127.0.0.1:0' } };
    const config = { vault: { address: vault.url }, exchanges: { app }, ...listeners, ...changes };
    await writeFile(here('config.json'), JSON.stringify(config));
  };
  await write();
  const start = async () => {
    const sidecar = await startSidecar(t, here('config.json'));
    await sidecar.event('listening');
    await sidecar.event('ready');
    return sidecar;
  };
  const url = `http://${address}`;
  return { url, vault, rotate, write, start, tokenNow: () => readFile(here('token'), 'utf8') };
}

test('the Vault CLI works through the proxy without a token: read, list, write, patch, delete, wrap', async (t) => {
  const { url, start } = await setUp(t);
  await start();
  const vault = async (...words: string[]) => {
    const env = { PATH: process.env['PATH'], HOME: '/nonexistent', VAULT_ADDR: url };
    return (await promisify(execFile)(findVault(), words, { env })).stdout;
  };
  assert.match(await vault('kv', 'get', 'kv/app'), /greeting +hello/);
  assert.match(await vault('kv', 'list', 'kv/'), /app/);
  await vault('kv', 'put', 'kv/other', 'a=1', 'b=2');
  await vault('kv', 'patch', 'kv/other', 'b=3');
  assert.match(await vault('kv', 'get', 'kv/other'), /b +3/);
  await vault('kv', 'delete', 'kv/other');
  const wrapping = (await vault('read', '-wrap-ttl=60s', '-field=wrapping_token', 'kv/data/app')).trim();
  assert.match(await vault('token', 'lookup'), /display_name +jwt-app/);
  assert.match(await vault('token', 'renew'), /token_duration +59m/);
  const unwrapped = await fetch(`${url}/v1/sys/wrapping/unwrap`, {
    method: 'POST',
    body: JSON.stringify({ token: wrapping }),
  });
  assert.match(await unwrapped.text(), /"greeting":"hello"/);
  await assert.rejects(vault('token', 'revoke', '-self'), /must not be revoked/);
});

async function statusOf(url: string): Promise<number> {
  const reply = await fetch(url);
  await reply.text();
  return reply.status;
}

test('the documented commands read a secret through the proxy', async (t) => {
  const { url, vault, start } = await setUp(t);
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await vault.write('sys/policies/acl/kv', { policy: 'path "secret/*" { capabilities = ["read"] }' });
  await vault.write('secret/data/my-app', { data: { greeting: 'hello' } });
  await start();
  const bin = await temporaryDirectory(t);
  await symlink(findVault(), join(bin, 'vault'));
  const script = readmeBlock('docs/api-proxy.md', 'API proxy', 'sh').replaceAll('http://127.0.0.1:8200', url);
  const env = { PATH: `${bin}:${process.env['PATH']}`, HOME: '/nonexistent' };
  const { stdout } = await promisify(execFile)('sh', ['-ec', script], { env });
  assert.match(stdout, /greeting +hello[\s\S]*"greeting":"hello"/);
});

/** Reads a secret on several connections until `meanwhile` is over. @returns how often each status came; 0 for no answer */
async function load(url: string, meanwhile: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let isOver = false;
  const ask = async () => {
    while (!isOver) {
      const status = await statusOf(`${url}/v1/kv/data/app`).catch(() => 0);
      counts[status] = (counts[status] ?? 0) + 1;
      if (status === 0) await new Promise(setImmediate);
    }
  };
  const clients = Array.from({ length: CLIENTS }, ask);
  try {
    await until('the load has begun', () => (counts[200] ?? 0) > 50);
    await meanwhile();
    const before = counts[200] ?? 0;
    await until('the load goes on', () => (counts[200] ?? 0) > before + 50);
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
  return counts;
}

test('no request fails while the token is replaced and revoked (L5)', async (t) => {
  const { url, rotate, start, tokenNow } = await setUp(t, { on_replace: 'revoke', revoke_delay: '2s' });
  const sidecar = await start();
  const counts = await load(url, async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      const before = await tokenNow();
      await rotate();
      await until('a new token', async () => (await tokenNow()) !== before);
    }
    await sidecar.event('replaced_token_revoked');
  });
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(Object.keys(counts), ['200']);
});

test('a token that is revoked under load is replaced after the first 403 (L4)', async (t) => {
  const { url, vault, start, tokenNow } = await setUp(t);
  const sidecar = await start();
  let tookMs = 0;
  const counts = await load(url, async () => {
    const before = await tokenNow();
    const revokedAt = performance.now();
    await vault.write('auth/token/revoke', { token: before });
    await until('a new token', async () => (await tokenNow()) !== before);
    tookMs = performance.now() - revokedAt;
  });
  t.diagnostic(`${JSON.stringify(counts)}; a new token after ${tookMs.toFixed(0)} ms`);
  assert.ok((counts[403] ?? 0) > 0);
  assert.deepEqual(Object.keys(counts).sort(), ['200', '403']);
  assert.ok(tookMs < 5000, `${tookMs} ms`);
  await sidecar.event('token_rejected');
});

test('a reload, also of the Vault section, fails no request (L6)', async (t) => {
  const { url, write, start, vault } = await setUp(t);
  const sidecar = await start();
  const counts = await load(url, async () => {
    for (const timeout of ['5s', '6s', '7s']) {
      await write({ vault: { address: vault.url, timeout } });
      const before = sidecar.log().filter(({ event }) => event === 'config_reloaded').length;
      sidecar.signal('SIGHUP');
      await until(
        'it is reloaded',
        () => sidecar.log().filter(({ event }) => event === 'config_reloaded').length > before,
      );
    }
  });
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(Object.keys(counts), ['200']);
});

test('a stop under load ends the requests in flight, within the budget; a new process goes on (L7)', async (t) => {
  const { url, start } = await setUp(t, { on_stop: 'revoke' });
  const sidecar = await start();
  const counts = await load(url, async () => {
    const { code, tookMs } = await sidecar.stop();
    t.diagnostic(`stopped in ${tookMs.toFixed(0)} ms`);
    assert.equal(code, 0);
    assert.ok(tookMs < 2500, `${tookMs} ms`);
    await start();
  });
  t.diagnostic(JSON.stringify(counts));
  // connections are refused in between, but no request gets the 403 of a revoked token
  assert.deepEqual(Object.keys(counts).sort(), ['0', '200']);
});
