// Finds a real Vault server: VAULT_BIN, `vault` or `bao` on PATH, or one built from the Go module in this directory.
// The build is cached, and takes about seven minutes on two cores.

import { spawnSync } from 'node:child_process';
import { goBuild } from '../support/tools.ts';

/** @throws Error with one line on what is missing */
export function findVault(): string {
  const given = process.env['VAULT_BIN'];
  if (given !== undefined && given !== '') return given;
  for (const name of ['vault', 'bao']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  return goBuild(import.meta.dirname, 'github.com/hashicorp/vault');
}
