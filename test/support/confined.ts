// Child processes without privileges, or in their own namespaces: for permission errors, which root never gets, and for
// full or read-only file systems. Each runs the source of a module in the repository's root, and returns its output.

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

/** Runs `module` as an unprivileged user who owns `directory`; `directory` is a constant in the module. */
export function runUnprivileged(directory: string, module: string): string {
  return execFileSync(process.execPath, [...MODULE, DROP_RIGHTS + module, directory], { encoding: 'utf8' }).trim();
}

/** Runs the commands `shell`, with `directory` as $1, then `module`, in new user and mount namespaces. */
export function runInNamespace(directory: string, shell: string, module: string): string {
  const script = `set -e; ${shell}\nexec "$2" ${MODULE.join(' ')} "$3" "$1"`;
  const constant = 'const directory = process.argv[1];';
  const child = ['-Urm', 'sh', '-c', script, 'sh', directory, process.execPath, constant + module];
  return execFileSync('unshare', child, { encoding: 'utf8' }).trim();
}

/** For a test's `skip`: the reason why namespaces are unavailable, or false. */
export function withoutNamespaces(): string | false {
  const { status } = spawnSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'none', '/tmp'], { stdio: 'ignore' });
  return status !== 0 && 'user and mount namespaces are not allowed here';
}
