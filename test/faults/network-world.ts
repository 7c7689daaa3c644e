// A program for network.fault.ts, run in its own network and mount namespaces, where it controls DNS and drops packets.
// Prints the outcome of each call to Vault, as JSON.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { ExchangeError } from '../../src/core/errors.ts';
import type { VaultSettings } from '../../src/core/settings.ts';
import { openVaultClient } from '../../src/vault/client.ts';
import { makeCa } from '../support/certificates.ts';

export interface Told {
  /** the status and the address that answered, or the failure's code */
  readonly outcome: string;
  readonly ms: number;
}

const PORT = 8200;
const [scene = '', directory = ''] = process.argv.slice(2);

/** Writes /etc/hosts of this namespace, which the C library reads at each lookup. */
const hosts = (...addresses: readonly string[]): void =>
  writeFileSync('/etc/hosts', addresses.map((address) => `${address} vault.test\n`).join(''));

/** Drops all packets to the address. */
const blackHole = (address: string): void => {
  const tool = address.includes(':') ? 'ip6tables' : 'iptables';
  execFileSync(tool, ['-A', 'OUTPUT', '-d', address, '-p', 'tcp', '--dport', String(PORT), '-j', 'DROP']);
};

async function serve(address: string, tls?: { cert: string; key: string }) {
  const answer: RequestListener = (_request, response) => void response.end(address);
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  server.listen(PORT, address);
  await once(server, 'listening');
  return server;
}

function open(settings: Partial<VaultSettings> = {}) {
  const address = `http://vault.test:${PORT}`;
  return openVaultClient({ address, tls: {}, timeoutMs: 15_000, redirectHosts: [], useProxyEnv: false, ...settings });
}

async function ask(client: ReturnType<typeof open>): Promise<Told> {
  const startedAt = performance.now();
  const outcome = await client.send({ method: 'GET', path: '/v1/sys/health' }).then(
    ({ status, body }) => `${status} ${body.reveal()}`,
    (error) => (error instanceof ExchangeError ? error.failure.code : String(error)),
  );
  return { outcome, ms: performance.now() - startedAt };
}

const SCENES: Readonly<Record<string, () => Promise<Told[]>>> = {
  async 'dns-changes'() {
    await Promise.all(['127.0.0.2', '127.0.0.3'].map((address) => serve(address)));
    const client = open();
    const told: Told[] = [];
    for (const addresses of [['127.0.0.2'], ['127.0.0.3'], [], ['127.0.0.2']]) {
      hosts(...addresses);
      told.push(await ask(client));
    }
    return told;
  },
  async 'first-refuses'() {
    await serve('127.0.0.3');
    hosts('127.0.0.2', '127.0.0.3');
    return [await ask(open())];
  },
  async 'first-is-a-black-hole'() {
    blackHole('127.0.0.2');
    await serve('127.0.0.3');
    hosts('127.0.0.2', '127.0.0.3');
    return [await ask(open())];
  },
  async 'first-is-a-black-hole-tls'() {
    blackHole('127.0.0.2');
    await serve('127.0.0.3', makeCa(directory).issue({ name: 'vault.test' }));
    hosts('127.0.0.2', '127.0.0.3');
    return [await ask(open({ address: `https://vault.test:${PORT}`, tls: { caFile: join(directory, 'ca.pem') } }))];
  },
  async 'all-are-black-holes'() {
    for (const address of ['127.0.0.2', '127.0.0.3']) blackHole(address);
    hosts('127.0.0.2', '127.0.0.3');
    return [await ask(open())];
  },
  async 'ipv6-alone'() {
    await serve('::1');
    hosts('::1');
    return [await ask(open()), await ask(open({ address: `http://[::1]:${PORT}` }))];
  },
  async 'ipv6-refuses'() {
    await serve('127.0.0.2');
    hosts('::1', '127.0.0.2');
    return [await ask(open())];
  },
  async 'ipv6-is-a-black-hole'() {
    blackHole('::1');
    await serve('127.0.0.2');
    hosts('::1', '127.0.0.2');
    return [await ask(open())];
  },
  async 'ipv4-is-a-black-hole'() {
    blackHole('127.0.0.2');
    await serve('::1');
    hosts('127.0.0.2', '::1');
    return [await ask(open())];
  },
  async 'a-third-is-lost'() {
    execFileSync(
      'iptables',
      'INPUT -p tcp -m statistic --mode random --probability 0.3 -j DROP'.split(' ').toSpliced(0, 0, '-A'),
    );
    await serve('127.0.0.2');
    hosts('127.0.0.2');
    const client = open();
    return Promise.all(Array.from({ length: 40 }, () => ask(client)));
  },
};

const told = await SCENES[scene]?.();
process.stdout.write(JSON.stringify(told));
process.exit();
