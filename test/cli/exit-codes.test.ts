// Every command of the built program: help, and the exit code and output stream of its errors.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { COMMANDS } from '../../src/cli/commands.ts';
import { helpOf, overview } from '../../src/cli/help.ts';
import { cli } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('every way to ask for help prints it to stdout and exits with 0', async () => {
  const outputs = await Promise.all(
    [['--help'], ['-h'], ['help'], ['run', '--confg', '--help'], ['run', '-h'], ['help', 'run'], ['exec', '-h']].map(
      async (args) => {
        const { code, out, err } = await cli(args);
        assert.deepEqual([code, err], [0, ''], args.join(' '));
        return out;
      },
    ),
  );
  const [ofRun, ofExec] = [`${helpOf('run')}\n`, `${helpOf('exec')}\n`];
  assert.deepEqual(outputs, [...Array(3).fill(`${overview()}\n`), ...Array(3).fill(ofRun), ofExec]);
});

test('prints the overview and exits with 2 without a command', async () => {
  assert.deepEqual(await cli([]), { code: 2, out: `${overview()}\n`, err: '' });
});

test('version and schema print only their result', async () => {
  const line =
    /^vault-token-sidecar \d+\.\d+\.\d+ \(commit ([0-9a-f]{40}(?:-dirty)?|unknown), node v?(\d+\.\d+\.\d+)\)\n$/;
  const [, commit, node_version] = line.exec((await cli(['version'])).out) ?? [];
  for (const flag of ['--version', '-V']) assert.match((await cli([flag])).out, line);
  const { version } = packageJson;
  const json = `${JSON.stringify({ version, commit, node_version }, undefined, 2)}\n`;
  assert.deepEqual(await cli(['version', '--json']), { code: 0, out: json, err: '' });
  assert.equal(JSON.parse((await cli(['schema'])).out).title, 'vault-token-sidecar config');
});

const NOBODY = '127.0.0.1:1';

/** Doctor reports failures on stdout; every other command prints them on stderr. */
const FAILURES: readonly (readonly [args: readonly string[], code: number, said: RegExp])[] = [
  [['run', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['run', 'more'], 2, /^vault-token-sidecar: unexpected argument "more" of "run"$/m],
  [['once'], 2, /^VAULT_ADDR: is required without --config/],
  [['exec'], 2, /^vault-token-sidecar: exec needs a command after --/],
  [['status', '--ops', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1\. Start it with .*--ops/],
  [['wait', '--ops', `http://${NOBODY}`, '--timeout', '100ms'], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['token', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['token-helper', 'get', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['refresh', '--api', `http://${NOBODY}`], 3, /no sidecar answers at http:\/\/127\.0\.0\.1:1/],
  [['init', 'mars'], 2, /^vault-token-sidecar: "init" takes one of /],
  [['setup', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['validate', '--config', 'none.json'], 2, /^can't read none\.json: ENOENT/],
  [['doctor', '--config', 'none.json'], 2, /config_invalid/],
  [['schema', '--config', 'x'], 2, /^vault-token-sidecar: unknown flag "--config"; /],
  [['dev', '--timeout', 'soon'], 2, /^vault-token-sidecar: --timeout must be a duration/],
  [['completion', 'sh'], 2, /^vault-token-sidecar: "completion" takes one of bash, zsh, fish$/m],
  [['help', 'rum'], 2, /^vault-token-sidecar: unknown command "rum"; did you mean "run"\?$/m],
  [['version', '--all'], 2, /^vault-token-sidecar: unknown flag "--all"; /],
];

test('each failing command prints its error and exits with its exit code', async (t) => {
  const cwd = await temporaryDirectory(t);
  assert.deepEqual([...new Set(FAILURES.map(([[command]]) => command))], Object.keys(COMMANDS));
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
