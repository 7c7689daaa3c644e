// Where programs that only tests need come from: built or installed once a machine, into a cache outside the checkout, or
// from the system's packages. Whatever can't be had is an error that says which and why: nothing is passed over.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'vault-token-sidecar');

/** A program of a published Go module, at exactly that version, such as helm.sh/helm/v4/cmd/helm. */
export function goInstall(pkg: string, version: string): string {
  // the last part may be a major version: Go names the program after what stands before it
  const name = basename(pkg.replace(/\/v\d+$/, ''));
  return made(`${name}-${version}`, (unfinished) => {
    const bin = `${unfinished}.bin`;
    go(['install', `${pkg}@${version}`], { env: { ...process.env, GOBIN: bin, GOFLAGS: '-ldflags=-s' } });
    renameSync(join(bin, name), unfinished);
    rmSync(bin, { recursive: true });
  });
}

/** A program that a module of ours depends on as a tool, or is: `directory` has its go.mod and go.sum, which pin all. */
export function goBuild(directory: string, pkg: string, flags: readonly string[] = []): string {
  const name = basename(pkg) === '.' ? basename(directory) : basename(pkg);
  const sources = globSync(join(directory, '*.go')).sort();
  return made(`${name}-${digest(join(directory, 'go.sum'), ...sources)}`, (unfinished) =>
    go(['build', '-ldflags=-s -w', ...flags, '-o', unfinished, pkg], { cwd: directory }),
  );
}

/**
 * What `make` makes at the path it is given, kept in the cache under `name`: a file or a directory, there only when whole.
 * The name must change with whatever it is made of.
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

/** Debian packages, installed unless they are there. */
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
