// A shell for the whole way from a private issuer to a secret: it runs the commands that `init` prints, one by one, and keeps a
// transcript. Programs of the platforms are stand-ins; Vault, its CLI, curl and the sidecar are real.

import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { listenOn } from '../../src/dev/listen.ts';
import { runToEnd, sidecarInShell } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import type { Publisher } from './publisher.ts';

export interface Road {
  readonly directory: string;
  readonly transcript: readonly string[];
  /** Runs a command in the shell, and returns its output. It must succeed. */
  run(command: string): Promise<string>;
  /** Runs init, and returns what it printed as commands and comments, in order. */
  init(words: string): Promise<readonly string[]>;
  /** Shows this text in the transcript in place of another one. */
  show(text: string, shown: string): void;
  /** Copies the config, with the paths of the workload replaced by paths on this machine. */
  place(config: string, paths: Readonly<Record<string, string>>): Promise<void>;
}

/** What differs from run to run, and what the transcript shows instead. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/^\{"keys":.*$/gm, '{"keys":[...]}'],
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '7d2e3179-0a1b-4c2d-9e3f-5a6b7c8d9e0f'],
  [/^created_time .*$/gm, 'created_time       2026-11-01T12:00:00Z'],
];

/** @param platform answers the platforms' programs: gets the words of a command and its input, returns the output */
export async function openRoad(
  t: TestContext,
  publisher: Publisher,
  platform: (command: string, input: string) => Promise<string>,
): Promise<Road> {
  const directory = await temporaryDirectory(t);
  const control = await listenOn({}, async ({ body }) => {
    const [command = '', ...input] = String(body).split('\n');
    return { status: 200, body: await platform(command, input.join('\n')) };
  });
  t.after(() => control.close());
  const { ca, environment } = publisher;
  await writeFile(join(directory, 'ca.pem'), ca.cert);
  await writePrograms(directory, control.url, environment['HTTPS_PROXY'] ?? '');
  const env = {
    PATH: `${join(directory, 'bin')}:${process.env['PATH']}`,
    HOME: directory,
    NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem'),
    ...environment,
    NO_PROXY: '127.0.0.1',
  };
  const transcript: string[] = [];
  const texts = new Map([
    [`${directory}/`, ''],
    [directory, '/tmp/vault'],
  ]);
  const exports: string[] = [];
  const shown = (text: string): string =>
    VARIABLE.reduce(
      (all, [pattern, instead]) => all.replace(pattern, instead),
      [...texts].reduce((all, [from, to]) => all.replaceAll(from, to), text),
    );

  const runInShell = async (command: string) => {
    const script = ['exec < /dev/null', ...exports, command].join('\n');
    const { code, out, err } = await runToEnd(['sh', '-ec', script], { env, cwd: directory });
    assert.equal(code, 0, `${command}\n${out}${err}`);
    if (command.startsWith('export ')) exports.push(command);
    return { out, err };
  };
  const note = (command: string, output: string) => {
    const lines = output.split('\n').filter((line) => !line.startsWith('{"level"'));
    transcript.push(
      ...shown(`$ ${command}\n${lines.join('\n')}`)
        .trimEnd()
        .split('\n'),
      '',
    );
  };
  return {
    directory,
    transcript,
    show: (text, instead) => void texts.set(text, instead),
    async run(command) {
      const { out, err } = await runInShell(command);
      note(command, `${err}${out}`);
      return out;
    },
    async init(words) {
      const command = `vault-token-sidecar init ${words}`;
      const { out, err } = await runInShell(command);
      note(command, err);
      return out.trim().split(/\n{2,}/);
    },
    async place(config, paths) {
      const text = await readFile(join(directory, config), 'utf8');
      const placed = Object.entries(paths).reduce((all, [from, to]) => all.replaceAll(from, to), text);
      await writeFile(join(directory, config), placed);
    },
  };
}

/** Returns the commands of a part of what init printed: without its comments. Empty if it is only a comment. */
export const commandOf = (part: string): string =>
  part
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');

/** Returns the script of a CI job that init printed as a comment. */
export const jobScript = (part: string): readonly string[] =>
  [...part.replace(/^[\s\S]*\n# {3}script:\n/, '').matchAll(/^# {5}- (.*)$/gm)].map(([, line = '']) => line);

async function writePrograms(directory: string, control: string, proxy: string): Promise<void> {
  const ask = (program: string) =>
    `{ echo "${program} $*"; cat; } | /usr/bin/curl -sSf --noproxy '*' --data-binary @- '${control}/'`;
  const programs = {
    'vault-token-sidecar': `exec ${sidecarInShell()} "$@"`,
    vault: `HTTPS_PROXY= exec '${findVault()}' "$@"`,
    curl: `exec /usr/bin/curl --cacert '${join(directory, 'ca.pem')}' --proxy '${proxy}' "$@"`,
    kubectl: ask('kubectl'),
    docker: ask('docker'),
    oidcpub: ask('oidcpub'),
  };
  await mkdir(join(directory, 'bin'));
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(directory, 'bin', name), `#!/bin/sh\n${script}\n`);
    await chmod(join(directory, 'bin', name), 0o755);
  }
}
