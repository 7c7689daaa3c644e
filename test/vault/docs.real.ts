// The documentation against a real Vault: the quick start as one script, the example of doctor, and the example
// clients.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { reservePorts } from '../support/ports.ts';
import { sidecarInShell } from '../support/program.ts';
import { BLOCKS, readmeBlock } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import { openRealVault } from './real-vault.ts';

const SUBJECT = 'system:serviceaccount:default:my-app';

test("the README's quick start reads a secret with the token", async (t) => {
  const { issuer, vault, shell } = await setUp(t);
  const blocks = BLOCKS.filter(
    (one) => one.page === 'README.md' && one.heading === 'Try it with your own Vault' && one.language === 'sh',
  );
  assert.equal(blocks.length, 3);
  const script = blocks
    .map((block) => block.text)
    .join('')
    .replace('https://vault.example.com:8200', vault.url)
    .replace('https://k8s-prod.oidc.pub', issuer.issuer)
    // use reserved ports, since those of the README may be taken on this machine
    .replace(
      /^sed .*$/m,
      `$&\nsed -i "s/0.0.0.0:8276/$VTS_OPS_LISTEN/; s/^  \\"ops/  \\"api\\": { \\"listen\\": \\"$VTS_API_LISTEN\\" },\\n&/" config.json`,
    )
    .replace('--apply', '--apply --yes');
  const { code, out, err } = await shell(`${script}\nkill $!`);
  assert.equal(code, 0, out + err);
  assert.match(out, /exchange app\n +ok /, 'doctor finds nothing wrong');
  assert.match(out, /greeting +hello/);
});

test('doctor prints the output that the README shows', async (t) => {
  const { issuer, vault, shell, directory } = await setUp(t);
  await writeFile(
    join(directory, 'config.json'),
    JSON.stringify({
      vault: { address: vault.url },
      exchanges: {
        app: {
          source: { file: { path: join(directory, 'jwt') } },
          login: { role: 'my-app' },
          expect: { issuer: issuer.issuer, audience: 'vault', subject: SUBJECT },
          sinks: [{ file: { path: join(directory, 'token') } }],
          setup: { role: { token_policies: ['my-app'] }, policies: { 'my-app': 'path "secret/*" {}' } },
        },
      },
      api: { listen: '127.0.0.1:0' },
      ops: { listen: '127.0.0.1:0' },
    }),
  );
  const ready = await shell('kubectl create token > jwt; vault-token-sidecar setup --config config.json --apply --yes');
  assert.equal(ready.code, 0, ready.err);
  await vault.write('auth/jwt/role/my-app', { role_type: 'jwt', bound_subject: 'system:serviceaccount:prod:my-app' });
  const { code, out } = await shell('unset VAULT_TOKEN VAULT_ADDR; vault-token-sidecar doctor --config config.json');
  assert.equal(code, 4, out);
  const shown = out
    .replaceAll(vault.url, 'https://vault.example.com:8200')
    .replaceAll(issuer.issuer, 'https://k8s-prod.oidc.pub')
    .replaceAll(directory, '/vault')
    // the README leaves out the note on comparing Vault's side
    .replace(/^ {2}note .*\n/m, '')
    .replace(/^( {2}ok {7}Vault) \d+\.\d+\.\d+ /m, '$1 1.21.1 ');
  assert.equal(shown, readmeBlock('README.md', 'When a login fails', 'text'));
});

test('the documented clients read a secret', async (t) => {
  const { issuer, vault, shell, directory, env } = await setUp(t);
  await vault.write('secret/data/my-app', { data: { greeting: 'hello' } });
  const app = {
    source: { file: { path: join(directory, 'jwt') } },
    login: { role: 'my-app' },
    expect: { issuer: issuer.issuer, audience: 'vault', subject: SUBJECT },
    sinks: [{ file: { path: join(directory, 'token') } }],
    setup: {
      role: { token_policies: ['my-app'] },
      policies: { 'my-app': 'path "secret/data/my-app" { capabilities = ["read"] }' },
    },
  };
  const config = { vault: { address: vault.url }, exchanges: { app } };
  const listeners = { api: { listen: env.VTS_API_LISTEN }, ops: { listen: env.VTS_OPS_LISTEN } };
  await writeFile(join(directory, 'config.json'), JSON.stringify({ ...config, ...listeners }));
  const ready = await shell(`kubectl create token > jwt
    vault-token-sidecar setup --config config.json --apply --yes
    vault-token-sidecar run --config config.json > sidecar.log 2>&1 &
    vault-token-sidecar wait`);
  assert.equal(ready.code, 0, ready.err);
  const here = (text: string) =>
    text
      .replaceAll('/vault/token', join(directory, 'token'))
      .replaceAll('http://127.0.0.1:8275', `http://${env.VTS_API_LISTEN}`);
  // test/vault/token-helper.real.ts runs the other section
  const blocks = BLOCKS.filter(({ page, heading }) => page === 'docs/clients.md' && heading !== "Vault's CLI");
  const said: string[] = [];
  // skip the Go client on a developer's machine without Go; CI has Go
  const hasGo = (await shell('command -v go')).code === 0 || process.env['CI'] !== undefined;
  for (const [index, block] of blocks.entries()) {
    if (block.language === 'go' && !hasGo) continue;
    const file = join(directory, `client-${index}.${block.language === 'js' ? 'mjs' : block.language}`);
    await writeFile(file, here(block.text));
    const run = {
      // run it in the test's Go module, which has the client's dependencies
      go: `HOME='${process.env['HOME']}' go run -C '${import.meta.dirname}' '${file}'`,
      // the second one never exits
      js: `timeout 3 '${process.execPath}' '${file}' || test $? = 124`,
      sh: `unset VAULT_TOKEN; sh -e '${file}'`,
    }[block.language];
    const { code, out, err } = await shell(run ?? 'false');
    assert.equal(code, 0, `${block.heading}: ${out}${err}`);
    said.push(out.trim());
  }
  assert.equal(said.length, hasGo ? 5 : 4);
  for (const [index, pattern] of [/greeting +hello/, /greeting +hello/, /'hello'/, /^a token of \d+/, /^hello$/]
    .slice(0, said.length)
    .entries())
    assert.match(said[index] ?? '', pattern);
});

/** A Vault with a KV engine, an issuer, and a shell in which `kubectl create token` prints a JWT of the issuer. */
async function setUp(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await writePrograms(directory, await issuer.mint({ sub: SUBJECT }));
  const [api, ops] = [await reservePorts(1), await reservePorts(1)];
  const env = {
    PATH: `${join(directory, 'bin')}:${process.env['PATH']}`,
    HOME: directory,
    VAULT_ADDR: vault.url,
    VAULT_TOKEN: vault.root,
    VTS_API_LISTEN: `127.0.0.1:${api}`,
    VTS_OPS_LISTEN: `127.0.0.1:${ops}`,
  };
  return { directory, issuer, vault, env, shell: (script: string) => run(t, script, { env, cwd: directory }) };
}

async function writePrograms(directory: string, jwt: string): Promise<void> {
  const programs = {
    'vault-token-sidecar': `exec ${sidecarInShell()} "$@"`,
    vault: `exec '${findVault()}' "$@"`,
    kubectl: `printf %s '${jwt}'`,
  };
  await mkdir(join(directory, 'bin'));
  for (const [name, command] of Object.entries(programs)) {
    await writeFile(join(directory, 'bin', name), `#!/bin/sh\n${command}\n`);
    await chmod(join(directory, 'bin', name), 0o755);
  }
}

async function run(t: TestContext, script: string, options: { env: Record<string, string>; cwd: string }) {
  const child = spawn('sh', ['-ec', script], { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  t.after(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // all of its processes have exited
    }
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, out, err };
}
