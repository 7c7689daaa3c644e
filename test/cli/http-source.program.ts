// The scenarios of `init` whose JWT is behind a URL, with the built program and stand-ins of the endpoints: the written config
// logs in, and the printed job reads a secret with the token.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { openActionsEndpoint, openAzureMetadata, openGoogleMetadata } from '../support/jwt-endpoints.ts';
import { printedJob } from '../support/printed-job.ts';
import { cli, runToEnd, sidecarCommand } from '../support/program.ts';
import { openPeers, type Peers } from '../support/sidecar.ts';

/** Runs init for the test's issuer and Vault, and applies the setup. Replaces texts in the config, and in what init printed. */
async function initialise(
  { directory, issuer, vault }: Peers,
  words: readonly string[],
  texts: Readonly<Record<string, string>>,
) {
  const here = { cwd: directory, env: { VAULT_ADDR: vault.url, VAULT_TOKEN: ROOT_TOKEN } };
  const ours = ['--issuer', issuer.issuer, '--vault-address', vault.url, '--config', 'app.json'];
  const { code, out, err } = await cli(['init', ...words, ...ours], here);
  assert.equal(code, 0, err);
  const replaced = (text: string) => Object.entries(texts).reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const file = join(directory, 'app.json');
  await writeFile(file, replaced(await readFile(file, 'utf8')));
  const applied = await cli(['setup', '--config', 'app.json', '--apply', '--yes'], here);
  assert.equal(applied.code, 0, applied.err);
  return replaced(out);
}

const onceIn = ({ directory }: Peers, env: Record<string, string> = {}) =>
  cli(['once', '--config', 'app.json'], { cwd: directory, env });

test('VMs of Google Cloud and Azure log in with a JWT of their metadata service', async (t) => {
  for (const [words, origin, open, sub] of [
    [['gce', '--service-account-id', '1234'], 'http://metadata.google.internal', openGoogleMetadata, '1234'],
    [
      ['azure', '--tenant-id', 't', '--principal-id', 'p-1', '--audience', 'api://vault'],
      'http://169.254.169.254',
      openAzureMetadata,
      'p-1',
    ],
  ] as const) {
    const peers = await openPeers(t);
    const endpoint = await open(t, (aud) => peers.issuer.mint({ sub, aud }));
    await initialise(peers, words, { [origin]: endpoint.origin, '/run/vault-token-sidecar/app': peers.directory });
    const { code, err } = await onceIn(peers);
    assert.equal(code, 0, err);
    assert.match(await readFile(join(peers.directory, 'token'), 'utf8'), /^hvs\./);
    endpoint.fail({ status: 403, body: 'no identity' });
    const refused = await onceIn(peers);
    assert.equal(refused.code, 6);
    assert.match(
      refused.err,
      /^exchange app: the endpoint refuses to issue .*: status 403, no identity\. Check the url/m,
    );
  }
});

test("the job that init prints for GitHub reads a secret with the job's identity", async (t) => {
  const peers = await openPeers(t);
  const { directory, issuer, vault } = peers;
  const out = await initialise(peers, ['github', '--repository', 'octo/repo'], {});
  const printed = out.replaceAll(/(?<!:)\/tmp\/vault/g, join(directory, 'run'));
  const endpoint = await openActionsEndpoint(t, {
    token: 'of-the-job',
    mint: (aud) => issuer.mint({ sub: 'repo:octo/repo:ref:refs/heads/main', aud, ttlSeconds: 300 }),
  });
  const variables = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${endpoint.origin}/idtoken?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
  };
  const first = await runJob(peers, printed, variables);
  assert.equal(first.code, 0, first.err);
  const again = await runJob(peers, printed, variables);
  const token = vault.alive().at(-1)?.token;
  assert.deepEqual(
    [again.code, again.out],
    [0, `::add-mask::${token}\ndeployed with ${token} at ${vault.url}\n`],
    again.err,
  );
  for (const option of [
    '--env ACTIONS_ID_TOKEN_REQUEST_URL ',
    '--env ACTIONS_ID_TOKEN_REQUEST_TOKEN ',
    '--volume "$PWD:/config:ro" ',
    `--volume ${join(directory, 'run')}:/tmp/vault `,
  ]) {
    assert.ok(printed.includes(option), option);
    assert.notEqual((await runJob(peers, printed.replace(option, ''), variables)).code, 0, `without ${option}`);
  }
  const unset = await onceIn(peers);
  assert.equal(unset.code, 6);
  assert.match(unset.err, /variable ACTIONS_ID_TOKEN_REQUEST_URL is not set\. .* "id-token: write"\.$/m);
});

/**
 * Stands for docker: the program gets only the variables that --env names, and finds only the paths that --volume maps.
 * https://docs.docker.com/reference/cli/docker/container/run/
 */
const DOCKER = `#!/usr/bin/env node
const { readFileSync, writeFileSync } = require('node:fs');
const { spawnSync } = require('node:child_process');
const [run, ...words] = process.argv.slice(2);
if (run !== 'run') throw new Error(run);
const [env, volumes] = [{}, []];
const place = (path) => {
  const volume = volumes.find(({ to }) => path.startsWith(to + '/'));
  return volume === undefined ? '/nowhere' + path : volume.from + path.slice(volume.to.length);
};
while (words[0].startsWith('-')) {
  const option = words.shift();
  if (option === '--rm') continue;
  const value = words.shift();
  if (option === '--env') env[value] = process.env[value];
  else if (option === '--volume') {
    const [from, to] = value.split(':');
    volumes.push({ from, to });
  } else if (option !== '--user' || value !== String(process.getuid())) throw new Error(option + ' ' + value);
}
if (!words.shift().startsWith('registry.example.com/vault-token-sidecar:')) throw new Error('another image');
const args = words.map((word) => (word.startsWith('/') ? place(word) : word));
const at = args.indexOf('--config') + 1;
const config = JSON.parse(readFileSync(args[at], 'utf8'));
for (const { file } of config.exchanges.ci.sinks) file.path = place(file.path);
args[at] += '.placed';
writeFileSync(args[at], JSON.stringify(config));
const [program, ...flags] = PROGRAM;
process.exit(spawnSync(program, [...flags, ...args], { env, stdio: 'inherit' }).status);
`;

/** Runs the script of the printed job, with a program that stands for docker. */
async function runJob({ directory }: Peers, printed: string, variables: Record<string, string>) {
  const script = printedJob(printed).steps.find(({ run }) => run !== undefined)?.run ?? '';
  const bin = join(directory, 'bin');
  await mkdir(bin, { recursive: true });
  const docker = DOCKER.replace('PROGRAM', () => JSON.stringify(sidecarCommand()));
  const deploy = '#!/bin/sh\necho "deployed with $VAULT_TOKEN at $VAULT_ADDR"\n';
  await writeFile(join(bin, 'docker'), docker, { mode: 0o755 });
  await writeFile(join(directory, 'deploy.sh'), deploy, { mode: 0o755 });
  const env = { PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH']}`, ...variables };
  return runToEnd(['sh', '-e', '-c', script], { env, cwd: directory });
}
