// Builds the .deb and the .rpm of the sidecar with their script, and packages of nodejs instead of a distribution's.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { goInstall } from '../support/tools.ts';

const { version } = packageJson;
export const DEB = `dist/vault-token-sidecar_${version}-1_all.deb`;
export const RPM = `dist/vault-token-sidecar-${version}-1.noarch.rpm`;

/** The path of nfpm, in the version of the script. */
export function nfpm(): string {
  const [, path = '', exact = ''] = /go run (\S+)@(\S+)\}/.exec(readFileSync('deploy/packages/build.sh', 'utf8')) ?? [];
  return goInstall(path, exact);
}

/** Builds the packages, and returns the bytes of both. */
export function buildPackages(): readonly Buffer[] {
  const env = { ...process.env, NFPM: nfpm() };
  execFileSync('sh', ['deploy/packages/build.sh'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  return [DEB, RPM].map((file) => readFileSync(file));
}

/**
 * Packs the current node.
 * @param provides what the package stands for besides, such as `nodejs(engine) = 26.10.0`
 * @returns the package's path
 */
export function packNode(directory: string, packager: 'deb' | 'rpm', provides: readonly string[] = []): string {
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'nfpm.json');
  const content = { src: process.execPath, dst: '/usr/bin/node', file_info: { mode: 0o755 } };
  writeFileSync(
    config,
    JSON.stringify({
      name: 'nodejs',
      version: process.versions.node,
      arch: 'all',
      maintainer: 'the tests <tests@example.com>',
      description: 'stands in for the real one',
      provides,
      contents: [content],
      deb: { compression: 'none' },
      rpm: { arch: 'noarch', compression: 'gzip:1' },
    }),
  );
  const file = join(directory, `nodejs.${packager}`);
  execFileSync(nfpm(), ['package', '--config', config, '--packager', packager, '--target', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}
