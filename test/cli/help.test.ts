// The help: what it lists, and its layout.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, type CommandName } from '../../src/cli/commands.ts';
import { helpOf, overview } from '../../src/cli/help.ts';
import { VAULT_VARIABLES, VTS_VARIABLES } from '../../src/config/variables.ts';
import { SCENARIOS } from '../../src/init/scenarios.ts';

const NAMES = Object.keys(COMMANDS) as CommandName[];

test('the overview lists every command with its summary', () => {
  const found = [...overview().matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) => name);
  assert.deepEqual(found, NAMES);
});

test('the help of a command has its flags, examples, variables and exit codes', () => {
  const help = helpOf('exec');
  for (const line of [
    /^Usage: vault-token-sidecar exec \[flags\] -- COMMAND \[ARGUMENT\.\.\.\]$/m,
    /^ {2}-c, --config FILE +the config file/m,
    /^ {6}--timeout DURATION +gives up the first login after this time \(default:\n +60s\)$/m,
    /^ {6}--keep +leaves the token/m,
    /^ {2}-h, --help +print this help$/m,
    /^Examples:\n {2}# Read a secret\n {2}vault-token-sidecar exec /m,
    /^Environment:\n {2}VTS_CONFIG +the config file; --config takes precedence$/m,
    /^ {2}126 +the command can't be started$/m,
  ])
    assert.match(help, line);
  assert.match(helpOf('once'), /^ {2}4 +Vault refused the login$/m);
});

test('the help of "run" names every variable of the config', () => {
  const help = helpOf('run');
  const names = [...Object.keys(VTS_VARIABLES), ...Object.keys(VAULT_VARIABLES).map((name) => `VAULT_${name}`)];
  for (const name of names) assert.match(help, new RegExp(`^ {2}${name} `, 'm'));
});

test('the help of "init" has the scenarios of init, with the flags of each', () => {
  assert.deepEqual(Object.keys(COMMANDS.init.argument?.choices ?? {}), Object.keys(SCENARIOS));
  const ofGitlab = /^Flags of gitlab:\n([\s\S]*?)\n\n/m.exec(helpOf('init'))?.[1] ?? '';
  assert.deepEqual([...ofGitlab.matchAll(/--[a-z-]+/g)].map(String), ['--project', '--ref-type', '--ref']);
});

test('lines have at most 80 characters, except examples and long words', () => {
  for (const text of [overview(), ...NAMES.map(helpOf)])
    for (const line of text.split('\n'))
      assert.ok(line.length <= 80 || /^ {2}(?:[A-Z_]+=|vault-token-sidecar |source )/.test(line), line);
});
