// npm run test:vault: runs the tests that need a real Vault server. Fails without a server, unless VAULT_OPTIONAL=1 is
// set and CI is not. Arguments are passed to node --test.

import { spawnSync } from 'node:child_process';
import { runTests } from '../run.ts';
import { findVault } from './find-vault.ts';

async function main(): Promise<number> {
  let binary: string;
  try {
    binary = findVault();
  } catch (error) {
    process.stderr.write(
      `no Vault server (VAULT_BIN can name one): ${error instanceof Error ? error.message : error}\n`,
    );
    return process.env['VAULT_OPTIONAL'] === '1' && !process.env['CI'] ? 0 : 1;
  }
  process.stdout.write(spawnSync(binary, ['version'], { encoding: 'utf8' }).stdout);
  // the tests mostly wait for leases to end
  const flags = ['--test-concurrency=3', '--test-timeout=600000', ...process.argv.slice(2)];
  return runTests([...flags, 'test/vault/*.real.ts'], { ...process.env, VAULT_BIN: binary });
}

process.exitCode = await main();
