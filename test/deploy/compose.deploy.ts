// deploy/compose and the snippet in its README: validated by docker compose, then started on a Docker engine with the
// README's commands, with one real Vault as the issuer and another one to log in to.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { IMAGE as NAME } from '../../src/init/scenario.ts';
import { readmeBlock, readmeCommands } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { type Docker, openDocker } from './compose-docker.ts';
import { loadSidecar, loadVault } from './compose-images.ts';

const FILE = 'deploy/compose/compose.yaml';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const IMAGE = `${NAME}:${version}`;
const ROOT_TOKEN = 'dev-root-token';

interface Service {
  readonly [key: string]: unknown;
  readonly depends_on?: Record<string, object>;
  readonly healthcheck?: Record<string, unknown>;
  readonly volumes?: readonly { type: string; source: string; target: string; read_only?: boolean }[];
}

test('deploy/compose', async (t) => {
  const docker = await openDocker(t);
  await t.test('its script passes shellcheck', isTidy);
  await t.test('docker compose accepts the file, and each service is locked down', () => isLockedDown(docker));
  await t.test("so is the README's snippet", (t) => snippetIsFine(t, docker));
  await Promise.all([loadSidecar(t, docker, IMAGE), loadVault(t, docker, 'hashicorp/vault:1.21.1')]);

  const [up, logs, status, down, ...more] = readmeCommands('docker');
  assert.deepEqual(more, [], 'this test runs every documented command');
  const shell = (command = '') => succeeds(docker, command);
  const upAt = performance.now();
  await shell(up);
  t.diagnostic(`up within ${Math.round(performance.now() - upAt)} ms`);
  const { accessor } = await untilAppSays(docker, () => true);
  assert.match(await shell(logs), /secret\/app, by the token in the file: /);
  assert.match(await shell(status), /^app +active +yes/m);
  await t.test('the token has the policy, and only its readers reach the file and the sockets', () =>
    tokenIsGood(docker),
  );
  await t.test('the sidecar has no privileges', () => sidecarIsConfined(docker));
  await t.test('a new JWT causes a new token without a restart', async () => {
    const before = await startedAt(docker, 'app', 'token-sidecar');
    await untilAppSays(docker, (said) => said.accessor !== accessor);
    assert.deepEqual(await startedAt(docker, 'app', 'token-sidecar'), before);
  });
  await t.test('the application finds the sockets of a restarted sidecar', () => appFollows(docker));
  await t.test('stops cleanly, and leaves nothing behind', async () => {
    await shell(`docker compose -f ${FILE} stop token-sidecar`);
    assert.equal((await inspect(docker, 'token-sidecar')).State.ExitCode, 0);
    await shell(down);
    const list = async (path: string) => JSON.parse(await docker.call('GET', path));
    assert.deepEqual(await list('/containers/json?all=1'), []);
    assert.deepEqual((await list('/volumes')).Volumes ?? [], []);
    const networks: { Name: string }[] = await list('/networks');
    assert.deepEqual(networks.map(({ Name: name }) => name).sort(), ['bridge', 'host', 'none']);
  });
});

function isTidy(): void {
  debian('shellcheck');
  const { status, stdout } = spawnSync('shellcheck', ['deploy/compose/workload-jwt.sh'], { encoding: 'utf8' });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: '' });
}

async function isLockedDown(docker: Docker): Promise<void> {
  const { services, volumes } = await resolved(docker, FILE);
  for (const [name, service] of Object.entries(services)) {
    assert.deepEqual(confinement(service), CONFINED, name);
    assert.match(String(service['image']), /:\d+\.\d+\.\d+$/, name);
    assert.doesNotMatch(String(service['user']), /^(0|root)?(:|$)/, name);
    for (const { type, source, target, read_only: readOnly } of service.volumes ?? []) {
      if (type !== 'bind') continue;
      assert.ok(
        statSync(source).isDirectory(),
        `${name}: if the single file ${source} is replaced, ${target} stays the old one`,
      );
      assert.equal(readOnly, true, `${name}: ${target}`);
    }
  }
  isCompanion(services, volumes);
}

async function snippetIsFine(t: TestContext, docker: Docker): Promise<void> {
  const file = join(await temporaryDirectory(t), 'compose.yaml');
  writeFileSync(file, readmeBlock('deploy/compose/README.md', 'With your own Vault', 'yaml'));
  const { services, volumes } = await resolved(docker, file);
  assert.deepEqual(confinement(services['token-sidecar']), CONFINED);
  assert.equal(
    services['app']?.['user'],
    services['token-sidecar']?.['user'],
    'the application must own the file, which only its owner can read',
  );
  isCompanion(services, volumes);
}

const CONFINED = { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] };

const confinement = (service: Service = {}) => ({
  read_only: service['read_only'],
  cap_drop: service['cap_drop'],
  security_opt: service['security_opt'],
});

/** Checks the sidecar and the application, for the example and the snippet. */
function isCompanion(
  { app, 'token-sidecar': sidecar }: Record<string, Service>,
  volumes: Record<string, object>,
): void {
  assert.equal(sidecar?.['image'], IMAGE);
  assert.equal(sidecar['user'], '65532:65532');
  assert.deepEqual(sidecar.healthcheck?.['test'], ['CMD', '/nodejs/bin/node', '/app/healthcheck.mjs']);
  assert.equal(sidecar.healthcheck['start_interval'], '1s');
  assert.equal(sidecar['mem_limit'], String(192 * 1024 ** 2));
  assert.equal(app?.['network_mode'], undefined, 'it reaches the token API by the volume');
  assert.deepEqual(app?.depends_on?.['token-sidecar'], { condition: 'service_healthy', required: true });
  const mount = app?.volumes?.find(({ source }) => source === 'vault-token');
  assert.equal(mount?.read_only, true);
  const { driver_opts: options } = volumes['vault-token'] as { driver_opts: Record<string, string> };
  assert.equal(options['type'], 'tmpfs');
  assert.match(options['o'] ?? '', /mode=0750,uid=65532,gid=65532/);
}

/** The file as docker compose resolves it; a warning is a failure. */
async function resolved(docker: Docker, file: string) {
  const quiet = await docker.shell(`docker compose -f ${file} config -q`);
  assert.deepEqual(quiet, { code: 0, stdout: '', stderr: '' });
  const config = JSON.parse(await succeeds(docker, `docker compose -f ${file} config --format json`));
  return config as { services: Record<string, Service>; volumes: Record<string, object> };
}

/** Checks in the application's container: a token with exactly the policy, in a file that its group can read. */
async function tokenIsGood(docker: Docker): Promise<void> {
  const app = (command: string) => `docker compose -f ${FILE} exec -T app sh -c '${command}'`;
  const lookup = 'VAULT_TOKEN="$(cat /run/vault/token)" vault token lookup -format=json';
  const { data } = JSON.parse(await succeeds(docker, app(lookup)));
  assert.deepEqual([data.path, data.policies.sort(), data.meta.role], ['auth/jwt/login', ['app', 'default'], 'app']);
  assert.equal(await succeeds(docker, app('stat -c "%a %u:%g" /run/vault/token')), '640 65532:65532\n');
  assert.equal(await succeeds(docker, app('stat -c "%F %a %u:%g" /run/vault/api.sock')), 'socket 660 65532:65532\n');
  assert.equal(await succeeds(docker, app('stat -c "%F %a %u:%g" /run/vault/vault.sock')), 'socket 660 65532:65532\n');
  assert.match(await succeeds(docker, app('cat /proc/self/mountinfo')), /^.* \/run\/vault ro,.* - tmpfs /m);
  // the value that the application reports is in Vault
  const seen = `docker compose -f ${FILE} exec -T -e VAULT_TOKEN=${ROOT_TOKEN} vault vault kv get -mount=secret -field=seen app`;
  const wrote = (await succeeds(docker, seen)).trim();
  for (const way of ['by the token in the file', 'by the proxy without a token'])
    await until(`the application reports the value ${way}`, async () =>
      (await appLog(docker)).includes(`secret/app, ${way}: ${wrote}\n`),
    );
}

async function sidecarIsConfined(docker: Docker): Promise<void> {
  const node = `docker compose -f ${FILE} exec -T token-sidecar /nodejs/bin/node`;
  const status = await succeeds(docker, `${node} -p 'fs.readFileSync("/proc/1/status", "utf8")'`);
  const field = (name: string) => new RegExp(`^${name}:\\s+(.+)$`, 'm').exec(status)?.[1] ?? '';
  for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(field(set), /^0+$/, set);
  assert.match(field('Uid'), /^(65532\s*){4}$/);
  assert.equal(field('NoNewPrivs'), '1');
  assert.equal(field('Seccomp'), '2', "Docker's filter");
  const write = await docker.shell(`${node} -e 'fs.writeFileSync("/tmp/file", "")'`);
  assert.match(write.stderr, /EROFS/);
}

/** A killed sidecar leaves its socket on the volume. */
async function appFollows(docker: Docker): Promise<void> {
  const [app] = await startedAt(docker, 'app');
  for (const command of ['restart', 'kill', 'up --detach --no-recreate']) {
    const [sidecar] = await startedAt(docker, 'token-sidecar');
    await succeeds(docker, `docker compose -f ${FILE} ${command} token-sidecar`);
    if (command === 'kill') continue;
    assert.notEqual((await startedAt(docker, 'token-sidecar'))[0], sidecar, command);
    const { said } = await untilAppSays(docker, () => true);
    await untilAppSays(docker, (now) => now.said > said);
  }
  assert.deepEqual(await startedAt(docker, 'app'), [app]);
}

/** Waits for the application's output: the accessor it last got from the token API, and the number of replies. */
async function untilAppSays(docker: Docker, enough: (now: { accessor: string; said: number }) => boolean) {
  return until(
    'the expected output of the application',
    async () => {
      const told = [...(await appLog(docker)).matchAll(/^the token API: (\{.+\})$/gm)];
      if (told.length === 0) return false;
      const now = { accessor: String(JSON.parse(told.at(-1)?.[1] ?? '').accessor), said: told.length };
      return enough(now) && now;
    },
    60_000,
  );
}

const appLog = (docker: Docker) => succeeds(docker, `docker compose -f ${FILE} logs --no-log-prefix app`);

const startedAt = (docker: Docker, ...services: readonly string[]): Promise<string[]> =>
  Promise.all(services.map(async (service) => (await inspect(docker, service)).State.StartedAt));

async function inspect(docker: Docker, service: string) {
  return JSON.parse(await docker.call('GET', `/containers/vault-token-sidecar-${service}-1/json`));
}

/** @returns its stdout */
async function succeeds(docker: Docker, command: string): Promise<string> {
  const { code, stdout, stderr } = await docker.shell(command);
  assert.equal(code, 0, `${command}\n${stdout}${stderr}`);
  return stdout;
}
