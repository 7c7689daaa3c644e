// The broken setups that are possible with a real Vault, fixed by running doctor's commands with the real CLI.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROKEN_SETUPS } from '../doctor/broken-setups.ts';
import { openClinic, type Patient, treat, withoutRights } from '../doctor/clinic.ts';
import { makeCa } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from './find-vault.ts';
import { openRealVault, type RealVault, type RealVaultOptions } from './real-vault.ts';

test('reports the cause of each broken setup first, with a remedy that fixes it', async (t) => {
  const directory = await temporaryDirectory(t);
  const files = {
    certFile: join(directory, 'v.pem'),
    keyFile: join(directory, 'v.key'),
    caFile: join(directory, 'ca'),
  };
  const ca = makeCa(directory);
  const { cert, key } = ca.issue();
  await Promise.all([writeFile(files.certFile, cert), writeFile(files.keyFile, key), writeFile(files.caFile, ca.cert)]);
  const open = async (options: RealVaultOptions) => {
    const vault = await openRealVault(t, options);
    await vault.write('sys/auth/jwt', { type: 'jwt' });
    return vault;
  };
  const [plain, secure] = await Promise.all([open({}), open({ tls: files })]);
  const shown = BROKEN_SETUPS.filter(({ memory }) => memory === undefined);
  let explained = 0;
  for (const broken of shown) {
    await t.test(broken.name, { skip: withoutRights(broken) }, async (one) => {
      const vault = broken.tls === true ? secure : plain;
      const patient = patientOf(vault, broken.tls === true ? files.caFile : undefined);
      // remove the mount of the previous test
      await vault.call('DELETE', 'sys/auth/jwt');
      await treat(await openClinic(one, patient), broken, 'built');
      explained += 1;
    });
  }
  t.diagnostic(`explained ${explained} of ${shown.length}`);
});

const patientOf = (vault: RealVault, caFile: string | undefined): Patient => ({
  admin: vault,
  cli: findVault(),
  unseal: () => vault.unseal(),
  ...(caFile === undefined ? {} : { caFile }),
});
