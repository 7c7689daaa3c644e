// The documented ways to start the program, as shell commands that work in a checkout.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { NODE_FLAGS } from '../support/node-flags.ts';

const ROOT = join(import.meta.dirname, '../..');
export const PROGRAM = join(ROOT, 'dist/vault-token-sidecar.mjs');

const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The first line of the program that npm links. */
export const HASHBANG = (): string => readFileSync(PROGRAM, 'utf8').split('\n', 1)[0] ?? '';

/** `vault-token-sidecar` on the image's PATH. */
export const IMAGE_LAUNCHER: string = text('deploy/image/vault-token-sidecar');

/** `vault-token-sidecar` of the packages. */
export const LAUNCHER: string = text('deploy/packages/vault-token-sidecar.sh');

export const SCRIPTS: Readonly<Record<'dev' | 'start', string>> = packageJson.scripts;

/** Shell commands; PATH must start with the directory of the tests' node. */
export function waysToStart(): Readonly<Record<string, string>> {
  const inPlace = (command: string) =>
    command
      .replaceAll('/usr/lib/vault-token-sidecar/', `${dirname(PROGRAM)}/`)
      .replaceAll('/app/', `${dirname(PROGRAM)}/`)
      .replaceAll(/\/(usr|nodejs)\/bin\/node\b/g, process.execPath);
  const [, script = ''] = /^#!.*\n([\s\S]*)$/.exec(IMAGE_LAUNCHER) ?? [];
  return {
    'the image': `exec ${process.execPath} ${NODE_FLAGS.join(' ')} ${PROGRAM} run`,
    "the image's launcher": `exec ${process.execPath} --disable-sigusr1 -e '${inPlace(script).replaceAll("'", '"')}' - run`,
    'the launcher of the packages': inPlace(LAUNCHER).replace('"$@"', 'run'),
    'the program that npm links': `exec ${PROGRAM} run`,
    'npm start': `cd '${ROOT}' && exec npm start`,
    'npm run dev': `cd '${ROOT}' && exec npm run dev`,
  };
}
