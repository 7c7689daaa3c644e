// The setup of the unit's tests: a machine with the package and nodejs, a real Vault and an issuer that it trusts.

import assert from 'node:assert/strict';
import { chmod, chown, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openIssuer } from '../../src/dev/issuer.ts';
import { reservePort } from '../support/ports.ts';
import { readmeBlock } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openRealVault } from '../vault/real-vault.ts';
import { DEB, packNode, RPM } from './packages.ts';
import { openMachine } from './systemd-machine.ts';

const EXAMPLES = '/usr/share/doc/vault-token-sidecar/examples';
const README = 'deploy/systemd/README.md';
const MY_APP = `[Service]
Type=oneshot
RemainAfterExit=yes
DynamicUser=yes
StandardOutput=file:/run/my-app.out
ExecStart=/bin/sh -c 'cat /run/vault-token-sidecar/app/token; echo; cat "$CREDENTIALS_DIRECTORY/vault-token"; echo'
`;

/** Properties as printed by `systemctl show`. */
type UnitProperties = Record<
  | 'ActiveState'
  | 'StatusText'
  | 'MainPID'
  | 'NRestarts'
  | 'Result'
  | 'ExecMainStatus'
  | 'LoadState'
  | 'WatchdogTimestampMonotonic',
  string
>;

export async function openWorld(t: TestContext) {
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app-read', ttl: '10m' };
  await vault.write('auth/jwt/role/app', role);

  const machine = await openMachine(t);
  const { at, run } = machine;
  const put = async (path: string, content: string) => {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), content);
  };
  await mkdir(at('/root/dist'));
  for (const file of [DEB, RPM]) await copyFile(file, at(`/root/${file}`));
  const work = await temporaryDirectory(t);
  const node = `nodejs(engine) = ${process.versions.node}`;
  // no package of this machine provides systemd for rpm
  for (const file of [packNode(work, 'deb'), packNode(work, 'rpm', [node, '/usr/bin/node', 'systemd'])])
    await copyFile(file, at(`/root/${basename(file)}`));
  await run('dpkg', '--install', '/root/nodejs.deb');

  const opsPorts = { app: await reservePort(), second: await reservePort() };
  const groupId = async () => Number((await run('getent', 'group', 'vault-token-sidecar')).split(':')[2]);
  const tokenNow = (instance = 'app') => readFile(at(`/run/vault-token-sidecar/${instance}/token`), 'utf8');

  const example = (name: string) => readFile(at(`${EXAMPLES}/${name}`), 'utf8');

  return {
    vault,
    machine,
    example,
    groupId,
    tokenNow,
    /** Runs a command of the README as root, without its sudo. */
    shell: (command: string) => run('sh', '-c', `cd /root && ${command.replace(/^sudo /, '')}`),
    showsAll: async (unit: string): Promise<UnitProperties> =>
      Object.fromEntries((await run('systemctl', 'show', unit)).split('\n').map((line) => line.split(/=(.*)/s))),

    /** Writes the config of an instance: the example's config with the README's proxy, and this test's paths and port. */
    async configure(instance: 'app' | 'second', ...moreSinks: readonly object[]): Promise<void> {
      const config = JSON.parse(await example('app.json'));
      Object.assign(config.exchanges.app, JSON.parse(`{${readmeBlock(README, 'Let a unit use the token', 'json')}}`));
      const { sinks, proxy } = config.exchanges.app;
      const [sink] = sinks;
      sink.file.path = sink.file.path.replace('/app/', `/${instance}/`);
      sinks.push(...moreSinks);
      proxy.listen = proxy.listen.replace('/app/', `/${instance}/`);
      config.vault.address = vault.url;
      config.api.listen = config.api.listen.replace('/app/', `/${instance}/`);
      config.ops.listen = `127.0.0.1:${opsPorts[instance]}`;
      await put(`/etc/vault-token-sidecar/${instance}.json`, JSON.stringify(config));
    },
    /** Writes a JWT that the sidecar can read only by its group. */
    async writeJwt(): Promise<void> {
      await put('/run/oidc/token.new', await issuer.mint());
      await chown(at('/run/oidc/token.new'), 0, await groupId());
      await chmod(at('/run/oidc/token.new'), 0o640);
      await rename(at('/run/oidc/token.new'), at('/run/oidc/token'));
    },
    /** Installs a unit with the example drop-in, which prints the token from both places. */
    async installConsumer(): Promise<void> {
      await put('/etc/systemd/system/my-app.service', MY_APP);
      await put('/etc/systemd/system/my-app.service.d/vault-token.conf', await example('consumer.conf'));
      const said = await run('sh', '-c', 'systemd-analyze verify --man=no my-app.service 2>&1');
      assert.equal(said, '');
      await run('systemctl', 'daemon-reload');
    },
    /** Installs the example units that reload the consumer when its token changes. */
    async installPath(): Promise<void> {
      for (const name of ['my-app-token.path', 'my-app-token.service'])
        await put(`/etc/systemd/system/${name}`, await example(name));
      const said = await run('sh', '-c', 'systemd-analyze verify --man=no my-app-token.path my-app-token.service 2>&1');
      assert.equal(said, '');
      await run('systemctl', 'daemon-reload');
    },
    async dropIn(unit: string, lines: string): Promise<void> {
      await put(`/run/systemd/system/${unit}.d/test.conf`, `[Service]\n${lines}\n`);
      await run('systemctl', 'daemon-reload');
    },
    /** Reads the token continuously while `action` runs; each read must find a complete token. @returns all tokens */
    async readingAllTheTime(action: () => Promise<void>, instance = 'app'): Promise<ReadonlySet<string>> {
      const seen = new Set<string>();
      let isOver = false;
      const read = async () => {
        for (; !isOver; await turn()) {
          const token = await tokenNow(instance);
          assert.match(token, /^(hv)?s\.[\w-]+$/);
          seen.add(token);
        }
      };
      const act = () =>
        action().finally(() => {
          isOver = true;
        });
      await Promise.all([act(), read()]);
      return seen;
    },
  };
}
