// Where the operator's token goes: only to the Vault that VAULT_ADDR names.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { invoke } from '../support/invoke.ts';
import { openGate } from './gate.ts';
import { setUp } from './set-up.ts';

const APPLY = { apply: true, yes: true };

test("the token doesn't follow a redirect to another host, even to one that the exchange may follow", async (t) => {
  const { run, write, vault, config } = await setUp(t);
  const standby = await openGate(t, vault.url);
  const active = await openGate(t, vault.url);
  standby.answer = ({ path }) => ({ status: 307, body: '', headers: { location: `${active.url}${path}` } });
  await write({ vault: { address: standby.url, redirect_hosts: [new URL(active.url).host] } });
  const env = { VAULT_ADDR: standby.url, VAULT_TOKEN: ROOT_TOKEN };
  const { code, err } = await run(APPLY, { env });
  assert.equal(code, 4);
  assert.match(
    err,
    /^nothing was written\nVault redirects the setup to another host: to host 127\.0\.0\.1:\d+\. Set VAULT_ADDR and vault\.address to the active node/,
  );
  assert.deepEqual(active.requests, []);
  // doctor compares Vault's side with the same token
  await invoke(doctor, { config }, { env });
  assert.ok(active.requests.length > 0, 'the login follows the redirect');
  assert.ok(active.requests.every(({ headers }) => headers['x-vault-token'] !== ROOT_TOKEN));
});

test('the token goes over http to another machine only if VAULT_ADDR says so', async (t) => {
  const { run, write } = await setUp(t);
  const address = 'http://vault.invalid:8200';
  await write({ vault: { address, allow_insecure_http: true } });
  const unset = await run(APPLY, { env: { VAULT_TOKEN: ROOT_TOKEN } });
  assert.equal(unset.code, 2);
  assert.match(unset.err, /^VAULT_ADDR isn't set, and the token is sent only to that Vault/);
  const asked = await run(APPLY, { env: { VAULT_ADDR: address, VAULT_TOKEN: ROOT_TOKEN } });
  assert.equal(asked.code, 5, asked.err);
});

test('exchanges of several Vaults: sends the token to none, and names the exchanges of each Vault', async (t) => {
  const { run, config, vault, operator } = await setUp(t);
  const other = await openGate(t, vault.url);
  const exchange = (address: string, role: string) => ({
    vault: { address },
    source: { file: { path: `/jwt/${role}` } },
    login: { role },
    expect: { issuer: 'https://issuer', audience: 'vault', subject: 'app' },
    setup: { role: { token_policies: ['p'] } },
  });
  const exchanges = { a: exchange(vault.url, 'a'), b: exchange(other.url, 'b'), c: exchange(vault.url, 'c') };
  await writeFile(config, JSON.stringify({ exchanges }));
  const { code, err } = await run(APPLY);
  assert.deepEqual(
    [code, err],
    [
      2,
      `the exchanges log in to several Vaults, and a Vault token is for one: run it for each exchange with --exchange, and with the VAULT_ADDR and VAULT_TOKEN of its Vault (a, c: ${vault.url}; b: ${other.url})`,
    ],
  );
  assert.deepEqual([vault.requests, other.requests], [[], []]);
  const wrong = await run({ ...APPLY, exchange: 'b' }, { env: operator });
  assert.deepEqual(
    [wrong.code, wrong.err],
    [2, `the Vault token is for VAULT_ADDR (${vault.url}), but the exchange logs in to ${other.url}`],
  );
  assert.deepEqual(other.requests, []);
});
