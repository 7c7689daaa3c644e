// Where the real Vault server comes from: VAULT_BIN, a `vault` or `bao` on PATH, or one built from the Go module beside
// this file into a cache outside the checkout, named after go.sum: built once a machine, about six minutes on two cores.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const MODULE = import.meta.dirname;

/** @throws Error with one line that says what is missing */
export function findVault(): string {
  const given = process.env['VAULT_BIN'];
  if (given !== undefined && given !== '') return given;
  for (const name of ['vault', 'bao']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  return cachedBuild();
}

function cachedBuild(): string {
  const sum = createHash('sha256')
    .update(readFileSync(join(MODULE, 'go.sum')))
    .digest('hex');
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'vault-token-sidecar');
  const binary = join(cache, `vault-${sum.slice(0, 16)}`);
  if (existsSync(binary)) return binary;
  if (spawnSync('go', ['version']).status !== 0)
    throw new Error(
      'no Vault server: set VAULT_BIN, put vault or bao on PATH, or install Go 1.25 or newer to build one',
    );
  process.stderr.write('building a Vault server, once for this machine: some minutes\n');
  mkdirSync(cache, { recursive: true });
  const unfinished = `${binary}.${process.pid}`;
  const build = ['build', '-ldflags=-s -w', '-o', unfinished, 'github.com/hashicorp/vault'];
  execFileSync('go', build, { cwd: MODULE, stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(unfinished, binary);
  return binary;
}
