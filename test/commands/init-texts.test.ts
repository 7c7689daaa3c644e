// What init prints with unusual flags: jobs and manifests are parsed as YAML, and their commands run in a shell.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Flags } from '../../src/commands/command.ts';
import { command as init } from '../../src/commands/init.ts';
import type { ConfigFile } from '../../src/config/schema.ts';
import { invoke } from '../support/invoke.ts';
import { printedJob } from '../support/printed-job.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { parseYaml } from '../support/yaml.ts';

const VAULT = { 'vault-address': 'https://vault.example.com:8200' };
const GITHUB = { argument: 'github', repository: 'o/r', ...VAULT };
const GITLAB = { argument: 'gitlab', issuer: 'gitlab', project: 'g/p', ...VAULT };
const KUBERNETES = { argument: 'kubernetes', issuer: 'k8s', 'service-account': 'app', ...VAULT };

/** Runs init in a directory of its own, where CI jobs take their config from. */
async function run(t: TestContext, flags: Flags) {
  const [before, directory] = [process.cwd(), await temporaryDirectory(t)];
  process.chdir(directory);
  try {
    const { config: file = 'config.json' } = flags;
    const { code, out, err } = await invoke(init, { config: file, ...flags });
    const config = await readFile(join(directory, String(file)), 'utf8').catch(() => undefined);
    return { code, out, err, config: config === undefined ? undefined : (JSON.parse(config) as ConfigFile) };
  } finally {
    process.chdir(before);
  }
}

const subjectIn = (config: ConfigFile | undefined) => Object.values(config?.exchanges ?? {})[0]?.expect?.subject;

/** Returns the words of a command as a shell reads them, without the program. */
const wordsOf = (command: string): string[] =>
  execFileSync('sh', ['-c', `printf '%s\\n' ${command.replace(/^\S+ /, '')}`], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');

/** Texts that YAML doesn't read as strings if they aren't quoted. */
const ODD = [
  'yes',
  'No',
  'null',
  '~',
  '1e3',
  '0x1f',
  '-1',
  '2026-11-01',
  '.5',
  'a: b',
  'a:',
  'a #b',
  '#a',
  '- a',
  '*a',
];
const ODDER = [
  '&a',
  '!a',
  '|',
  '> a',
  '%a',
  '@a',
  '`a`',
  "it's",
  '"a"',
  '{a}',
  '[a]',
  'a, b',
  'a]',
  '? a',
  'a\\b',
  'é',
];

test("a job's environment is the text of the flag", async (t) => {
  const environments = ['production', 'eu/prod', ...ODD, ...ODDER];
  const printed: string[] = [];
  for (const environment of environments) {
    const { code, out, err, config } = await run(t, { ...GITHUB, environment });
    assert.equal(code, 0, err);
    assert.equal(subjectIn(config), `repo:o/r:environment:${environment.replaceAll(':', '%3A')}`);
    printed.push(out);
  }
  assert.deepEqual(
    printed.map(printedJob).map(({ environment }) => environment),
    environments,
  );
});

test('the commands of a job name the config, whatever its name is', async (t) => {
  const names = ['a b.json', 'a: b.json', "it's.json", 'a #b.json', '"a".json', '{a}.json', 'a;b.json', '`a`.json'];
  const printed: string[] = [];
  for (const config of names)
    for (const flags of [GITLAB, GITHUB]) {
      const { code, out, err } = await run(t, { ...flags, config });
      assert.equal(code, 0, err);
      printed.push(out);
    }
  const found = printed.map(printedJob).map(({ script, steps }) => {
    const lines = script ?? [/^docker[\s\S]*?[^\\]$/m.exec(steps.find(({ run }) => run)?.run ?? '')?.[0] ?? ''];
    return wordsOf(lines.find((line) => line.includes('once')) ?? '').slice(-3);
  });
  const expected = names.flatMap((name) => [name, `/config/${name}`].map((path) => ['once', '--config', path]));
  assert.deepEqual(found, expected);
});

test("a job's variables and tokens are the texts of the flags", async (t) => {
  const address = "https://va'ult`";
  const gitlab = printedJob((await run(t, { ...GITLAB, 'vault-address': address })).out);
  assert.deepEqual(gitlab.variables, { VAULT_ADDR: address });
  assert.deepEqual(gitlab.id_tokens, { VAULT_ID_TOKEN: { aud: 'https://gitlab.oidc.pub' } });
  const github = printedJob((await run(t, { ...GITHUB, 'vault-address': address })).out);
  const [set = ''] = /VAULT_ADDR=.*(?= VAULT_TOKEN)/.exec(github.steps.find(({ run }) => run)?.run ?? '') ?? [];
  assert.deepEqual(wordsOf(`- ${set}`), [`VAULT_ADDR=${address}`]);
  assert.deepEqual(github.permissions, { 'id-token': 'write', contents: 'read' });
});

test("a pod's names are strings", async (t) => {
  const names = ['123', '1e3', 'true', 'null', '0', '2026-11-01', 'app'];
  const manifests: string[] = [];
  for (const name of names) {
    const { out } = await run(t, { ...KUBERNETES, 'service-account': name, namespace: name });
    manifests.push(/<<'YAML'\n([\s\S]*)\nYAML$/.exec(out)?.[1] ?? '');
  }
  const pods = manifests.map(parseYaml) as { metadata: unknown; spec: { serviceAccountName: unknown } }[];
  assert.deepEqual(
    pods.map(({ metadata, spec }) => [metadata, spec.serviceAccountName]),
    names.map((name) => [{ name, namespace: name }, name]),
  );
});

test('names the next steps: a job of a CI system needs the committed config', async (t) => {
  const apply = '  vault-token-sidecar setup --config ci.json --apply';
  for (const flags of [GITHUB, GITLAB]) {
    const { err } = await run(t, { ...flags, config: 'ci.json' });
    assert.deepEqual(err.split('\n').slice(1), ['next:', apply, '  commit ci.json, and run the job']);
  }
  const { err } = await run(t, { ...KUBERNETES, config: "it's.json" });
  const quoted = `'it'\\''s.json'`;
  const commands = [`setup --config ${quoted} --apply`, `doctor --config ${quoted}`, `run --config ${quoted}`];
  assert.deepEqual(
    err.split('\n').slice(2),
    commands.map((one) => `  vault-token-sidecar ${one}`),
  );
});

test("GitHub's job hides the token in its log, and ends with the user's commands", async (t) => {
  const { out } = await run(t, GITHUB);
  const script = printedJob(out).steps.find(({ run }) => run)?.run ?? '';
  assert.deepEqual(script.trimEnd().split('\n').slice(-2), [
    'echo "::add-mask::$VAULT_TOKEN"',
    './deploy.sh # your commands, with VAULT_ADDR and VAULT_TOKEN set',
  ]);
});

/** [flags, the error] */
const REFUSED: readonly (readonly [Flags, RegExp])[] = [
  ...['https://a b', "https://a/'x", 'https://a/"x', 'https://a/$(id)', 'https://a/{x}', 'https://a\\b'].map(asIssuer),
  ...['https://u:p@a', 'https://a?x', 'https://a#x', 'https://', 'https:a', 'https://a:b', 'ftp://a', '--x'].map(
    asIssuer,
  ),
  [{ ...GITHUB, environment: 'a\x24{{ secrets.X }}' }, /^--environment must not contain "\$"/],
  ...['/etc/app.json', '../app.json', 'a/../../app.json', 'a/..'].flatMap((config) =>
    [GITHUB, GITLAB].map((flags): [Flags, RegExp] => [
      { ...flags, config },
      /^--config must be a path in the repository, without "\.\.": the job reads the config that you commit$/,
    ]),
  ),
  [{ ...GITHUB, config: '\x24{{ x }}.json' }, /^--config must not contain "\$"/],
  [{ ...GITLAB, config: '$X.json' }, /^--config must not contain "\$"/],
  [{ ...GITLAB, 'vault-address': 'https://$X' }, /^--vault-address must not contain "\$"/],
  [{ ...GITHUB, 'vault-address': 'https://\x24{{x}}' }, /^--vault-address must not contain "\$"/],
];

function asIssuer(issuer: string): [Flags, RegExp] {
  return [{ ...GITLAB, issuer }, /^--issuer must be a name such as k8s-prod, or a URL$/];
}

test('refuses values that would change what the platform reads, and writes nothing', async (t) => {
  for (const [flags, line] of REFUSED) {
    const { code, err, config } = await run(t, flags);
    assert.deepEqual([code, config], [2, undefined], JSON.stringify(flags));
    assert.match(err, line);
  }
});
