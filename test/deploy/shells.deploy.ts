// What a shell's user sees: completion in zsh and fish, and the manual.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cli } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';

const CASES: readonly (readonly [line: string, ...replies: readonly string[]])[] = [
  ['sta', 'status'],
  ['tok', 'token', 'token-helper'],
  ['completion ', 'bash', 'fish', 'zsh'],
  ['help refr', 'refresh'],
  ['init kub', 'kubernetes'],
  ['status --j', '--json'],
  ['wait --timeout '],
  ['exec --on-new-token SIGH', 'SIGHUP'],
  ['exec --keep -- mandoc-no-such'],
];

async function scriptOf(shell: string, directory: string): Promise<string> {
  const script = join(directory, `script.${shell}`);
  await writeFile(script, (await cli(['completion', shell])).out);
  return script;
}

const sorted = (text: string) => [...new Set(text.split('\n').filter((line) => line.trim() !== ''))].sort();

test('fish completes commands, flags and their values', async (t) => {
  debian('fish');
  const script = await scriptOf('fish', await temporaryDirectory(t));
  const complete = (line: string) => {
    const words = ['--no-config', '-c', `source ${script}; complete -C 'vault-token-sidecar ${line}'`];
    return sorted(execFileSync('fish', words, { encoding: 'utf8' }).replaceAll(/\t.*/g, ''));
  };
  for (const [line, ...replies] of CASES) assert.deepEqual(complete(line), replies, line);
  assert.deepEqual(complete('exec --on-new-token=rest'), ['--on-new-token=restart']);
  assert.deepEqual(complete('run --config /etc/hostn'), ['/etc/hostname']);
  assert.ok(complete('exec -- basen').includes('basename'));
});

/** Completes the lines in an interactive zsh on a pseudo-terminal; each reply ends with a line "---". */
const ZSH_DRIVER = `zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "source $1"
shift
for line in "$@"; do zpty -w -n shell "$line"$'\\t\\C-t'; done
zpty -w shell exit
while zpty -r shell output; do :; done`;

const zshSetUp = (script: string, replies: string): string => `PS1=
autoload -Uz compinit
compinit -u -D
source ${script}
compadd() {
  if (( \${@[(I)-[OAD]]} )); then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -O hits "$@"
  print -rl -- $hits >> ${replies}
}
finish() {
  print -r -- --- >> ${replies}
  BUFFER=
}
zle -N finish
bindkey '^I' list-choices
bindkey '^T' finish`;

test('zsh completes commands, flags and their values', async (t) => {
  debian('zsh');
  const directory = await temporaryDirectory(t);
  const script = await scriptOf('zsh', directory);
  const [driver, setUp, replies] = [join(directory, 'driver'), join(directory, 'set-up'), join(directory, 'replies')];
  await writeFile(driver, ZSH_DRIVER);
  await writeFile(setUp, zshSetUp(script, replies));
  const cases = [
    ...CASES,
    ['exec --on-new-token=rest', 'restart'],
    ['run --config /etc/hostn', 'hostname'],
    ['exec -- cat /etc/hostn', 'hostname'],
    ['exec --keep -- basen', 'basename', 'basenc'],
  ] as const;
  const lines = cases.map(([line]) => `vault-token-sidecar ${line}`);
  execFileSync('zsh', ['-f', driver, setUp, ...lines], { timeout: 120_000 });
  const offered = (await readFile(replies, 'utf8')).split('---\n').slice(0, -1).map(sorted);
  assert.deepEqual(
    offered.map((words, index) => [cases[index]?.[0], ...words]),
    cases,
  );
});

test('the manual passes the checks of mandoc and groff', () => {
  debian('mandoc', 'groff');
  const page = 'docs/vault-token-sidecar.1';
  assert.equal(execFileSync('mandoc', ['-T', 'lint', '-W', 'warning', page], { encoding: 'utf8' }), '');
  execFileSync('groff', ['-man', '-ww', '-z', page], { stdio: ['ignore', 'ignore', 'inherit'] });
  const shown = execFileSync('mandoc', ['-T', 'utf8', page], { encoding: 'utf8' }).replaceAll(/.[\b]/g, '');
  assert.match(shown, /vault-token-sidecar exec \[flags\] -- COMMAND/);
});
