// setup.trust.oidc_discovery_ca_file: the CAs of the issuer's certificate, read when setup and doctor run.

import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { command as validate } from '../../src/commands/validate.ts';
import { invoke } from '../support/invoke.ts';
import { setUp } from './set-up.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';
const KEY = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----';

async function withCaFile(...[t, trust = {}]: [Parameters<typeof setUp>[0], Record<string, unknown>?]) {
  const world = await setUp(t);
  const path = join(world.directory, 'ca.pem');
  await world.write({ setup: { trust: { oidc_discovery_ca_file: path, ...trust }, role: { token_policies: ['p'] } } });
  return { ...world, path };
}

test('prints and applies the certificates of the file, and nothing else in it', async (t) => {
  const { run, path, admin } = await withCaFile(t);
  await writeFile(path, `# Größe 1\n${CERTIFICATE}\n${KEY}\n${CERTIFICATE}\n`);
  const { steps } = JSON.parse((await run({ json: true })).out) as { steps: { body: Record<string, string> }[] };
  assert.equal(steps[1]?.body['oidc_discovery_ca_pem'], `${CERTIFICATE}\n${CERTIFICATE}\n`);
  assert.match((await run()).out, /^ {2}"oidc_discovery_ca_pem": "-----BEGIN CERTIFICATE-----\\nMIIB/m);
  assert.match((await run({ hcl: true })).out, /oidc_discovery_ca_pem = <<-EOT\n-----BEGIN CERTIFICATE-----\nMIIB\n/);
  const applied = await run({ apply: true, yes: true });
  assert.equal(applied.code, 0, applied.err);
  const config = (await admin.call('GET', 'auth/jwt/config')).body['data'] as Record<string, unknown>;
  assert.equal(config['oidc_discovery_ca_pem'], `${CERTIFICATE}\n${CERTIFICATE}\n`);
  assert.match((await run({ apply: true })).out, /nothing to change$/);
});

test('a file that is missing or has no certificate is an error of the config, before anything is sent', async (t) => {
  const { run, path, vault } = await withCaFile(t);
  const key = 'exchanges.app.setup.trust.oidc_discovery_ca_file';
  for (const flags of [{}, { apply: true, yes: true }]) {
    const { code, err } = await run(flags);
    assert.deepEqual([code, err], [2, `${key}: can't use ${path}: ENOENT`]);
  }
  await writeFile(path, KEY);
  assert.equal((await run()).err, `${key}: can't use ${path}: holds no PEM certificate`);
  assert.deepEqual(vault.requests, []);
});

test('the file and the PEM text exclude each other', async (t) => {
  const { run } = await withCaFile(t, { oidc_discovery_ca_pem: CERTIFICATE });
  const { code, err } = await run();
  assert.equal(code, 2);
  assert.match(err, /setup\.trust: must have at most one of oidc_discovery_ca_pem, oidc_discovery_ca_file$/);
});

test('validate and the daemon do not read the file; doctor goes on without it', async (t) => {
  const { run, config, path, operator } = await withCaFile(t);
  await writeFile(path, CERTIFICATE);
  assert.equal((await run({ apply: true, yes: true })).code, 0);
  const compared = await invoke(doctor, { config, json: true }, { env: operator });
  assert.doesNotMatch(compared.out, /setup_differs/);
  await writeFile(path, CERTIFICATE.replace('MIIB', 'MIIC'));
  assert.match((await invoke(doctor, { config, json: true }, { env: operator })).out, /setup_differs/);
  await rm(path);
  assert.equal((await invoke(validate, { config })).code, 0);
  const without = await invoke(doctor, { config, json: true }, { env: operator });
  assert.equal(without.err, `warning: exchanges.app.setup.trust.oidc_discovery_ca_file: can't use ${path}: ENOENT`);
  assert.doesNotMatch(without.out, /setup_differs/);
});
