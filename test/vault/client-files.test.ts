// TLS files whose reads hang: the call ends at its deadline, and reports the file.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TlsSettings } from '../../src/core/settings.ts';
import { openVaultClient, type VaultClient } from '../../src/vault/client.ts';
import { makeCa } from '../support/certificates.ts';
import { openHangingMount, withoutHangingMounts } from '../support/hanging-mount.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TIMEOUT_MS = 2000;
const HUNG = { skip: withoutHangingMounts() };

function openClient(t: TestContext, address: string, tls: TlsSettings): VaultClient {
  const client = openVaultClient({ address, tls, timeoutMs: TIMEOUT_MS, redirectHosts: [], useProxyEnv: false });
  t.after(() => client.close());
  return client;
}

/** "code: evidence", or the status; never later than the deadline. */
async function outcome(client: VaultClient): Promise<string> {
  const startedAt = performance.now();
  const said = await client.send({ method: 'POST', path: '/v1/x', body: new Secret('{}') }).then(
    ({ status }) => String(status),
    (error) => {
      assert.ok(error instanceof ExchangeError, String(error));
      return `${error.failure.code}: ${explain(error.failure).evidence}`;
    },
  );
  assert.ok(performance.now() - startedAt < TIMEOUT_MS + 1000, `${performance.now() - startedAt} ms`);
  return said;
}

test('refuses a FIFO at the path of any TLS file at once, with many clients (K2)', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  await writeFile(join(directory, 'client.pem'), ca.cert);
  const pair = { clientCertFile: join(directory, 'client.pem'), clientKeyFile: join(directory, 'client.key') };
  await writeFile(pair.clientKeyFile, ca.key);
  const each = [{ caFile: fifo }, { ...pair, clientCertFile: fifo }, { ...pair, clientKeyFile: fifo }];
  const clients = [...each, ...each].map((tls) => openClient(t, 'https://127.0.0.1:1', tls));
  for (const said of await Promise.all(clients.map(outcome)))
    assert.equal(said, `vault_tls_files: ${fifo}: not a regular file`);
});

test(
  'a TLS file on a hanging mount ends the call at vault.timeout, and another client still works (K2)',
  HUNG,
  async (t) => {
    const directory = await temporaryDirectory(t);
    const ca = makeCa(directory);
    const port = await listen(
      t,
      createServer(ca.issue(), (_request, response) => void response.end('{}')),
    );
    const address = `https://127.0.0.1:${port}`;
    const mount = openHangingMount(t);
    const hung = ['ca', 'key', 'other'].map((name) => join(mount.path, name));
    const clients = hung.map((caFile) => openClient(t, address, { caFile }));
    const sound = openClient(t, address, { caFile: join(directory, 'ca.pem') });
    const said = await Promise.all([...clients.map(outcome), outcome(sound)]);
    assert.deepEqual(said, [...hung.map((path) => `vault_tls_files: ${path}: the file system doesn't answer`), '200']);
  },
);

test("keeps the previous CA when the CA file's mount begins to hang (K2, E3)", HUNG, async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const port = await listen(
    t,
    createServer(ca.issue(), (_request, response) => void response.end('{}')),
  );
  const trusted = join(directory, 'trusted');
  await copyFile(join(directory, 'ca.pem'), trusted);
  const client = openClient(t, `https://127.0.0.1:${port}`, { caFile: trusted });
  assert.equal(await outcome(client), '200');
  await symlink(join(openHangingMount(t).path, 'ca.pem'), `${trusted}.new`);
  await rename(`${trusted}.new`, trusted);
  for (let call = 0; call < 3; call += 1) assert.equal(await outcome(client), '200');
});
