// Reads a secret each second with fetch. With VAULT_TOKEN_FILE, the token is read again for each request.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const { VAULT_ADDR, VAULT_TOKEN = '', VAULT_TOKEN_FILE } = process.env;

async function readSecret(path) {
  const token = VAULT_TOKEN_FILE ? await readFile(VAULT_TOKEN_FILE, 'utf8') : VAULT_TOKEN;
  const response = await fetch(`${VAULT_ADDR}/v1/${path}`, { headers: { 'X-Vault-Token': token } });
  if (!response.ok) throw new Error(`Vault answered ${response.status}`);
  return (await response.json()).data.data;
}

for (;;) {
  await readSecret('secret/data/my-app').then(
    ({ greeting }) => console.log(greeting),
    (error) => console.error(error.message),
  );
  await sleep(1000);
}
