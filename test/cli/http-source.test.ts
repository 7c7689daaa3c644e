// The scenarios of `init` whose JWT is behind a URL, with the built program and stand-ins of the endpoints: the written config
// logs in, and the printed job reads a secret with the token.

import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { openActionsEndpoint, openAzureMetadata, openGoogleMetadata } from '../support/jwt-endpoints.ts';
import { cli, runToEnd, sidecarInShell } from '../support/program.ts';
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
  const texts = { '/tmp/vault': join(directory, 'run') };
  const printed = await initialise(peers, ['github', '--repository', 'octo/repo'], texts);
  const endpoint = await openActionsEndpoint(t, {
    token: 'of-the-job',
    mint: (aud) => issuer.mint({ sub: 'repo:octo/repo:ref:refs/heads/main', aud, ttlSeconds: 300 }),
  });
  const variables = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${endpoint.origin}/idtoken?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
  };
  assert.equal((await runJob(peers, printed, variables)).code, 0);
  const again = await runJob(peers, printed, variables);
  assert.deepEqual([again.code, again.out], [0, `kv get secret/app with ${vault.alive().at(-1)?.token}\n`], again.err);
  const unset = await onceIn(peers);
  assert.equal(unset.code, 6);
  assert.match(unset.err, /variable ACTIONS_ID_TOKEN_REQUEST_URL is not set\. .* "id-token: write"\.$/m);
});

/** Runs the script of the printed job, with programs that stand for docker and Vault's CLI. */
async function runJob({ directory }: Peers, printed: string, variables: Record<string, string>) {
  const [, job = ''] = /- run: \|\n([\s\S]*)$/.exec(printed) ?? [];
  const bin = join(directory, 'bin');
  await mkdir(bin, { recursive: true });
  const programs = {
    // the volume of the checkout is the current directory
    docker: `for word; do shift; case "$word" in /config/*) word=".\${word#/config}";; esac; set -- "$@" "$word"; done
while [ "\${1#ghcr.io/}" = "$1" ]; do shift; done; shift
exec ${sidecarInShell()} "$@"`,
    vault: 'echo "$* with $VAULT_TOKEN"',
  };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  const env = { PATH: `${bin}:${process.env['PATH']}`, ...variables };
  return runToEnd(['sh', '-e', '-c', job.replaceAll(/^#/gm, '')], { env, cwd: directory });
}
