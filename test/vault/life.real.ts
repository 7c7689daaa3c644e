// A token's life over restarts, replacements and revocations, with the built program and a real Vault.

import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { startSidecar } from '../faults/sidecar-process.ts';
import { until } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openRealVault, type RealVault } from './real-vault.ts';

const LISTENERS = { api: { listen: '127.0.0.1:0' }, ops: { listen: '127.0.0.1:0' }, log: { level: 'debug' } };
const RESTARTS = 20;

async function setUp(t: TestContext, members: Record<string, unknown>, role: Record<string, unknown> = {}) {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/ci', { type: 'jwt' });
  await vault.write('auth/ci/config', { oidc_discovery_url: issuer.url, bound_issuer: issuer.issuer });
  await vault.write('auth/ci/role/app', {
    ...{ role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', token_policies: 'pki', token_ttl: '1h' },
    ...role,
  });
  const rotate = async () => replaceByRename(here('jwt'), await issuer.mint());
  await rotate();
  const app = {
    source: { file: { path: here('jwt') } },
    login: { mount: 'ci', role: 'app' },
    expect: { issuer: issuer.issuer, audience: 'vault', subject: 'app' },
    sinks: [{ file: { path: here('token') } }, { file: { path: here('token.json'), format: 'json' } }],
    ...members,
  };
  const config = here('config.json');
  await writeFile(config, JSON.stringify({ vault: { address: vault.url }, exchanges: { app }, ...LISTENERS }));
  const tokenNow = () => readFile(here('token'), 'utf8');
  const logins = () => vault.audited().filter((path) => path === 'auth/ci/login').length;
  return { here, vault, rotate, tokenNow, logins, start: () => startSidecar(t, config) };
}

const isAlive = async (vault: RealVault, token: string): Promise<boolean> =>
  (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token })).status === 200;

test('keeps one token over twenty restarts, one of them after a kill', async (t) => {
  const { tokenNow, logins, start } = await setUp(t, { on_start: 'reuse' });
  const tokens = new Set<string>();
  for (let count = 0; count < RESTARTS; count++) {
    const sidecar = await start();
    await sidecar.event('ready');
    tokens.add(await tokenNow());
    sidecar.signal(count === 0 ? 'SIGKILL' : 'SIGTERM');
    await sidecar.ended;
  }
  assert.deepEqual([logins(), tokens.size], [1, 1]);
});

test('a lease of a dynamic secret survives a restart with reuse, and not with login', async (t) => {
  for (const [onStart, survives] of [
    ['reuse', true],
    ['login', false],
  ] as const) {
    const { vault, tokenNow, start } = await setUp(t, { on_start: onStart }, { token_ttl: '12s', token_max_ttl: '1h' });
    await vault.write('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '24h' } });
    await vault.write('pki/root/generate/internal', { common_name: 'example.com', ttl: '24h' });
    await vault.write('pki/roles/app', { allow_any_name: true, generate_lease: true, ttl: '1h' });
    await vault.write('sys/policies/acl/pki', { policy: 'path "pki/issue/app" { capabilities = ["update"] }' });
    const first = await start();
    await first.event('ready');
    const token = await tokenNow();
    const issued = await vault.call('POST', 'pki/issue/app', { common_name: 'a.b' }, { 'x-vault-token': token });
    const lease = String(issued.body['lease_id']);
    assert.match(lease, /^pki\/issue\/app\//);
    await first.stop();
    const second = await start();
    await second.event('ready');
    const isLeased = async () => (await vault.call('POST', 'sys/leases/lookup', { lease_id: lease })).status === 200;
    // the first lease is over after twelve seconds
    const renewals = () => second.log().filter(({ event }) => event === 'renewed').length;
    await until('two renewals', () => renewals() >= 2, 30_000);
    await until('the old token expires', async () => (await isAlive(vault, token)) === survives, 30_000);
    assert.equal(await isLeased(), survives, onStart);
    await second.stop();
  }
});

test('logs in if the file is of another place, of another role in truth, or could be of another user', async (t) => {
  const { here, vault, tokenNow, logins, start } = await setUp(t, { on_start: 'reuse' });
  await vault.write('auth/ci/role/other', { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault' });
  const jwt = await readFile(here('jwt'), 'utf8');
  const { body } = await vault.write('auth/ci/login', { role: 'other', jwt });
  const foreign = (body['auth'] as { client_token: string }).client_token;
  const ours = { vault_address: vault.url, namespace: null, mount: 'ci', role: 'app' };
  const asked = () => vault.audited().filter((path) => path === 'auth/token/lookup-self').length;
  for (const [document, mode, lookups] of [
    [{ token: foreign, ...ours }, 0o600, 1],
    [{ token: vault.root, ...ours }, 0o600, 1],
    [{ token: foreign, ...ours, vault_address: 'https://elsewhere:8200' }, 0o600, 0],
    [{ token: foreign, ...ours }, 0o666, 0],
    [{ ...ours }, 0o600, 0],
  ] as const) {
    await writeFile(here('token.json'), JSON.stringify(document), { mode });
    await chmod(here('token.json'), mode);
    const before = [logins(), asked()] as const;
    const sidecar = await start();
    await sidecar.event('ready');
    assert.deepEqual([logins() - before[0], asked() - before[1]], [1, lookups]);
    assert.notEqual(await tokenNow(), 'token' in document ? document.token : undefined);
    await sidecar.stop();
  }
});

test('revokes a replaced token after the delay, and notices a revoked one by its checks', async (t) => {
  const { vault, rotate, tokenNow, start } = await setUp(t, {
    ...{ on_replace: 'revoke', revoke_delay: '1s', check_interval: '10s' },
  });
  const sidecar = await start();
  await sidecar.event('ready');
  const first = await tokenNow();
  await rotate();
  await until('a new token', async () => (await tokenNow()) !== first, 15_000);
  await until('the old one is revoked', async () => !(await isAlive(vault, first)), 15_000);
  const second = await tokenNow();
  assert.equal(await isAlive(vault, second), true);
  await vault.write('auth/token/revoke', { token: second });
  await until('the revoked one is replaced', async () => (await tokenNow()) !== second, 20_000);
  assert.equal(await isAlive(vault, await tokenNow()), true);
  await sidecar.stop();
});
