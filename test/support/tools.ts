// Provides the programs that only tests need: built or installed once on each machine, into a cache outside the
// checkout, or from Debian packages. A missing tool is an error, never a reason to skip a test.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'vault-token-sidecar');

/** Installs a program of a published Go module at an exact version, such as helm.sh/helm/v4/cmd/helm. */
export function goInstall(pkg: string, version: string): string {
  // Go leaves a major version suffix out of the program's name
  const name = basename(pkg.replace(/\/v\d+$/, ''));
  return made(`${name}-${version}`, (unfinished) => {
    const bin = `${unfinished}.bin`;
    go(['install', `${pkg}@${version}`], { env: { ...process.env, GOBIN: bin, GOFLAGS: '-ldflags=-s' } });
    renameSync(join(bin, name), unfinished);
    rmSync(bin, { recursive: true });
  });
}

/** Builds a program of, or a tool required by, the Go module in `directory`, whose go.mod and go.sum pin all versions. */
export function goBuild(directory: string, pkg: string, flags: readonly string[] = []): string {
  const name = basename(pkg) === '.' ? basename(directory) : basename(pkg);
  const sources = globSync(join(directory, '*.go')).sort();
  return made(`${name}-${digest(join(directory, 'go.sum'), ...sources)}`, (unfinished) =>
    go(['build', '-ldflags=-s -w', ...flags, '-o', unfinished, pkg], { cwd: directory }),
  );
}

/**
 * Returns the cached file or directory `name`, and creates it with `make` if it is missing. An unfinished one is never
 * cached. The name must change with the inputs of `make`.
 */
export function made(name: string, make: (unfinished: string) => void): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  process.stderr.write(`making ${name}, once for this machine\n`);
  const unfinished = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  make(unfinished);
  renameSync(unfinished, path);
  return path;
}

/** Installs the Debian packages that are missing. */
export function debian(...packages: readonly string[]): void {
  const missing = packages.filter(
    (name) => !spawnSync('dpkg', ['-s', name], { encoding: 'utf8' }).stdout?.includes('install ok installed'),
  );
  if (missing.length === 0) return;
  const apt = (...args: string[]) =>
    execFileSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...missing);
}

/** The first 16 hex digits of the SHA-256 of the files' contents, in order. */
export function digest(...files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

function go(args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv }): void {
  if (spawnSync('go', ['version']).status !== 0) throw new Error(`go ${args[0]} needs Go 1.25 or newer on the PATH`);
  execFileSync('go', args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
}
