// Certificates of a trusted CA that are expired or not yet valid, and a self-signed one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { openVaultClient } from '../../src/vault/client.ts';
import { makeCa, type Pair } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const DAY = 86_400_000;
const CA_CONFIG = `[ca]
default_ca = test
[test]
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
[any]
commonName = supplied
`;

/** A certificate of the CA in `directory` that counts between two instants. */
function issueBetween(directory: string, from: number, to: number): Pair {
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const date = (at: number) => `${new Date(at).toISOString().replace(/[-T:]|\.\d+/g, '')}`;
  writeFileSync(join(directory, 'ca.conf'), CA_CONFIG);
  writeFileSync(join(directory, 'index'), '');
  writeFileSync(join(directory, 'serial'), '1000');
  writeFileSync(join(directory, 'leaf.ext'), 'subjectAltName=IP:127.0.0.1\n');
  run('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=vault');
  const dates = ['-startdate', date(from), '-enddate', date(to)];
  const signed = [
    '-cert',
    'ca.pem',
    '-keyfile',
    'ca.key',
    '-extfile',
    'leaf.ext',
    '-in',
    'leaf.csr',
    '-out',
    'leaf.pem',
  ];
  run('ca', '-config', 'ca.conf', '-batch', '-notext', ...dates, ...signed);
  const read = (name: string) => readFileSync(join(directory, name), 'utf8');
  return { cert: read('leaf.pem'), key: read('leaf.key') };
}

/** What a call to a Vault with this certificate ends with, and how many requests it got. */
async function outcome(t: TestContext, pair: Pair, caFile?: string): Promise<readonly [string, number]> {
  let requests = 0;
  const server = createServer(pair, (_request, response) => {
    requests += 1;
    response.end('{}');
  });
  const address = `https://127.0.0.1:${await listen(t, server)}`;
  const tls = caFile === undefined ? {} : { caFile };
  const client = openVaultClient({ address, tls, timeoutMs: 5000, redirectHosts: [], useProxyEnv: false });
  t.after(() => client.close());
  const told = await client.send({ method: 'GET', path: '/v1/sys/health' }).then(
    ({ status }) => `${status}`,
    (error) => {
      assert.ok(error instanceof ExchangeError, String(error));
      return `${error.failure.code}: ${explain(error.failure).evidence}`;
    },
  );
  return [told, requests];
}

test('accepts a certificate only within its validity period, and reports the reason outside of it (E4)', async (t) => {
  const directory = await temporaryDirectory(t);
  makeCa(directory);
  const now = Date.now();
  const asked = async (from: number, to: number) =>
    outcome(t, issueBetween(directory, from, to), join(directory, 'ca.pem'));
  assert.deepEqual(await asked(now - DAY, now + DAY), ['200', 1]);
  const [expired, unsent] = await asked(now - 2 * DAY, now - DAY);
  assert.match(expired, /^vault_tls: .*expired/);
  const [early, unsentToo] = await asked(now + DAY, now + 2 * DAY);
  assert.match(early, /^vault_tls: .*not( |-)?(yet )?valid/i);
  assert.deepEqual([unsent, unsentToo], [0, 0], 'nothing is sent');
});

test('refuses a self-signed certificate, and sends nothing (E4)', async (t) => {
  const directory = await temporaryDirectory(t);
  const own = makeCa(directory, 'own');
  const [told, requests] = await outcome(t, own);
  assert.match(told, /^vault_tls: /);
  assert.equal(requests, 0);
});
