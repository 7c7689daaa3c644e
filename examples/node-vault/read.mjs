// Reads a secret each second with node-vault. With VAULT_TOKEN_FILE, the token is read again for each request. Otherwise
// node-vault reads VAULT_TOKEN once.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import nodeVault from 'node-vault';

const { VAULT_ADDR, VAULT_TOKEN_FILE } = process.env;
const client = nodeVault({ endpoint: VAULT_ADDR });

async function readSecret(path) {
  if (VAULT_TOKEN_FILE) client.token = await readFile(VAULT_TOKEN_FILE, 'utf8');
  return (await client.read(path)).data.data;
}

for (;;) {
  await readSecret('secret/data/my-app').then(
    ({ greeting }) => console.log(greeting),
    (error) => console.error(error.message),
  );
  await sleep(1000);
}
