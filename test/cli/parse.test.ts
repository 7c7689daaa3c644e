// The command line: what is accepted, and one line for each mistake.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMMANDS } from '../../src/cli/commands.ts';
import type { Description } from '../../src/cli/description.ts';
import { parse } from '../../src/cli/parse.ts';
import { UsageError } from '../../src/host/io.ts';

const parsed = (line: string) => {
  const { name, flags, words } = parse(line === '' ? [] : line.split(' '));
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  return { name, flags: given, words };
};

test('parses flags in all their forms, arguments, and the words after --', () => {
  for (const [line, flags, words] of [
    ['run', {}, []],
    ['run -c a', { config: 'a' }, []],
    ['run -ca', { config: 'a' }, []],
    ['run --config=a', { config: 'a' }, []],
    ['run --config=--a', { config: '--a' }, []],
    ['run --config a --config b', { config: 'b' }, []],
    ['status --json --ops unix:/a', { json: true, ops: 'unix:/a' }, []],
    ['setup --apply -y', { apply: true, yes: true }, []],
    ['token-helper --exchange a get', { exchange: 'a', argument: 'get' }, []],
    ['init gitlab --ref main', { argument: 'gitlab', ref: 'main' }, []],
    ['exec --keep -- a --help -- b', { keep: true }, ['a', '--help', '--', 'b']],
    ['exec', {}, []],
  ] as const)
    assert.deepEqual(parsed(line), { name: line.split(' ')[0], flags, words }, line);
});

test('help and version have the usual forms', () => {
  const overview = { name: 'help', flags: {}, words: [] };
  for (const line of ['', '-h', '--help', 'help']) assert.deepEqual(parsed(line), overview, line);
  const ofRun = { ...overview, flags: { argument: 'run' } };
  for (const line of ['help run', 'run -h', 'run --help', 'run --confg x y --help'])
    assert.deepEqual(parsed(line), ofRun);
  for (const line of ['version', '-V', '--version']) assert.equal(parsed(line).name, 'version');
});

test('names each mistake in one line, and what was meant', () => {
  for (const [line, message] of [
    ['satus', 'unknown command "satus"; did you mean "status"?'],
    ['refersh', 'unknown command "refersh"; did you mean "refresh"?'],
    ['constructor', 'unknown command "constructor"; "vault-token-sidecar --help" lists them'],
    ['x'.repeat(80), `unknown command "${'x'.repeat(40)}..."; "vault-token-sidecar --help" lists them`],
    ['--config a run', 'unknown flag "--config"; flags come after the command'],
    ['--hlep', 'unknown flag "--hlep"; did you mean "--help"?'],
    ['run --hepl', 'unknown flag "--hepl"; did you mean "--help"?'],
    ['run -x', 'unknown flag "-x"; "vault-token-sidecar help run" lists the flags'],
    ['run --constructor', 'unknown flag "--constructor"; "vault-token-sidecar help run" lists the flags'],
    ['run --config', '--config needs a value: --config FILE'],
    ['run -c --json', '-c needs a value; write one that begins with "-" as --config=VALUE'],
    ['status --json=yes', '--json takes no value'],
    ['wait more', 'unexpected argument "more" of "wait"'],
    ['help run more', 'unexpected argument "more" of "help"'],
    ['exec env', 'exec needs -- before the command, such as: exec -- env'],
    ['exec node --version', 'exec needs -- before the command, such as: exec -- env'],
    ['completion', '"completion" takes one of bash, zsh, fish'],
    ['completion sh', '"completion" takes one of bash, zsh, fish'],
    ['init gitlab --namespace n', 'init gitlab has no --namespace'],
    ['token-helper store eyJhbGciOiJub25lIn0.eyJhIjoxfQ.x', 'unexpected argument "[redacted]" of "token-helper"'],
  ] as const)
    assert.throws(() => parsed(line), new UsageError(message), line);
});

test('any words are either parsed or refused in one line', () => {
  const word = fc.oneof(fc.constantFrom('run', 'exec', '--', '-', '--config', '-c', '--json', '='), fc.string());
  fc.assert(
    fc.property(fc.array(word), (words) => {
      try {
        parse(words);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
        assert.doesNotMatch(error.message, /\n/);
      }
    }),
  );
});

test('every description is complete', () => {
  for (const [name, description] of Object.entries<Description>(COMMANDS)) {
    const { summary, about, argument, flags, examples, environment = [] } = description;
    assert.match(summary, /^[a-z].*[^.]$/, name);
    assert.match(about, /\.$/, name);
    assert.ok(examples.length > 0, name);
    for (const { command } of examples) {
      const [, line = ''] = /vault-token-sidecar ([^>)]*)/.exec(command) ?? [];
      assert.equal(parse(line.trim().split(' ')).name, name, command);
    }
    for (const [flag, { meaning, of = [] }] of Object.entries(flags)) {
      assert.match(meaning, /[^.]$/, flag);
      for (const choice of of) assert.ok(choice in (argument?.choices ?? {}), flag);
    }
    assert.ok(!environment.some(([variable]) => variable === ''), name);
  }
});
