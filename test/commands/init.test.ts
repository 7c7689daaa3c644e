// init writes a valid config, prints the matching commands and manifests, and overwrites nothing without --overwrite.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Flags } from '../../src/commands/command.ts';
import { command as init } from '../../src/commands/init.ts';
import { command as setup } from '../../src/commands/setup.ts';
import { command as validate } from '../../src/commands/validate.ts';
import type { ConfigFile } from '../../src/config/schema.ts';
import { invoke } from '../support/invoke.ts';
import { readmeBlock } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const VAULT = { 'vault-address': 'https://vault.example.com:8200' };

/** [scenario, its flags, the expected `expect`, the role, text of the output beside the setup] */
const SCENARIOS: readonly (readonly [string, Flags, Record<string, unknown>, string, RegExp])[] = [
  [
    'kubernetes',
    { issuer: 'k8s-prod', 'service-account': 'my-app' },
    { issuer: 'https://k8s-prod.oidc.pub', audience: 'vault', subject: 'system:serviceaccount:default:my-app' },
    'my-app',
    /serviceAccountToken: \{ path: token, audience: vault/,
  ],
  [
    'kubernetes',
    { issuer: 'https://issuer.example/', namespace: 'team', 'service-account': 'my-app', role: 'r', policy: 'p' },
    { issuer: 'https://issuer.example/', audience: 'vault', subject: 'system:serviceaccount:team:my-app' },
    'r',
    /kubectl create configmap vault-token-sidecar --namespace team/,
  ],
  [
    'gitlab',
    { issuer: 'gitlab', project: 'mygroup/myproject' },
    {
      issuer: 'https://gitlab.oidc.pub',
      audience: 'https://gitlab.oidc.pub',
      subject: 'project_path:mygroup/myproject:ref_type:branch:ref:main',
    },
    'gitlab-main',
    /VAULT_ID_TOKEN: \{ aud: https:\/\/gitlab\.oidc\.pub \}/,
  ],
  [
    'gitlab',
    { issuer: 'gitlab', project: 'g/p', 'ref-type': 'tag', ref: 'v1' },
    {
      issuer: 'https://gitlab.oidc.pub',
      audience: 'https://gitlab.oidc.pub',
      subject: 'project_path:g/p:ref_type:tag:ref:v1',
    },
    'gitlab-main',
    /image: \S+-shell\n[\s\S]*VAULT_ADDR: https:\/\/vault\.example\.com:8200\n[\s\S]*once --config/,
  ],
  [
    'vault',
    { issuer: 'vault-prod', 'entity-id': 'e-1', 'source-address': 'https://source.example:8200' },
    { issuer: 'https://vault-prod.oidc.pub/v1/identity/oidc', audience: 'vault', subject: 'e-1' },
    'external-vault',
    /^vault write identity\/oidc\/config issuer=https:\/\/vault-prod\.oidc\.pub$/m,
  ],
  [
    'github',
    { repository: 'octo@1/repo@2', ref: 'refs/tags/v1' },
    {
      issuer: 'https://token.actions.githubusercontent.com',
      audience: 'vault',
      subject: 'repo:octo@1/repo@2:ref:refs/tags/v1',
    },
    'github-main',
    /permissions: \{ id-token: write, contents: read \}/,
  ],
  [
    'github',
    { issuer: 'https://forgejo.example/api/actions', repository: 'o/r', environment: 'prod', audience: 'v' },
    { issuer: 'https://forgejo.example/api/actions', audience: 'v', subject: 'repo:o/r:environment:prod' },
    'github-main',
    /\.forgejo\/workflows[\s\S]*enable-openid-connect: true\n# {3}environment: prod\n/,
  ],
  [
    'gce',
    { 'service-account-id': '1234' },
    { issuer: 'https://accounts.google.com', audience: 'vault', subject: '1234' },
    'app',
    /^sudo install -m 644 \S+ \/etc\/vault-token-sidecar\/app\.json$/m,
  ],
  [
    'azure',
    { 'tenant-id': 't', 'principal-id': 'p', audience: 'api://vault' },
    { issuer: 'https://sts.windows.net/t/', audience: 'api://vault', subject: 'p' },
    'app',
    /^sudo systemctl enable --now vault-token-sidecar@app$/m,
  ],
  [
    'azure',
    { issuer: 'https://login.microsoftonline.com/t/v2.0', 'principal-id': 'p', audience: 'client' },
    { issuer: 'https://login.microsoftonline.com/t/v2.0', audience: 'client', subject: 'p' },
    'app',
    /^sudo systemctl enable --now vault-token-sidecar@app$/m,
  ],
];

test('a machine serves its token on a socket of its group, and the next step runs as the user of the unit', async (t) => {
  const config = await start(t);
  const { err } = await invoke(init, { argument: 'gce', config, 'service-account-id': '1234', ...VAULT });
  const { api } = JSON.parse(await readFile(config, 'utf8')) as ConfigFile;
  assert.deepEqual(api, { listen: 'unix:/run/vault-token-sidecar/app/api.sock', socket_mode: '0660' });
  assert.match(err, /runuser -u vault-token-sidecar -- vault-token-sidecar doctor --config \/etc\//);
});

test("prints the issuer's own setting and how to publish it, before the setup of Vault", async (t) => {
  for (const [argument, flags, setting, command] of [
    [
      'kubernetes',
      { issuer: 'k8s-prod', 'service-account': 'a' },
      '--service-account-issuer=https://k8s-prod.oidc.pub',
      'kubectl create deployment oidcpub-sync --image=registry.gitlab.com/oidc.pub/cli:latest-sync',
    ],
    [
      'gitlab',
      { issuer: 'gitlab', project: 'g/p' },
      "gitlab_rails['ci_id_tokens_issuer_url'] = 'https://gitlab.oidc.pub'",
      'oidcpub service sync',
    ],
  ] as const) {
    const { out } = await invoke(init, { argument, config: await start(t), ...flags, ...VAULT });
    const places = [
      setting,
      command,
      `curl -sf https://${flags.issuer}.oidc.pub/.well-known/jwks.json`,
      'vault auth enable',
    ].map((text) => out.indexOf(text));
    assert.ok(
      places.every((at, index) => at > (places[index - 1] ?? -1)),
      `${places}`,
    );
    const elsewhere = { ...flags, issuer: 'https://issuer.example' };
    const plain = await invoke(init, { argument, config: await start(t), ...elsewhere, ...VAULT });
    assert.doesNotMatch(plain.out, /oidc\.pub\/cli/);
  }
});

test('normalises the address of an issuing Vault', async (t) => {
  for (const issuer of ['https://vault.a:8200', 'https://vault.a:8200/', 'https://vault.a:8200/v1/identity/oidc']) {
    const config = await start(t);
    const flags = { issuer, 'entity-id': 'e-1', 'source-address': 'https://vault.a:8200', ...VAULT };
    const { out } = await invoke(init, { argument: 'vault', config, ...flags });
    assert.match(out, /bound_issuer=https:\/\/vault\.a:8200\/v1\/identity\/oidc$/m);
    assert.match(out, /^vault write identity\/oidc\/config issuer=https:\/\/vault\.a:8200$/m);
  }
});

test('takes the namespace of the issuing Vault from its issuer, and leaves the shell of the next commands alone', async (t) => {
  const config = await start(t);
  const issuer = 'https://vault.a:8200/v1/team/identity/oidc';
  const flags = { issuer, 'entity-id': 'e-1', 'source-address': 'https://vault.a:8200', ...VAULT };
  const { out } = await invoke(init, { argument: 'vault', config, ...flags });
  assert.match(out, /bound_issuer=https:\/\/vault\.a:8200\/v1\/team\/identity\/oidc$/m);
  assert.match(out, /^vault write -namespace=team identity\/oidc\/config issuer=https:\/\/vault\.a:8200$/m);
  assert.doesNotMatch(out, /VAULT_NAMESPACE/);
});

test('quotes what it prints, and refuses names that would change a manifest or a policy', async (t) => {
  const config = await start(t);
  const flags = { issuer: 'x', 'entity-id': 'e-1', 'source-address': 'https://a$(id)', ...VAULT };
  const { out } = await invoke(init, { argument: 'vault', config, ...flags });
  assert.match(out, /^export VAULT_ADDR='https:\/\/a\$\(id\)'$/m);
  assert.match(out, /OIDC_SOURCE_URL='https:\/\/a\$\(id\)\/v1\/identity\/oidc'/);
  const hostile = { issuer: 'k8s-prod', 'service-account': 'a" { capabilities=["sudo"] } path "b', ...VAULT };
  const refused = await invoke(init, { argument: 'kubernetes', config: await start(t), ...hostile });
  assert.deepEqual(
    [refused.code, refused.err],
    [2, '--service-account must be lower-case letters, digits, "-" and "."'],
  );
  const next = await invoke(init, {
    argument: 'kubernetes',
    config: `${await start(t)}$&`,
    ...hostile,
    'service-account': 'a',
  });
  assert.match(next.err, /json\$&' --apply$/m);
});

test('splits the trust in a Vault that oidc.pub publishes: documents at the bare host, "iss" with the path', async (t) => {
  for (const [namespace, path] of [
    [undefined, '/v1/identity/oidc'],
    ['team/a', '/v1/team/a/identity/oidc'],
  ] as const) {
    const config = await start(t);
    const where = namespace === undefined ? {} : { 'source-namespace': namespace };
    const flags = {
      issuer: 'vault-prod',
      'entity-id': 'e-1',
      'source-address': 'https://source:8200',
      ...where,
      ...VAULT,
    };
    const { out } = await invoke(init, { argument: 'vault', config, ...flags });
    const { exchanges } = JSON.parse(await readFile(config, 'utf8')) as ConfigFile;
    assert.deepEqual(exchanges['federated']?.setup?.trust, {
      oidc_discovery_url: 'https://vault-prod.oidc.pub',
      bound_issuer: `https://vault-prod.oidc.pub${path}`,
    });
    assert.equal(exchanges['federated']?.expect?.issuer, `https://vault-prod.oidc.pub${path}`);
    assert.match(out, new RegExp(`OIDC_SOURCE_URL=https://source:8200${path} `));
    assert.match(out, /^curl -sf https:\/\/vault-prod\.oidc\.pub\/\.well-known\/jwks\.json$/m);
  }
});

test('prints the warnings of setup', async (t) => {
  const flags = { argument: 'gitlab', issuer: 'gitlab', project: 'g/p', ref: '*', ...VAULT };
  const { err } = await invoke(init, { config: await start(t), ...flags });
  assert.match(err, /^warning: exchange ci: bound_subject must match exactly/m);
});

const ROOT = process.cwd();

/** Changes to a new directory, as the config of a CI job is below the current one. Returns a path for it. */
async function start(t: TestContext): Promise<string> {
  process.chdir(await temporaryDirectory(t));
  t.after(() => process.chdir(ROOT));
  return 'my.json';
}

test('each scenario writes a valid config and prints its setup commands and further steps', async (t) => {
  for (const [argument, flags, expected, role, beside] of SCENARIOS) {
    const config = await start(t);
    const { code, out, err } = await invoke(init, { argument, config, ...VAULT, ...flags });
    assert.equal(code, 0, err);
    assert.ok(
      err.startsWith(`wrote ${resolve(config)}\nnext:\n  vault-token-sidecar setup --config my.json --apply\n`),
      err,
    );
    const { exchanges } = JSON.parse(await readFile(config, 'utf8')) as {
      exchanges: Record<string, { expect: unknown; login: { role: string } }>;
    };
    const [exchange] = Object.values(exchanges);
    assert.deepEqual([exchange?.expect, exchange?.login.role], [expected, role]);
    assert.equal((await invoke(validate, { config })).code, 0);
    const printed = await invoke(setup, { config });
    assert.deepEqual([printed.code, printed.err], [0, '']);
    assert.ok(out.includes(printed.out));
    assert.match(out, beside);
  }
});

test('prints the GitLab job that the documentation shows', async (t) => {
  const config = await start(t);
  const flags = { argument: 'gitlab', config, issuer: 'gitlab', project: 'mygroup/myproject', ...VAULT };
  const { out } = await invoke(init, flags);
  const shown = readmeBlock('docs/vault-setup.md', 'GitLab CI', 'yaml').trim();
  const printed = shown
    .replaceAll(/^/gm, '# ')
    .replace('gitlab.json', config)
    .replace(/:[\d.]+-shell/, ':0-shell');
  assert.ok(out.endsWith(`#\n${printed}`), out);
});

test('overwrites a config only with --overwrite', async (t) => {
  const config = await start(t);
  const flags = { argument: 'gitlab', config, issuer: 'gitlab', project: 'g/p', ...VAULT };
  await writeFile(config, 'mine');
  const refused = await invoke(init, flags);
  assert.deepEqual([refused.code, refused.err], [2, `${config} already exists: --overwrite replaces it`]);
  assert.equal(await readFile(config, 'utf8'), 'mine');
  assert.equal((await invoke(init, { ...flags, overwrite: true })).code, 0);
});

/** [flags, the error] */
const MISTAKES: readonly (readonly [Flags, RegExp])[] = [
  [{ argument: 'kubernetes', issuer: 'k8s', ...VAULT }, /^init kubernetes needs --service-account$/],
  [{ argument: 'gitlab', project: 'g/p', ...VAULT }, /^init gitlab needs --issuer$/],
  [{ argument: 'gitlab', project: 'g/p', issuer: 'a b', ...VAULT }, /^--issuer must be a name such as k8s-prod/],
  [{ argument: 'azure', 'tenant-id': 't', 'principal-id': 'p', ...VAULT }, /^init azure needs --audience$/],
  [{ argument: 'azure', audience: 'a', 'principal-id': 'p', ...VAULT }, /^init azure needs --tenant-id$/],
  [
    { argument: 'azure', audience: 'a', 'principal-id': 'p', 'tenant-id': 'a/b', ...VAULT },
    /^--tenant-id must be letters, digits, "-" and "\."$/,
  ],
  [
    { argument: 'gce', 'service-account-id': 'app@project.iam.gserviceaccount.com', ...VAULT },
    /^--service-account-id must be a number, the unique id of the service account$/,
  ],
  ...['repo', 'o/r/s', 'o /r', '/r', 'o/', 'https://github.com/o/r', 'o@a/r'].map(
    (repository) =>
      [
        { argument: 'github', repository, ...VAULT },
        /^--repository must be OWNER\/REPO, such as octo-org\/octo-repo$/,
      ] as const,
  ),
  [
    { argument: 'github', repository: 'o/r', environment: 'prod', ref: 'main', ...VAULT },
    /^--ref and --environment exclude each other: the subject names only the environment$/,
  ],
  [{ argument: 'gitlab', issuer: 'i', project: 'g/p' }, /^init gitlab needs --vault-address$/],
  [
    { argument: 'gitlab', issuer: 'i', project: 'g/p', 'vault-address': 'vault' },
    /vault\.address: must be a URL such as/,
  ],
];

test('prints one line for wrong flags, and writes nothing', async (t) => {
  for (const [flags, line] of MISTAKES) {
    const config = await start(t);
    const { code, err } = await invoke(init, { config, ...flags });
    assert.equal(code, 2);
    assert.match(err, line);
    await assert.rejects(readFile(config), { code: 'ENOENT' });
  }
});

test('writes a policy that can be edited, unless --policy names one, and a mount of its own for each issuer', async (t) => {
  for (const [argument, flags, mount] of [
    ['kubernetes', { issuer: 'k8s-prod', 'service-account': 'my-app' }, 'jwt'],
    ['gitlab', { issuer: 'gitlab', project: 'g/p' }, 'gitlab'],
    ['vault', { issuer: 'vault-prod', 'entity-id': 'e', 'source-address': 'https://a' }, 'vault-prod'],
    ['vault', { issuer: 'https://a', 'entity-id': 'e', 'source-address': 'https://a' }, 'vault'],
  ] as const) {
    const exchangeOf = async (more: Flags) => {
      const config = await start(t);
      assert.equal((await invoke(init, { argument, config, ...VAULT, ...flags, ...more })).code, 0);
      return Object.values((JSON.parse(await readFile(config, 'utf8')) as ConfigFile).exchanges)[0];
    };
    const own = await exchangeOf({});
    assert.equal(own?.login.mount, mount);
    const [[name, text = ''] = []] = Object.entries(own?.setup?.policies ?? {});
    assert.deepEqual(own?.setup?.role?.token_policies, [name]);
    assert.match(text, /^path "secret\/data\/[a-z-]+" \{$/m);
    const given = await exchangeOf({ policy: 'theirs' });
    assert.deepEqual([given?.setup?.policies, given?.setup?.role?.token_policies], [undefined, ['theirs']]);
  }
});
