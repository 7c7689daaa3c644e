// Every command of the built program: its help, and the exit code and output stream of its errors.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cli } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const COMMANDS = [
  'run',
  'once',
  'exec',
  'validate',
  'schema',
  'doctor',
  'setup',
  'init',
  'status',
  'wait',
  'token',
  'token-helper',
  'refresh',
  'dev',
  'version',
];

test('--help lists every command, and every command has its own help', async () => {
  for (const flag of ['--help', '-h', 'help']) {
    const { code, out, err } = await cli([flag]);
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(
      [...out.matchAll(/^ {2}([\w-]+) {2,}\S/gm)].map(([, command]) => command),
      COMMANDS,
    );
  }
  await Promise.all(
    COMMANDS.map(async (command) => {
      const { code, out, err } = await cli([command, '--help']);
      assert.deepEqual([code, err], [0, ''], command);
      assert.match(out, new RegExp(`^vault-token-sidecar ${command}\\b`));
    }),
  );
});

test('prints the help and exits with 2 without a command', async () => {
  const { code, out } = await cli([]);
  assert.deepEqual([code, out], [2, (await cli(['--help'])).out]);
});

test('version and schema print only their result', async () => {
  for (const flag of ['version', '--version'])
    assert.match((await cli([flag])).out, /^vault-token-sidecar \d+\.\d+\.\d+ \(node v?\d+\.\d+\.\d+\)\n$/);
  assert.equal(JSON.parse((await cli(['schema'])).out).title, 'vault-token-sidecar config');
});

const NOBODY = '127.0.0.1:1';

/** Doctor reports failures on stdout; every other command prints them on stderr. */
const FAILURES: readonly (readonly [args: readonly string[], code: number, said: RegExp])[] = [
  [['run', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['run', 'more'], 2, /Unexpected argument 'more'/],
  [['once'], 2, /^VAULT_ADDR: is required without --config/],
  [['exec'], 2, /^vault-token-sidecar: exec needs a command after --/],
  [['validate', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['schema', '--config', 'x'], 2, /^vault-token-sidecar: Unknown option '--config'/],
  [['doctor', '--config', 'none.json'], 2, /config_invalid/],
  [['setup', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['init', 'mars'], 2, /^vault-token-sidecar: "init" takes one of /],
  [['status', '--ops', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['wait', '--ops', `http://${NOBODY}`, '--timeout', '100ms'], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['token', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['token-helper', 'get', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['refresh', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['dev', '--timeout', 'soon'], 2, /^vault-token-sidecar: --timeout must be a duration/],
  [['version', '--all'], 2, /^vault-token-sidecar: Unknown option '--all'/],
];

test('each failing command prints its error and exits with its exit code', async (t) => {
  const cwd = await temporaryDirectory(t);
  assert.deepEqual([...new Set(FAILURES.map(([[command]]) => command))], COMMANDS);
  await Promise.all(
    FAILURES.map(async ([args, expected, said]) => {
      const { code, out, err } = await cli(args, { cwd });
      assert.deepEqual([args, code], [args, expected], err);
      const [speaks, silent] = args[0] === 'doctor' ? [out, err] : [err, out];
      assert.match(speaks, said);
      assert.equal(silent, '');
    }),
  );
});
