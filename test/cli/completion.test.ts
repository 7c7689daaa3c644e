// Completion in a real bash. test/deploy/shells.deploy.ts has zsh and fish.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { COMMANDS } from '../../src/cli/commands.ts';
import { cli } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Prints the replies for each line, which has the words as bash separates them. */
const DRIVER = `source "$1"
shift
for line in "$@"; do
  read -ra COMP_WORDS <<< "vault-token-sidecar $line"
  [[ $line == *[^\\ ] ]] || COMP_WORDS+=('')
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _vault_token_sidecar
  (IFS='|'; echo "\${COMPREPLY[*]}")
done`;

/** The lines with the replies. */
const CASES: readonly (readonly [line: string, ...replies: readonly string[]])[] = [
  ['', ...Object.keys(COMMANDS), '--help', '--version'],
  ['sta', 'status'],
  ['tok', 'token', 'token-helper'],
  ['run -', '--config', '--help'],
  ['status --j', '--json'],
  ['wait --timeout '],
  ['completion ', 'bash', 'zsh', 'fish'],
  ['completion --', '--help'],
  ['help refr', 'refresh'],
  ['init kub', 'kubernetes'],
  ['init gitlab --proj', '--project'],
  ['exec --on-new-token SIGH', 'SIGHUP'],
  // bash makes three words of --on-new-token=re
  ['exec --on-new-token = re', 'restart'],
  ['exec --on-new-token =', ...(COMMANDS.exec.flags['on-new-token']?.choices ?? [])],
  ['exec -- too', 'tool'],
  ['run --config here/a', 'here/a b.json'],
  ['run -c here/a', 'here/a b.json'],
  ['run --config = here/a', 'here/a b.json'],
  ['exec -- cat here/', 'here/a b.json'],
  ['nothing '],
];

test('bash completes commands, flags, their values, files, and the command of exec', async (t) => {
  const cwd = await temporaryDirectory(t);
  const { code, out } = await cli(['completion', 'bash']);
  assert.equal(code, 0);
  await writeFile(join(cwd, 'script'), out);
  for (const name of ['here', 'bin']) await mkdir(join(cwd, name));
  await writeFile(join(cwd, 'here/a b.json'), '');
  await writeFile(join(cwd, 'bin/tool'), '', { mode: 0o755 });
  const args = ['--norc', '--noprofile', '-c', DRIVER, 'bash', 'script', ...CASES.map(([line]) => line)];
  const { stdout } = await promisify(execFile)('/bin/bash', args, { cwd, env: { PATH: join(cwd, 'bin') } });
  const replies = stdout.split('\n').slice(0, -1);
  assert.deepEqual(
    replies.map((reply, index) => [CASES[index]?.[0], ...reply.split('|').filter(Boolean)]),
    CASES,
  );
});
