// The log of the daemon: JSON lines, text on a terminal, and priorities for systemd's journal.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sidecarCommand, sidecarInShell } from '../support/program.ts';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { openPeers } from '../support/sidecar.ts';

const PATH = process.env['PATH'] ?? '';

async function configFile(t: TestContext, format?: string): Promise<string> {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const file = join(peers.directory, 'config.json');
  await writeFile(file, JSON.stringify({ ...peers.config(), log: { format } }));
  return file;
}

/** Runs a command until its output contains "ready". @returns the output */
async function outputOf(t: TestContext, command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env: { PATH, ...env }, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const end = () => process.kill(-(child.pid ?? 0), 'SIGTERM');
  scopeOf(t).after(() => child.exitCode === null && child.signalCode === null && end());
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until('it is ready', () => /\bready\b/.test(said), 20_000);
  end();
  await once(child, 'exit');
  return said;
}

/** The command in a terminal of its own. */
const inTerminal = (file: string): readonly string[] => [
  'script',
  '--quiet',
  '--return',
  '--command',
  `exec ${sidecarInShell()} run --config ${file}`,
  '/dev/null',
];

test('a terminal shows text, in colours unless NO_COLOR is set; a pipe gets JSON', async (t) => {
  const file = await configFile(t);
  const [shown, plain, piped] = await Promise.all([
    outputOf(t, inTerminal(file)),
    outputOf(t, inTerminal(file), { NO_COLOR: '1' }),
    outputOf(t, [...sidecarCommand(), 'run', '--config', file]),
  ]);
  assert.ok(shown.includes('Z  \x1b[32minfo \x1b[0m  app: logged in (accessor='));
  assert.match(plain, /^\d\d:\d\d:\d\dZ {2}info {3}app: ready\r?$/m);
  assert.ok(
    piped
      .trim()
      .split('\n')
      .every((line) => JSON.parse(line).event),
  );
});

test('log.format wins over the terminal', async (t) => {
  const [json, text] = await Promise.all([
    outputOf(t, inTerminal(await configFile(t, 'json'))),
    outputOf(t, [...sidecarCommand(), 'run', '--config', await configFile(t, 'text')]),
  ]);
  assert.match(json, /^\{"level":"info".*"event":"ready"/m);
  assert.match(text, /^\d\d:\d\d:\d\dZ {2}info {3}app: ready$/m);
});

test('lines for the journal begin with their priority', async (t) => {
  const file = await configFile(t);
  const output = openSync(`${file}.log`, 'w');
  scopeOf(t).after(() => closeSync(output));
  const { dev, ino } = fstatSync(output);
  const [program = '', ...args] = [...sidecarCommand(), 'run', '--config', file];
  const child = spawn(program, args, {
    env: { PATH, JOURNAL_STREAM: `${dev}:${ino}` },
    stdio: ['ignore', output, 'inherit'],
  });
  scopeOf(t).after(() => child.kill('SIGKILL'));
  await until(
    'it is ready',
    () => /^<6>\{"level":"info".*"event":"ready"/m.test(readFileSync(`${file}.log`, 'utf8')),
    20_000,
  );
  // another stream of that name, such as a pipe of a child process
  const other = await outputOf(t, [...sidecarCommand(), 'run', '--config', file], { JOURNAL_STREAM: `${dev}:${ino}` });
  assert.match(other, /^\{/);
});
