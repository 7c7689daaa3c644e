// npm run test:vault: everything that is proven against a real Vault server. Without one it fails, unless VAULT_OPTIONAL=1.

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { findVault } from './find-vault.ts';

function main(): number {
  let binary: string;
  try {
    binary = findVault();
  } catch (error) {
    process.stderr.write(
      `no Vault server (VAULT_BIN can name one): ${error instanceof Error ? error.message : error}\n`,
    );
    return process.env['VAULT_OPTIONAL'] === '1' ? 0 : 1;
  }
  process.stdout.write(spawnSync(binary, ['version'], { encoding: 'utf8' }).stdout);
  const only = process.argv.slice(2);
  const files = globSync('test/vault/*.real.ts').sort();
  const child = spawnSync(process.execPath, ['--test', '--test-reporter=./test/faults/record.ts', ...only, ...files], {
    stdio: 'inherit',
    env: { ...process.env, VAULT_BIN: binary },
  });
  return child.status ?? 1;
}

process.exitCode = main();
