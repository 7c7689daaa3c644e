// The contract against the in-memory Vault. contract.real.ts tests a real one.

import { openDevVault } from '../../src/dev/vault.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { adminOf } from './admin.ts';
import { testContract } from './contract.ts';

testContract(async (t) => {
  const vault = await openDevVault();
  t.after(() => vault.close());
  return Object.assign(adminOf(vault.url, {}, ROOT_TOKEN), {
    seal: async () => vault.setSealed(true),
    unseal: async () => vault.setSealed(false),
  });
});
