// Children with fewer rights than the tests may have, or in a world of their own: what root is never refused, and file
// systems that are full or read-only. Each runs a module's text from the repository's root, and answers what it printed.

import { execFileSync, spawnSync } from 'node:child_process';

const MODULE = ['--input-type=module', '-e'];

const DROP_RIGHTS = `
  import { chownSync } from 'node:fs';
  const directory = process.argv[1];
  if (process.getuid() === 0) {
    chownSync(directory, 65534, 65534);
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
  }`;

/** Runs `module` as an ordinary user who owns `directory`, which it has as a constant. */
export function runUnprivileged(directory: string, module: string): string {
  return execFileSync(process.execPath, [...MODULE, DROP_RIGHTS + module, directory], { encoding: 'utf8' }).trim();
}

/** Runs `module` in its own user and mount namespace, after `shell`, which has `directory` as $1. */
export function runInNamespace(directory: string, shell: string, module: string): string {
  const script = `set -e; ${shell}\nexec "$2" ${MODULE.join(' ')} "$3" "$1"`;
  const constant = 'const directory = process.argv[1];';
  const child = ['-Urm', 'sh', '-c', script, 'sh', directory, process.execPath, constant + module];
  return execFileSync('unshare', child, { encoding: 'utf8' }).trim();
}

/** For a test's `skip`: why there can be no namespaces, or false. */
export function withoutNamespaces(): string | false {
  const { status } = spawnSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'none', '/tmp'], { stdio: 'ignore' });
  return status !== 0 && 'user and mount namespaces are not allowed here';
}
