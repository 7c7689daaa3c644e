// Clients that are programs of their own with a configuration: consul-template and Prometheus.

import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { reservePort } from '../support/ports.ts';
import type { Scope } from '../support/scope.ts';
import { goInstall } from '../support/tools.ts';
import { type Running, run } from './client.ts';
import type { World } from './world.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../examples');

export const consulTemplate = (): string => goInstall('github.com/hashicorp/consul-template', 'v0.41.1');

/** It renders the secret to a file, and reads the token file every 15 s. */
export async function startConsulTemplate(t: Scope, world: World, road: 'file' | 'proxy'): Promise<Running> {
  const [config, rendered] = [join(world.directory, `${road}.hcl`), join(world.directory, `greeting-${road}`)];
  const text = await readFile(join(EXAMPLES, 'consul-template/config.hcl'), 'utf8');
  // the paths of the test, and a secret that is read again within its time
  const here = {
    '/vault/token': world.longTokenFile,
    '/run/my-app/greeting': rendered,
    '"5m"': '"2s"',
    ...(road === 'proxy' ? { 'vault_agent_token_file =': '# ' } : {}),
  };
  await writeFile(
    config,
    Object.entries(here).reduce((all, [from, to]) => all.replaceAll(from, to), text),
  );
  const command = [consulTemplate(), '-config', config];
  const running = run(t, command, { VAULT_ADDR: road === 'proxy' ? world.proxyUrl : world.vaultUrl });
  return {
    greetings: () => readFile(rendered, 'utf8').catch(() => ''),
    failures: async () => (await running.failures()).filter((line) => !line.includes('[INFO]')),
  };
}

/** It scrapes Vault's metrics, and says itself how each scrape went. */
export async function startPrometheus(t: Scope, world: World): Promise<Running> {
  const address = `127.0.0.1:${await reservePort()}`;
  const config = join(world.directory, 'prometheus.yml');
  const here = {
    '/vault/token': world.tokenFile,
    'vault.example.com:8200': new URL(world.vaultUrl).host,
    'scheme: https': 'scheme: http\n    scrape_interval: 1s',
  };
  const text = await readFile(join(EXAMPLES, 'prometheus/prometheus.yml'), 'utf8');
  await writeFile(
    config,
    Object.entries(here).reduce((all, [from, to]) => all.replaceAll(from, to), text),
  );
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(world.directory, 'tsdb')}`];
  run(t, ['prometheus', ...flags, `--web.listen-address=${address}`, '--log.level=error']);
  const query = new URLSearchParams({ query: 'up{job="vault"}[10m]' });
  const scrapes = async () => {
    const reply = await fetch(`http://${address}/api/v1/query?${query}`).catch(() => undefined);
    if (reply?.ok !== true) return [];
    const { data } = (await reply.json()) as { data: { result: { values: [number, string][] }[] } };
    return data.result.flatMap(({ values }) =>
      values.map(([seconds, up]) => ({ at: seconds * 1000, isUp: up === '1' })),
    );
  };
  return {
    // it doesn't read the secret: a scrape since the greeting stands for it
    greetings: async () => {
      const { text, since } = world.greeting();
      return (await scrapes()).some(({ at, isUp }) => isUp && at > since) ? text : '';
    },
    failures: async () => (await scrapes()).filter(({ isUp }) => !isUp).map(({ at }) => `no scrape at ${at}`),
  };
}
