// The images of the Dockerfile, built by podman on stand-ins for the base images, and run with the README's command, which
// locks the container down, with a JWT volume as kubelet swaps it, against a real Vault.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { noticesOf } from '../../deploy/image/notices.ts';
import { LOGIN_BUDGET } from '../../src/core/schedule.ts';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { IMAGE as NAME } from '../../src/init/scenario.ts';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { reservePort } from '../support/ports.ts';
import { readmeCommands } from '../support/readme.ts';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { until, untilChanged } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openRealVault, type RealVault } from '../vault/real-vault.ts';
import { type Engine, npmrc, openEngine, standIns } from './image-engine.ts';
import { runsJob } from './image-job.ts';

const PACKAGE = JSON.parse(await readFile('package.json', 'utf8'));
const { name: title, description, license: licenses, version, dependencies } = PACKAGE;
const IMAGE = `${NAME}:${version}`;
const CONTEXT = (await readFile('.dockerignore', 'utf8')).match(/(?<=^!).+/gm) ?? [];
const USER = 65532;

test('the image', async (t) => {
  const engine = await openEngine(t);
  const [build = '', buildShell = '', run = '', show = '', showShell = '', ...more] = readmeCommands('podman');
  assert.deepEqual(more, [], 'this test runs every documented command');
  const options = [
    `--secret=id=npmrc,src=${npmrc(await temporaryDirectory(t))}`,
    ...(await standIns(engine, t, await readFile('Dockerfile', 'utf8'))),
  ];
  const shell = (command: string) =>
    promisify(execFile)('sh', ['-c', command], { env: engine.environment, maxBuffer: 1 << 26 });
  for (const one of [build, buildShell]) await shell(one.replace('podman build', `podman build ${options.join(' ')}`));

  await t.test('has the labels, the user, the entry point and the health check', () => describesItself(engine));
  await t.test('contains the programs, and the licences of all bundled packages', (t) => holdsLicences(t, engine));
  await t.test('is reproducible', (t) => isReproducible(t, engine, options));
  await t.test('prints its version, by its entry point and by the program on its PATH', async () => {
    for (const command of [show, show.replace('podman run', 'podman run --entrypoint=vault-token-sidecar'), showShell])
      assert.equal(
        (await shell(command)).stdout,
        `vault-token-sidecar ${version} (commit unknown, node ${process.versions.node})\n`,
      );
  });
  await t.test('runs without privileges, and follows rotations with a real Vault', (t) => keepsToken(t, engine, run));
  await t.test('the variant with a shell runs the job of init gitlab twice', (t) =>
    runsJob(t, engine, `${IMAGE}-shell`),
  );
});

test('a bundled package without a licence text fails the build, with its name', async (t) => {
  const directory = join(await temporaryDirectory(t), 'node_modules/@some/package');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), '{"name":"@some/package","version":"1.2.3","license":"MIT"}');
  const metafile = { outputs: { 'out.mjs': { inputs: { [join(directory, 'lib/index.js')]: {} } } } };
  assert.throws(() => noticesOf(metafile), /without a licence text: @some\/package 1\.2\.3$/);
  await writeFile(join(directory, 'NOTICE'), 'is no licence');
  assert.throws(() => noticesOf(metafile), /@some\/package/);
  await writeFile(join(directory, 'LICENSE'), 'take it');
  assert.equal(noticesOf(metafile), '@some/package 1.2.3 (MIT)\n\ntake it\n\nis no licence\n');
});

async function describesItself({ podman }: Engine): Promise<void> {
  const [image, variant] = JSON.parse(await podman('image', 'inspect', IMAGE, `${IMAGE}-shell`));
  const { Config: config, Healthcheck: health } = image;
  assert.equal(config.User, `${USER}:${USER}`);
  assert.deepEqual(config.Entrypoint, ['/nodejs/bin/node', ...NODE_FLAGS, '/app/vault-token-sidecar.mjs']);
  assert.deepEqual(config.Cmd, ['run']);
  assert.deepEqual(health.Test, ['CMD', '/nodejs/bin/node', '/app/healthcheck.mjs']);
  const { Entrypoint: entryPoint, Cmd: command, User: user, Labels: labels } = variant.Config;
  assert.deepEqual([entryPoint ?? [], command, user, labels], [[], ['sh'], '1000:1000', config.Labels]);
  const label = (name: string) => config.Labels[`org.opencontainers.image.${name}`];
  assert.equal(label('source'), '', 'without SOURCE');
  for (const [name, value] of Object.entries({ title, description, licenses, version }))
    assert.equal(label(name), value);
}

async function holdsLicences(t: TestContext, { podman }: Engine): Promise<void> {
  const app = join((await podman('image', 'mount', IMAGE)).trim(), 'app');
  try {
    const files = (await readdir(app)).sort();
    assert.deepEqual(
      files.filter((file) => !/^[\w-]+-[A-Z0-9]{8}\.mjs$/.test(file)),
      ['LICENSE', 'THIRD-PARTY-NOTICES.txt', 'healthcheck.mjs', 'vault-token-sidecar.mjs'],
      'all files except the parts of the bundle',
    );
    const notices = await readFile(join(app, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const [alias, wanted] of Object.entries<string>(dependencies)) {
      const [, name = alias] = /^npm:(.+)@/.exec(wanted) ?? [];
      assert.match(notices, new RegExp(`^${name} \\d\\S+ \\(.+\\)$`, 'm'));
    }
    let bytes = 0;
    for (const file of files.filter((one) => one.endsWith('.mjs'))) {
      const { size, mode, uid } = await stat(join(app, file));
      assert.deepEqual([mode & 0o777, uid], [0o644, 0], file);
      bytes += size;
    }
    t.diagnostic(`the programs have ${(bytes / 1e6).toFixed(2)} MB`);
    assert.ok(bytes < 2e6);
  } finally {
    await podman('image', 'unmount', IMAGE);
  }
}

/** Builds another checkout at another time for another revision; the layer with the programs must be identical. */
async function isReproducible(t: TestContext, { podman }: Engine, options: readonly string[]): Promise<void> {
  const checkout = await temporaryDirectory(t);
  for (const path of [...CONTEXT, '.dockerignore', 'Dockerfile'])
    await cp(path, join(checkout, path), { recursive: true });
  const source = 'https://git.example.com/sidecar';
  const about = [`--build-arg=SOURCE=${source}`];
  await podman('build', '--no-cache', ...options, ...about, '--tag=again', checkout);
  const inspect = async (name: string) => JSON.parse(await podman('image', 'inspect', name))[0];
  const [first, again] = [await inspect(IMAGE), await inspect('again')];
  assert.notEqual(again.Id, first.Id);
  assert.partialDeepStrictEqual(again.Config.Labels, {
    'org.opencontainers.image.revision': 'unknown',
    'org.opencontainers.image.source': source,
  });
  assert.equal(again.RootFS.Layers.length, 2);
  assert.deepEqual(again.RootFS.Layers, first.RootFS.Layers);
}

async function keepsToken(t: TestContext, engine: Engine, command: string): Promise<void> {
  const { issuer, vault } = await openPeers(t);
  const directory = await temporaryDirectory(t);
  const jwts = await createProjectedVolume(join(directory, 'jwt'));
  await mkdir(join(directory, 'vault'), { mode: 0o750 });
  await chown(join(directory, 'vault'), USER, USER);
  const container = await openContainer(
    engine,
    command.replace('https://vault.example.com:8200', vault.url),
    directory,
  );
  assert.equal(await container.isHealthy(), false, 'there is no JWT yet');

  const file = join(directory, 'vault/token');
  const tokens: string[] = [];
  for (const _ of ['the first', 'its successor']) {
    const before = await stat(file).catch(() => undefined);
    await until('it may log in again', () => Date.now() - (before?.mtimeMs ?? 0) > 1 / LOGIN_BUDGET.refillPerMs);
    const jwt = await issuer.mint();
    const swappedAt = performance.now();
    await jwts.swap('token', jwt);
    const token = await untilChanged(file, tokens.at(-1), 2000);
    t.diagnostic(`a token ${Math.round(performance.now() - swappedAt)} ms after the swap`);
    const { body } = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
    assert.equal((body['data'] as { path: string }).path, 'auth/jwt/login');
    tokens.push(token);
  }
  const { mode, uid, gid } = await stat(file);
  assert.deepEqual([mode & 0o777, uid, gid], [0o600, USER, USER]);
  assert.equal(await container.isHealthy(), true);
  await isConfined(t, await container.pid());

  const stoppedAt = performance.now();
  await engine.podman('stop', '--time=10', container.name);
  assert.deepEqual(await container.ended, [0, null]);
  const tookMs = Math.round(performance.now() - stoppedAt);
  assert.ok(tookMs < 5000, `stopped in ${tookMs} ms`);
  t.diagnostic(`stopped in ${tookMs} ms`);
  assert.equal(await readFile(file, 'utf8'), tokens.at(-1), 'the file remains after the container');
  for (const line of container.output().trim().split('\n')) assert.ok('event' in JSON.parse(line), line);
  assert.doesNotMatch(container.output(), SECRET_TEXT);
}

/** Starts the README's command on reserved ports; resolves when the container listens. */
async function openContainer({ podman, environment }: Engine, command: string, directory: string) {
  const name = /--name (\S+)/.exec(command)?.[1] ?? '';
  const listeners = `-e VTS_API_LISTEN=127.0.0.1:${await reservePort()} -e VTS_OPS_LISTEN=127.0.0.1:${await reservePort()}`;
  const child = spawn('sh', ['-c', `exec ${command.replace(`--name ${name}`, `$& ${listeners}`)}`], {
    cwd: directory,
    env: environment,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = once(child, 'close');
  await until(
    'it listens, or is gone',
    () => output.includes('"event":"listening"') || child.exitCode !== null,
    30_000,
  );
  assert.equal(child.exitCode, null, output);
  return {
    name,
    ended,
    output: () => output,
    pid: async () => Number(await podman('inspect', '--format={{.State.Pid}}', name)),
    isHealthy: () =>
      podman('healthcheck', 'run', name).then(
        () => true,
        () => false,
      ),
  };
}

/** Checks the process in /proc: unprivileged user, no capabilities, no new privileges, a read-only root. */
async function isConfined(t: TestContext, pid: number): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s+(.+)$`, 'm').exec(status)?.[1] ?? '';
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(field(set), /^0+$/, set);
  assert.deepEqual(field('Uid').split('\t'), Array(4).fill(String(USER)));
  assert.deepEqual(field('Gid').split('\t'), Array(4).fill(String(USER)));
  assert.equal(field('NoNewPrivs'), '1');
  assert.match(await readFile(`/proc/${pid}/mountinfo`, 'utf8'), /^\d+ \d+ \S+ \S+ \/ ro\b/m);
  const mebibytes = (name: string) => Math.round(Number.parseInt(field(name), 10) / 1024);
  t.diagnostic(`memory ${mebibytes('VmRSS')} MiB resident, ${mebibytes('RssAnon')} MiB of it private`);
}

/** Opens an issuer, and a Vault that trusts it, with the role of the README's command. */
async function openPeers(t: TestContext): Promise<{ issuer: Issuer; vault: RealVault }> {
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  await vault.write('auth/jwt/role/app', { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', ttl: '1h' });
  return { issuer, vault };
}
