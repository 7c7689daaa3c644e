// An issuer, an in-memory Vault and the config of one exchange, for tests of the setup command.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { command as setup } from '../../src/commands/setup.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { invoke, type Surroundings } from '../support/invoke.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { adminOf } from '../vault/admin.ts';

export async function setUp(t: TestContext, members: Record<string, unknown> = {}) {
  const directory = await temporaryDirectory(t);
  const [issuer, vault] = await Promise.all([openIssuer(), openDevVault()]);
  t.after(() => Promise.all([issuer.close(), vault.close()]));
  const config = join(directory, 'config.json');
  const write = (over: Record<string, unknown> = {}) =>
    writeFile(
      config,
      JSON.stringify({
        vault: { address: vault.url },
        exchanges: {
          app: {
            source: { file: { path: join(directory, 'jwt') } },
            login: { role: 'app' },
            expect: { issuer: issuer.issuer, audience: 'vault', subject: 'app' },
            sinks: [{ file: { path: join(directory, 'token') } }],
            setup: {
              role: { token_policies: ['app-read'] },
              policies: { 'app-read': 'path "secret/app" { capabilities = ["read"] }' },
            },
            ...over,
          },
        },
      }),
    );
  await write(members);
  await writeFile(join(directory, 'jwt'), await issuer.mint());
  const operator = { VAULT_ADDR: vault.url, VAULT_TOKEN: ROOT_TOKEN };
  const run = (flags: Record<string, string | boolean> = {}, surroundings: Surroundings = { env: operator }) =>
    invoke(setup, { config, ...flags }, surroundings);
  return { operator, directory, issuer, vault, config, write, run, admin: adminOf(vault.url, {}, ROOT_TOKEN) };
}
