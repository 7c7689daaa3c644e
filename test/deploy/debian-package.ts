// Builds the .deb of the sidecar with its script, and a nodejs package instead of NodeSource's or a newer Debian's.

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };

export const PACKAGE = `dist/vault-token-sidecar_${packageJson.version}_all.deb`;

/** Builds the package, and returns the bytes of the .deb. */
export function buildPackage(): Buffer {
  execFileSync('sh', ['deploy/debian/build.sh'], { stdio: ['ignore', 'ignore', 'inherit'] });
  return readFileSync(PACKAGE);
}

/** @returns the path of a .deb with the current node */
export function buildNodejs(directory: string): string {
  const tree = mkdtempSync(join(directory, 'nodejs-'));
  chmodSync(tree, 0o755);
  mkdirSync(join(tree, 'DEBIAN'));
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  copyFileSync(process.execPath, join(tree, 'usr/bin/node'));
  const control = {
    Package: 'nodejs',
    Version: process.versions.node,
    Architecture: 'all',
    Maintainer: 'the tests <tests@example.com>',
    Description: 'stands in for the real one',
  };
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    Object.entries(control)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join(''),
  );
  const file = join(directory, 'nodejs.deb');
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, file], { stdio: ['ignore', 'ignore', 2] });
  return file;
}
