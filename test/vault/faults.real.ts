// What goes wrong with a real Vault and around it: the token in the file stays while it is valid, the failure is named, the
// next token comes soon after the end of the fault, and Vault is asked no more often than promised.

import assert from 'node:assert/strict';
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { makeCa } from '../support/certificates.ts';
import { until, untilChanged } from '../support/settling.ts';
import { runDaemon, settingsOf } from '../support/sidecar.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { type BadProxy, openBadProxy } from './bad-proxy.ts';
import { openRealVault, type RealVault, type RealVaultOptions } from './real-vault.ts';

const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app-read', ttl: '10m' };
/** V8: how long after the end of a fault the next token may take */
const RECOVERY_MS = 60_000;

interface SetUpOptions {
  readonly firstJwt?: Record<string, unknown>;
  readonly role?: Record<string, unknown>;
  readonly server?: RealVaultOptions;
  readonly vaultSettings?: Record<string, unknown>;
  /** the address that the sidecar is given */
  readonly addressOf?: (vault: RealVault) => Promise<string>;
}

async function setUp(
  t: TestContext,
  { firstJwt = {}, role = {}, server = {}, vaultSettings = {}, addressOf }: SetUpOptions = {},
) {
  const directory = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t, server);
  const trust = async () => {
    await vault.write('sys/auth/jwt', { type: 'jwt' });
    await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
    await vault.write('auth/jwt/role/app', { ...ROLE, ...role });
  };
  await trust();
  const writeJwt = async (claims: Record<string, unknown> = {}) => {
    await replaceByRename(join(directory, 'jwt'), await issuer.mint(claims));
  };
  await writeJwt(firstJwt);
  const address = addressOf === undefined ? vault.url : await addressOf(vault);
  const config = (over: Record<string, unknown> = {}) => ({
    vault: { address, timeout: '2s', ...vaultSettings, ...over },
    exchanges: {
      app: {
        source: { file: { path: join(directory, 'jwt') } },
        login: { role: 'app' },
        sinks: [{ file: { path: join(directory, 'token') } }],
      },
    },
    api: { listen: '127.0.0.1:0' },
    ops: { listen: '127.0.0.1:0' },
  });
  const { daemon, log } = await runDaemon(t, config());
  const tokenNow = () => readFile(join(directory, 'token'), 'utf8').catch(() => undefined);
  const failure = () => daemon.exchanges.views()[0]?.status().failure;
  const failing = (...codes: ErrorCode[]) =>
    until(codes.join(), () => codes.includes(failure()?.code ?? 'internal') && failure(), 30_000);
  const another = (than: string | undefined) => untilChanged(join(directory, 'token'), than, RECOVERY_MS);
  const count = (path: string) => vault.audited().filter((one) => one === path).length;
  return { directory, issuer, vault, trust, writeJwt, config, daemon, log, tokenNow, failure, failing, another, count };
}

type World = Awaited<ReturnType<typeof setUp>>;

/** A fault under which a login is wanted, from its begin to the token after its end. */
async function survive(
  world: World,
  fault: { begin: () => unknown; codes: ErrorCode[]; end: () => unknown },
): Promise<void> {
  const { writeJwt, failing, another, tokenNow, daemon, count } = world;
  const first = await until('the first token', tokenNow);
  const startedAt = performance.now();
  await fault.begin();
  await writeJwt();
  const { hint } = await failing(...fault.codes);
  assert.ok(hint.length > 10);
  assert.equal(await tokenNow(), first, 'the old token stays');
  assert.equal((await fetch(`${daemon.ops}/readyz`)).status, 200, 'and serves');
  await fault.end();
  await another(first);
  const minutes = Math.ceil((performance.now() - startedAt) / 60_000);
  assert.ok(count('auth/jwt/login') <= 12 * minutes, `${count('auth/jwt/login')} logins in ${minutes} min`);
}

test('sealed, and unsealed again (C1)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, { begin: () => vault.seal(), codes: ['vault_sealed'], end: () => vault.unseal() });
});

test('killed, and back on the same storage (C2)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, { begin: () => vault.kill(), codes: ['vault_unreachable'], end: () => vault.start() });
});

test('back with another storage: the old token is unknown, which its renewal tells (C14, C28)', async (t) => {
  const { vault, trust, tokenNow, another, log } = await setUp(t, { role: { ttl: '8s' } });
  const first = await until('the first token', tokenNow);
  await vault.kill();
  await vault.startAnew();
  await trust();
  const second = await another(first);
  const { status } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': second });
  assert.equal(status, 200);
  assert.ok(log.some((line) => /renewal_denied|vault_unreachable|login_forbidden/.test(line)));
});

test('storage is restored from before the login: the renewal tells, and a new token is there within two seconds (C28)', async (t) => {
  const { vault, writeJwt, tokenNow, another, log } = await setUp(t, { role: { ttl: '20s' } });
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
  const statusOf = async (token: string) =>
    (await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token })).status;
  assert.deepEqual([await statusOf(second), await statusOf(await another(second))], [403, 200]);
  const at = (text: string) => Date.parse(JSON.parse(log.findLast((line) => line.includes(text)) ?? '{}').time);
  assert.ok(at('"logged_in"') - at('"renewal_denied"') <= 2000);
});

test('the role is deleted, and written again (C10, C16)', async (t) => {
  const world = await setUp(t);
  const { vault } = world;
  await survive(world, {
    begin: () => vault.call('DELETE', 'auth/jwt/role/app'),
    codes: ['role_missing'],
    end: () => vault.write('auth/jwt/role/app', ROLE),
  });
});

test('a token that may not renew itself is replaced by logging in, and soon no renewal is tried any more (C15)', async (t) => {
  const { vault, tokenNow, another, count } = await setUp(t, { role: { ttl: '6s', token_no_default_policy: true } });
  let token = await until('the first token', tokenNow);
  for (let generation = 0; generation < 4; generation += 1) token = await another(token);
  // two tokens, each asked about twice: a young token's refusal may be a replica that lags
  assert.ok(count('auth/token/renew-self') <= 4, `${count('auth/token/renew-self')} renewals`);
  assert.ok(count('auth/jwt/login') <= 7);
  assert.equal((await vault.call('GET', 'sys/health')).status, 200);
});

test('the token is revoked: its renewal tells, and a new one is there (C14)', async (t) => {
  const { vault, tokenNow, another } = await setUp(t, { role: { ttl: '8s' } });
  const first = await until('the first token', tokenNow);
  await vault.write('auth/token/revoke', { token: first });
  await another(first);
});

test("the issuer's keys rotate while Vault has the old ones (C9)", async (t) => {
  const { issuer, writeJwt, tokenNow, another } = await setUp(t);
  const first = await until('the first token', tokenNow);
  await issuer.rotateKeys(false);
  await writeJwt();
  await another(first);
});

test('the issuer is down when Vault needs its new keys (C9)', async (t) => {
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

test('a JWT of an issuer whose clock is ahead is used as soon as Vault takes it (C11)', async (t) => {
  const { writeJwt, tokenNow, another, failing } = await setUp(t);
  const first = await until('the first token', tokenNow);
  const ahead = Math.floor(Date.now() / 1000) + 66;
  await writeJwt({ nbf: ahead, iat: ahead });
  await failing('jwt_not_yet_valid');
  assert.equal(await tokenNow(), first);
  await another(first);
});

test('an expired JWT is told, and not sent again and again (A15)', async (t) => {
  const expired = { exp: Math.floor(Date.now() / 1000) - 3600 };
  const { daemon, writeJwt, tokenNow, failing, count } = await setUp(t, { firstJwt: expired });
  await failing('jwt_expired');
  daemon.refresh();
  assert.ok(count('auth/jwt/login') <= 2);
  await writeJwt();
  await until('a token', tokenNow, RECOVERY_MS);
});

for (const [mischief, codes] of [
  ['hold', ['vault_timeout']],
  ['cut', ['vault_connection_lost']],
  ['truncate', ['vault_connection_lost', 'bad_response']],
] as const) {
  test(`a proxy before Vault does "${mischief}" to its replies (D4, D6, C25)`, async (t) => {
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

async function tlsFiles(t: TestContext, name = '127.0.0.1') {
  const directory = await temporaryDirectory(t);
  const at = (file: string) => join(directory, file);
  const files = { certFile: at('cert.pem'), keyFile: at('key.pem'), caFile: at('admin-ca.pem') };
  const renew = async (ca = makeCa(directory, `ca-${performance.now()}`)) => {
    const { cert, key } = ca.issue({ name });
    await Promise.all([
      writeFile(files.certFile, cert),
      writeFile(files.keyFile, key),
      writeFile(files.caFile, ca.cert),
    ]);
    return ca;
  };
  const first = await renew();
  await writeFile(at('ca.pem'), first.cert);
  return { files, renew, sidecarCa: at('ca.pem') };
}

test("Vault's certificate is of another CA; the new CA file is used at once (E2)", async (t) => {
  const { files, renew, sidecarCa } = await tlsFiles(t);
  const world = await setUp(t, { server: { tls: files }, vaultSettings: { tls: { ca_file: sidecarCa } } });
  const { vault } = world;
  let ca = '';
  await survive(world, {
    begin: async () => {
      await vault.kill();
      ca = (await renew()).cert;
      await vault.start(ca);
    },
    codes: ['vault_tls'],
    end: () => writeFile(sidecarCa, ca),
  });
});

test("a name that isn't in Vault's certificate is refused; server_name, reloaded, mends it (E4)", async (t) => {
  const name = 'vault.example.com';
  const { files, sidecarCa } = await tlsFiles(t, name);
  const { daemon, config, failing, tokenNow } = await setUp(t, {
    server: { tls: { ...files, name } },
    vaultSettings: { tls: { ca_file: sidecarCa } },
  });
  const { evidence } = await failing('vault_tls');
  assert.match(evidence ?? '', /127\.0\.0\.1|altname|ALTNAME/i);
  const tls = { ca_file: sidecarCa, server_name: name };
  await daemon.reload(settingsOf(config({ tls })));
  await until('a token', tokenNow, RECOVERY_MS);
});

test('a standby serves by forwarding; the active node steps down during a login, which is made again (C30)', async (t) => {
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
    'the standby may vote',
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
  // the administrator's, the two that were in the file, and one at most whose answer was lost
  assert.ok(keys.length >= 3 && keys.length <= 4, `${keys.length} tokens`);
});
