// A real Vault with a certificate that the sidecar doesn't trust.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCa } from '../support/certificates.ts';
import { until } from '../support/settling.ts';
import { settingsOf } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { RECOVERY_MS, setUp, survive } from './fault-world.ts';

async function tlsFiles(t: TestContext, name = '127.0.0.1') {
  const directory = await temporaryDirectory(t);
  const at = (file: string) => join(directory, file);
  const files = { certFile: at('cert.pem'), keyFile: at('key.pem'), caFile: at('admin-ca.pem') };
  const renew = async (ca = makeCa(directory, `ca-${performance.now()}`)) => {
    const { cert, key } = ca.issue({ name });
    await Promise.all([
      writeFile(files.certFile, cert),
      writeFile(files.keyFile, key),
      writeFile(files.caFile, ca.cert),
    ]);
    return ca;
  };
  const first = await renew();
  await writeFile(at('ca.pem'), first.cert);
  return { files, renew, sidecarCa: at('ca.pem') };
}

test("keeps the token while Vault's CA is unknown, and logs in within ten seconds of the new CA file (E2)", async (t) => {
  const { files, renew, sidecarCa } = await tlsFiles(t);
  const world = await setUp(t, { server: { tls: files }, vaultSettings: { tls: { ca_file: sidecarCa } } });
  const { vault } = world;
  let ca = '';
  await survive(world, {
    begin: async () => {
      await vault.kill();
      ca = (await renew()).cert;
      await vault.start(ca);
    },
    codes: ['vault_tls'],
    end: () => writeFile(sidecarCa, ca),
    recoversInMs: 10_000,
  });
});

test('refuses a certificate for another name, and logs in after a reload that sets server_name (E4)', async (t) => {
  const name = 'vault.example.com';
  const { files, sidecarCa } = await tlsFiles(t, name);
  const { daemon, config, failing, tokenNow } = await setUp(t, {
    server: { tls: { ...files, name } },
    vaultSettings: { tls: { ca_file: sidecarCa } },
  });
  const { evidence } = await failing('vault_tls');
  assert.match(evidence ?? '', /^the certificate is issued for another name/);
  const tls = { ca_file: sidecarCa, server_name: name };
  await daemon.reload(settingsOf(config({ tls })));
  await until('a token', tokenNow, RECOVERY_MS);
});
