// Every command of the documentation works: it is run here against a daemon, by .ci/run, or by a suite with the
// programs that it needs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sidecarInShell } from './support/program.ts';
import { BLOCKS, isScript, programOf, README_COMMANDS, readmeCommands, SCRIPTS } from './support/readme.ts';
import { untilChanged } from './support/settling.ts';
import { openPeers, runDaemon } from './support/sidecar.ts';

const CI = readFileSync('.ci/run', 'utf8')
  .split('\n')
  .map((line) => line.replace(/^([A-Z_]+=\S+ )*begin_\w+ /, ''));

/** Programs of the platforms, and the suite that runs their commands. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  podman: 'test/deploy/image.deploy.ts',
  promtool: 'test/deploy/monitoring.deploy.ts',
  helm: 'test/deploy/helm.deploy.ts',
  kubectl: 'test/deploy/kubernetes.deploy.ts',
  docker: 'test/deploy/compose.deploy.ts',
  'apt-get': 'test/deploy/systemd.deploy.ts',
  cp: 'test/deploy/systemd.deploy.ts',
  rpm: 'test/deploy/systemd.deploy.ts',
  tar: 'test/deploy/standalone.deploy.ts',
  install: 'test/deploy/standalone.deploy.ts',
  systemctl: 'test/deploy/systemd.deploy.ts',
  journalctl: 'test/deploy/systemd.deploy.ts',
  runuser: 'test/deploy/systemd.deploy.ts',
};

test('CI runs the documented npm commands', () => {
  const said = readmeCommands('npm').flatMap((command) => command.split(' && '));
  assert.ok(said.length >= 12);
  // test/cli runs the first one; test/docs.test.ts checks the result of the second one; test/deploy runs the others
  const elsewhere = ['npm run dev', 'npm run docs', 'npm run build:standalone', 'npm run build:archive'];
  for (const command of said.filter((one) => !elsewhere.includes(one))) assert.ok(CI.includes(command), command);
});

test('the README starts with the commands for a fresh checkout', () => {
  assert.deepEqual(README_COMMANDS.slice(0, 2), ['npm ci && npm run dev', 'npm ci && npm test']);
});

test('a suite with a real Vault runs each documented script', () => {
  for (const [section, suite] of Object.entries(SCRIPTS)) {
    const [page, heading = ''] = section.split('#');
    assert.ok(
      BLOCKS.some((block) => block.page === page && isScript(block)),
      `there is no ${section}`,
    );
    const text = readFileSync(suite, 'utf8');
    assert.ok(text.includes(`'${heading}'`) || text.includes(`'${page}'`), `${suite} doesn't run ${section}`);
  }
});

test('the deployment suites run the commands of the platforms', () => {
  for (const command of README_COMMANDS.filter((one) => programOf(one) in ELSEWHERE)) {
    const suite = ELSEWHERE[programOf(command)] ?? '';
    assert.match(readFileSync(suite, 'utf8'), new RegExp(`readmeCommands\\([^)]*'${programOf(command)}'`), suite);
  }
});

test('all other documented commands succeed', async (t) => {
  const commands = README_COMMANDS.filter(
    (command) => programOf(command) !== 'npm' && !(programOf(command) in ELSEWHERE),
  );
  assert.ok(commands.length >= 22);
  const { daemon, socket, configFile, vault, jwt, ...where } = await setUp(t);
  for (const command of commands) {
    const here = command
      .replace('/etc/vault-token-sidecar/config.json', configFile)
      .replace('http://127.0.0.1:8275', daemon.api)
      .replace('http://127.0.0.1:8276', daemon.ops)
      .replace('/run/app/api.sock', socket)
      .replace('VAULT_ADDR=https://vault.example.com:8200', `VAULT_ADDR=${vault}`)
      .replace('VTS_JWT_FILE=/var/run/secrets/oidc/token', `VTS_JWT_FILE=${jwt}`)
      .replace('curl -s', 'curl -sS --fail-with-body')
      .replace(/^dist\//, `${join(import.meta.dirname, '../dist')}/`);
    const { code, output } = await shell(t, here, where);
    assert.equal(code, 0, `${command}\n${output}`);
  }
});

/** Starts a daemon, and one more on a socket; returns an environment in which a shell finds the program and the first one. */
async function setUp(t: TestContext) {
  const peers = await openPeers(t);
  await peers.writeJwt();
  const { daemon } = await runDaemon(t, peers.config());
  const socket = join(peers.directory, 'api.sock');
  await runDaemon(t, { ...peers.config({ sinks: [] }), api: { listen: `unix:${socket}` } });
  const configFile = join(peers.directory, 'daemon.json');
  await writeFile(
    configFile,
    JSON.stringify(
      peers.config({
        sinks: [{ file: { path: join(peers.directory, 'b') } }],
        expect: { issuer: peers.issuer.issuer, audience: 'vault', subject: 'app' },
      }),
    ),
  );
  const program = join(peers.directory, 'vault-token-sidecar');
  await writeFile(program, `#!/bin/sh\nexec ${sidecarInShell()} "$@"\n`);
  await chmod(program, 0o755);
  const env = {
    PATH: `${peers.directory}:${process.env['PATH']}`,
    VTS_API_LISTEN: new URL(daemon.api).host,
    VTS_OPS_LISTEN: new URL(daemon.ops).host,
  };
  assert.match(await untilChanged(join(peers.directory, 'token'), undefined), /^hvs\./);
  const jwt = join(peers.directory, 'jwt');
  return { daemon, socket, env, configFile, vault: peers.vault.url, jwt, directory: peers.directory };
}

/** Runs a command. A daemon is stopped as soon as it listens, and must then exit with 0. */
async function shell(
  t: TestContext,
  command: string,
  { env, directory }: { env: Record<string, string>; directory: string },
) {
  const child = spawn('sh', ['-c', `exec ${command.replace(/^((?:\w+=\S+ )+)/, 'env $1')}`], { env, cwd: directory });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  let isStopped = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('"event":"listening"') && !isStopped) isStopped = child.kill('SIGTERM');
    });
  }
  const [code] = await once(child, 'close');
  return { code, output };
}
