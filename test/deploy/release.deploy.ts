// The workflows, checked by linters and for our own rules. And the files of a release, built by the real script.
// Publishing and signing can't be tested here.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readmeBlock } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian, goInstall } from '../support/tools.ts';
import { installsByNpm } from './npm.ts';
import { nfpm } from './packages.ts';

const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const FILES = globSync('.github/workflows/*.yaml').sort();

/** Changes of yamllint's defaults. */
const YAML_RULES = [
  'line-length: {max: 130}',
  'document-start: disable',
  'truthy: {check-keys: false}',
  'braces: {min-spaces-inside: 1, max-spaces-inside: 1, min-spaces-inside-empty: 0}',
  'comments: {min-spaces-from-content: 1}',
];

/** All write permissions of the jobs. */
const WRITES: Readonly<Record<string, readonly string[]>> = {
  'release.yaml image': ['attestations', 'id-token', 'packages'],
  'release.yaml charts': ['id-token', 'packages'],
  'release.yaml publish': ['attestations', 'contents', 'id-token'],
};

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly { uses?: string; run?: string; with?: Readonly<Record<string, unknown>> }[];
  readonly 'timeout-minutes'?: number;
  readonly uses?: string;
}

interface Workflow {
  readonly permissions: object;
  readonly concurrency: object;
  readonly jobs: Readonly<Record<string, Job>>;
}

test('the workflows pass actionlint, shellcheck and yamllint', () => {
  debian('shellcheck', 'yamllint');
  const actionlint = goInstall('github.com/rhysd/actionlint/cmd/actionlint', 'v1.7.12');
  // actionlint silently skips the scripts if it doesn't find shellcheck
  says(actionlint, '-shellcheck=shellcheck', ...FILES);
  says('shellcheck', ...globSync(['.github/*.sh', 'deploy/archive/*.sh']));
  says('yamllint', '--strict', '-d', `{extends: default, rules: {${YAML_RULES.join()}}}`, '.github');
});

test('each action is pinned to a commit, with its version in a comment', () => {
  const uses = FILES.flatMap((file) => readFileSync(file, 'utf8').match(/^.*\buses:.*$/gm) ?? []);
  assert.ok(uses.length > 10);
  const ours = uses.filter((line) => /uses: \.\//.test(line));
  assert.deepEqual(ours, ['    uses: ./.github/workflows/ci.yaml']);
  const commits = new Map<string, string>();
  for (const line of uses.filter((one) => !ours.includes(one))) {
    const [, action = '', pin = ''] = /uses: ([\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$/.exec(line) ?? [];
    assert.ok(pin, line);
    assert.equal(commits.get(action) ?? pin, pin, `${action} in two versions`);
    commits.set(action, pin);
  }
});

test('the image is built from pinned digests, and SECURITY.md lists what floats', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8');
  assert.doesNotMatch(dockerfile, /^# *syntax=/m, 'BuildKit would fetch that image');
  const bases = dockerfile.match(/^FROM .*$/gm) ?? [];
  assert.equal(bases.length, 3);
  for (const base of bases) assert.match(base, /@sha256:[0-9a-f]{64}( AS \w+)?$/);
  assert.equal(bases[1], bases[0]?.replace('--platform=$BUILDPLATFORM ', '').replace('AS build', 'AS shell'));
  // emulation would need another image, which runs privileged
  const [, shipped = ''] = dockerfile.split(bases[1] ?? '');
  assert.doesNotMatch(shipped, /^RUN /m, 'it would run under emulation');
  const release = readFileSync('.github/workflows/release.yaml', 'utf8');
  assert.doesNotMatch(release, /qemu/);
  const [, floats = ''] =
    /^## What floats$([\s\S]*?)(^## |$(?![\s\S]))/m.exec(readFileSync('SECURITY.md', 'utf8')) ?? [];
  for (const [used, name] of Object.entries({ 'setup-buildx-action': 'BuildKit', 'sbom: true': 'SBOM scanner' })) {
    assert.ok(release.includes(used));
    assert.ok(floats.includes(name), name);
  }
});

test("pin-charts.sh sets the image's digest in both charts", async (t) => {
  const checkout = await temporaryDirectory(t);
  for (const part of ['.github', 'deploy/helm']) cpSync(part, join(checkout, part), { recursive: true });
  const pin = (text: string) => spawnSync(join(checkout, '.github/pin-charts.sh'), [text], { encoding: 'utf8' });
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  assert.deepEqual([pin('').status, pin('sha256:12').status, pin(digest.slice(7)).status], [2, 2, 2]);
  assert.deepEqual([pin(digest).status, pin(digest).status], [0, 0]);
  for (const chart of ['vault-token-sidecar', 'vault-token-sidecar-lib']) {
    const [before, after] = [process.cwd(), checkout].map((root) =>
      readFileSync(join(root, 'deploy/helm', chart, 'values.yaml'), 'utf8'),
    );
    assert.equal(after, before?.replace('digest: ""', `digest: ${digest}`), chart);
  }
});

test('set-names.sh replaces the stand-ins in all that is released', async (t) => {
  const checkout = await temporaryDirectory(t);
  for (const part of ['.github', 'deploy', 'src'])
    cpSync(part, join(checkout, part), { recursive: true, verbatimSymlinks: true });
  const set = (...names: string[]) => spawnSync(join(checkout, '.github/set-names.sh'), names, { encoding: 'utf8' });
  assert.deepEqual([set('https://github.com/a/b', 'ghcr.io').status, set('x/#', 'ghcr.io/some-owner').status], [2, 2]);
  const { status, stdout, stderr } = set('https://github.com/Some-Owner/sidecar', 'GHCR.io/Some-Owner');
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.equal(stdout, 'IMAGE=ghcr.io/some-owner/vault-token-sidecar\nCHARTS=ghcr.io/some-owner/charts\n');
  const texts = globSync('{deploy,src}/**', { cwd: checkout })
    .filter((path) => /\.(ts|yaml|json|tpl|txt)$/.test(path))
    .map((path) => readFileSync(join(checkout, path), 'utf8'))
    .join('\n');
  assert.deepEqual(texts.match(/.*(git|registry)\.example\.com.*/g), null);
  for (const named of [
    "IMAGE = 'ghcr.io/some-owner/vault-token-sidecar';",
    `image: ghcr.io/some-owner/vault-token-sidecar:${version}`,
    'repository: ghcr.io/some-owner/vault-token-sidecar',
    'runbook_url: https://github.com/Some-Owner/sidecar/blob/main/docs/runbooks.md#vaulttokenexpired',
  ])
    assert.ok(texts.includes(named), named);
});

test('each job has only the permissions that it needs', () => {
  const seen: Record<string, readonly string[]> = {};
  for (const [file, { permissions, concurrency, jobs }] of workflows()) {
    assert.deepEqual(permissions, {}, `${file}: jobs have no permissions by default`);
    assert.ok(concurrency, file);
    for (const [name, job] of Object.entries(jobs)) {
      const place = `${file} ${name}`;
      assert.ok(job.permissions, place);
      assert.ok(job['timeout-minutes'] ?? job.uses, `${place} may hang for hours`);
      const writes = Object.entries(job.permissions).filter(([, right]) => right === 'write');
      if (writes.length > 0) seen[place] = writes.map(([scope]) => scope).sort();
    }
  }
  assert.deepEqual(seen, WRITES);
});

test('no script contains an expression, and no checkout stores credentials', () => {
  for (const [file, { jobs }] of workflows()) {
    const steps = Object.values(jobs).flatMap((job) => job.steps ?? []);
    for (const { run, uses, with: options } of steps) {
      assert.doesNotMatch(run ?? '', /\$\{\{/, `${file}: pass it by env`);
      if (uses?.startsWith('actions/checkout@')) assert.equal(options?.['persist-credentials'], 'false', file);
    }
  }
});

test('release-files.sh builds the files of a release', async (t) => {
  const release = await temporaryDirectory(t);
  // test/deploy/standalone.deploy.ts has the real one
  const standalone = `vault-token-sidecar-${version}-linux-x64.tar.gz`;
  const built = join(await temporaryDirectory(t), standalone);
  writeFileSync(built, 'the standalone program');
  makeFiles(release, built);
  const deb = `vault-token-sidecar_${version}-1_all.deb`;
  const rpm = `vault-token-sidecar-${version}-1.noarch.rpm`;
  const archive = `vault-token-sidecar-${version}.tar.gz`;
  const contents = `vault-token-sidecar-${version}.cdx.json`;
  assert.deepEqual(
    readdirSync(release).sort(),
    ['SHA256SUMS', contents, archive, deb, rpm, standalone, 'config.schema.json'].sort(),
  );
  await t.test('they are reproducible', async (t) => {
    const again = await temporaryDirectory(t);
    makeFiles(again, built);
    for (const file of [archive, deb, rpm, 'config.schema.json'])
      assert.equal(sum(join(again, file)), sum(join(release, file)), file);
  });
  await t.test('the archive contains a working program and its licences', (t) =>
    runsFromArchive(t, join(release, archive)),
  );
  await t.test('npm installs the archive', (t) => installsByNpm(t, join(release, archive)));
  await t.test('the SBOM lists the shipped packages, and no development tools', () => {
    const { metadata, components } = JSON.parse(readFileSync(join(release, contents), 'utf8'));
    assert.deepEqual([metadata.component.name, metadata.component.version], ['vault-token-sidecar', version]);
    const names: string[] = components.map(({ purl }: { purl: string }) => decodeURIComponent(purl));
    for (const [name, wanted] of Object.entries<string>(dependencies)) {
      const [, alias = name, exact = wanted] = /^npm:(.+)@(.+)$/.exec(wanted) ?? [];
      assert.ok(names.includes(`pkg:npm/${alias}@${exact}`), `${alias} ${exact}`);
    }
    assert.ok(!names.some((name) => /esbuild|biome|typescript/.test(name)));
  });
  await t.test('the commands of docs/verify.md match the release', () =>
    verifies(release, [archive, deb, rpm, standalone]),
  );
});

async function runsFromArchive(t: TestContext, archive: string): Promise<void> {
  const directory = await temporaryDirectory(t);
  execFileSync('tar', ['-xzf', archive, '-C', directory]);
  const tree = join(directory, `vault-token-sidecar-${version}`);
  const shows = execFileSync(process.execPath, [join(tree, 'vault-token-sidecar.mjs'), 'version'], {
    encoding: 'utf8',
  });
  assert.match(shows, new RegExp(`\\b${version.replaceAll('.', '\\.')}\\b`));
  const notices = readFileSync(join(tree, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
  for (const name of Object.keys(dependencies).filter((one) => one !== 'prom-client'))
    assert.match(notices, new RegExp(`^${name} \\d`, 'm'));
}

/** Checks the block in docs/verify.md: the file names, the identity of the workflow, and the checksums. */
function verifies(release: string, files: readonly string[]): void {
  const block = readmeBlock('docs/verify.md', 'Verify a release', 'text');
  const workflow = `https://github.com/$owner/vault-token-sidecar/.github/workflows/release.yaml@refs/tags/v${version}`;
  assert.ok(block.includes(`release=${workflow}\n`));
  assert.ok(block.includes(` ghcr.io/$owner/vault-token-sidecar:${version}\n`));
  assert.ok(block.includes(` ${files[1]} `));
  const check = /^sha256sum .*$/m.exec(block)?.[0] ?? '';
  const said = execFileSync('sh', ['-c', check], { cwd: release, encoding: 'utf8' });
  for (const file of files) assert.ok(said.includes(`${file}: OK\n`), said);
}

/** Builds the files of a release. */
function makeFiles(directory: string, standalone: string): void {
  const env = { ...process.env, NFPM: nfpm(), STANDALONE: standalone };
  execFileSync('.github/release-files.sh', [directory], { stdio: ['ignore', 'ignore', 'inherit'], env });
}

const sum = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

function workflows(): (readonly [string, Workflow])[] {
  debian('python3-yaml');
  const toJson = 'import json, sys, yaml; print(json.dumps(yaml.load(sys.stdin, yaml.BaseLoader)))';
  return FILES.map((file) => {
    const json = execFileSync('/usr/bin/python3', ['-c', toJson], { input: readFileSync(file), encoding: 'utf8' });
    return [file.replace('.github/workflows/', ''), JSON.parse(json)];
  });
}

function says(program: string, ...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' }, program);
}
