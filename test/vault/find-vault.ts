// Where the real Vault server comes from: VAULT_BIN, a `vault` or `bao` on PATH, or one built from the Go module beside
// this file: built once a machine, about seven minutes on two cores.

import { spawnSync } from 'node:child_process';
import { goBuild } from '../support/tools.ts';

/** @throws Error with one line that says what is missing */
export function findVault(): string {
  const given = process.env['VAULT_BIN'];
  if (given !== undefined && given !== '') return given;
  for (const name of ['vault', 'bao']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  return goBuild(import.meta.dirname, 'github.com/hashicorp/vault');
}
