// Follows the token by long polls of VAULT_TOKEN_API (http://127.0.0.1:8275/v1/token), and reads a secret each second with
// the latest one.

import { setTimeout as sleep } from 'node:timers/promises';

const { VAULT_ADDR, VAULT_TOKEN_API } = process.env;
let token = '';

async function follow() {
  for (let etag = ''; ; ) {
    const query = new URLSearchParams({ wait_for_change: 'true', last_etag: etag, timeout_sec: '60' });
    const response = await fetch(`${VAULT_TOKEN_API}?${query}`, {
      headers: { 'X-Vault-Request': 'true', Accept: 'text/plain' },
    });
    if (response.ok) {
      token = await response.text();
      etag = response.headers.get('etag');
    } else {
      await sleep(1000 * Number(response.headers.get('retry-after') ?? 5));
    }
  }
}

async function readSecret(path) {
  const response = await fetch(`${VAULT_ADDR}/v1/${path}`, { headers: { 'X-Vault-Token': token } });
  if (!response.ok) throw new Error(`Vault answered ${response.status}`);
  return (await response.json()).data.data;
}

follow();
for (;;) {
  await sleep(1000);
  if (token === '') continue; // the sidecar has none yet
  await readSecret('secret/data/my-app').then(
    ({ greeting }) => console.log(greeting),
    (error) => console.error(error.message),
  );
}
