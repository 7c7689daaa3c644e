// The Vault CLI with the sidecar as its token helper, set up as documented.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { sidecarInShell } from '../support/program.ts';
import { readmeBlock } from '../support/readme.ts';
import { untilChanged } from '../support/settling.ts';
import { runDaemon } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import { openRealVault } from './real-vault.ts';

const PAGE = ['docs/clients.md', 'Token helper'] as const;

async function setUp(t: TestContext) {
  const home = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', bound_subject: 'app' };
  await vault.write('auth/jwt/role/app', role);
  await writeFile(join(home, 'jwt'), await issuer.mint());
  const app = {
    source: { file: { path: join(home, 'jwt') } },
    login: { role: 'app' },
    sinks: [{ file: { path: join(home, 'token') } }],
  };
  const listen = { listen: '127.0.0.1:0' };
  const config = { vault: { address: vault.url }, exchanges: { app }, api: listen, ops: listen };
  const { daemon } = await runDaemon(t, config);
  const token = await untilChanged(join(home, 'token'), undefined);
  await writeFile(join(home, 'sidecar'), `#!/bin/sh\nexec ${sidecarInShell()} "$@"\n`);
  await chmod(join(home, 'sidecar'), 0o755);
  const helper = join(home, 'vault-token-helper');
  const wrapper = readmeBlock(...PAGE, 'bash').replace('/usr/bin/vault-token-sidecar', join(home, 'sidecar'));
  await writeFile(helper, wrapper);
  await chmod(helper, 0o755);
  const setting = readmeBlock(...PAGE, 'hcl').replace('/usr/local/bin/vault-token-helper', helper);
  await writeFile(join(home, '.vault'), setting);
  const env = {
    HOME: home,
    PATH: process.env['PATH'],
    VAULT_ADDR: vault.url,
    VTS_API_LISTEN: new URL(daemon.api).host,
  };
  const cli = (...args: string[]) =>
    new Promise<{ code: number; text: string }>((resolve) => {
      execFile(findVault(), args, { env }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), text: out + err }),
      );
    });
  return { vault, token, cli, daemon };
}

test('the Vault CLI uses the token of the sidecar, and login says that it stored nothing', async (t) => {
  const { vault, token, cli, daemon } = await setUp(t);
  const tokenInUse = async () => JSON.parse((await cli('token', 'lookup', '-format=json')).text).data.id;
  assert.equal(await tokenInUse(), token);
  const login = await cli('login', vault.root);
  assert.equal(login.code, 2);
  assert.match(login.text, /Error storing token: .*can't store the token: the Vault CLI uses the one of the running/);
  assert.equal(await tokenInUse(), token);
  await daemon.stop();
  const gone = await cli('token', 'lookup');
  assert.notEqual(gone.code, 0);
  assert.match(gone.text, /failed to get token from token helper: .*no sidecar answers at http/);
});
