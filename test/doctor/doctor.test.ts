// Doctor on setups that are broken in one place: the first finding names the cause, and its remedy fixes the setup.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { ROOT_TOKEN } from '../../src/dev/vault-admin.ts';
import { makeCa } from '../support/certificates.ts';
import { invoke } from '../support/invoke.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { adminOf } from '../vault/admin.ts';
import { BROKEN_SETUPS } from './broken-setups.ts';
import { openClinic, type Patient, treat, withoutRights } from './clinic.ts';

/** The Vault in memory. */
async function openPatient(t: TestContext, withTls: boolean): Promise<Patient> {
  let skewMs = 0;
  const directory = await temporaryDirectory(t);
  const ca = withTls ? makeCa(directory) : undefined;
  const tls = ca?.issue();
  const vault = await openDevVault({ now: () => Date.now() + skewMs, ...(tls === undefined ? {} : { tls }) });
  t.after(() => vault.close());
  if (ca !== undefined) await writeFile(join(directory, 'ca.pem'), ca.cert);
  const connect = ca === undefined ? {} : { ca: ca.cert };
  return {
    admin: adminOf(vault.url, connect, ROOT_TOKEN),
    cli: resolve('test/support/vault-cli.mjs'),
    ...(ca === undefined ? {} : { caFile: join(directory, 'ca.pem') }),
    memory: {
      vault,
      setSkew(ms) {
        skewMs = ms;
      },
    },
  };
}

async function openIssuerAs(t: TestContext, issuer: string): Promise<Issuer> {
  const opened = await openIssuer({ issuer });
  t.after(() => opened.close());
  return opened;
}

/** npm run test:vault examines all setups that a real Vault can have, so here every third of them is enough. */
const EXAMINED_EACH = 3;

// the tests mostly wait, for a hanging Vault or another process
test('reports the cause of each broken setup first, with a remedy that fixes it', {
  concurrency: 6,
  timeout: 600_000,
}, async (t) => {
  const shown = BROKEN_SETUPS.filter(({ memory }, index) => memory !== undefined || index % EXAMINED_EACH === 0);
  let explained = 0;
  const treatments = shown.map((broken) =>
    t.test(broken.name, { skip: withoutRights(broken) }, async (one) => {
      const clinic = await openClinic(one, await openPatient(one, broken.tls === true));
      await treat(clinic, broken, broken.memory === undefined ? 'in process' : 'built');
      explained += 1;
    }),
  );
  const hanging = t.test('reports a timeout within 20 seconds when every peer hangs', everythingHangs);
  await Promise.all([hanging, ...treatments]);
  t.diagnostic(`explained ${explained} of ${shown.length}`);
});

test('prints the facts of a working setup, and leaves neither a token nor a file behind', async (t) => {
  const patient = await openPatient(t, false);
  const clinic = await openClinic(t, patient);
  const { code, text } = await clinic.examine({ VAULT_ADDR: clinic.admin.url, VAULT_TOKEN: ROOT_TOKEN });
  assert.equal(code, 0);
  const url = clinic.admin.url;
  assert.equal(
    text,
    `exchange app
  ok       the JWT has issuer ${clinic.issuer.issuer}, audience vault, subject system:serviceaccount:default:app; it expires in 60 min
  ok       the keys at ${clinic.issuer.issuer}/keys verify its signature
  ok       Vault 1.21.1 at ${url}; the clocks agree
  ok       login at auth/jwt as app: a service token for 60 min, renewable, policies app-read default
  ok       ${clinic.here('sink/token')} is writable`,
  );
  assert.deepEqual(patient.memory?.vault.alive(), []);
  assert.deepEqual(await readdir(clinic.here('sink')), []);
});

test("reports that an operator's token is expired or lacks permission", async (t) => {
  const { examine, admin } = await openClinic(t, await openPatient(t, false));
  const { findings, code } = await examine({ VAULT_ADDR: admin.url, VAULT_TOKEN: 'ended-long-ago' });
  assert.deepEqual([code, findings.map((finding) => finding.code)], [0, ['setup_unseen']]);
  assert.match(findings[0]?.evidence ?? '', /^sys\/auth: status 403.*\nauth\/jwt\/config: status 403/);
});

test('redacts a JWT that is used as the name of an environment variable', async (t) => {
  const { app, examine, writeJwt } = await openClinic(t, await openPatient(t, false));
  app.source = { env: { name: await writeJwt() } };
  // examine looks for secrets
  assert.match((await examine()).text, /environment variable \[redacted\] is not set/);
});

test('examines an exchange with a vault_identity source together with the exchange that feeds it', async (t) => {
  const patient = await openPatient(t, false);
  const { config, examine } = await openClinic(t, patient);
  config.exchanges.chained = {
    source: { vault_identity: { exchange: 'app', role: 'federation' } },
    login: { role: 'external' },
  };
  const { findings, code } = await examine();
  assert.deepEqual(
    findings.map(({ code: found }) => found),
    ['identity_refused'],
  );
  assert.equal(code, 6);
  assert.deepEqual(patient.memory?.vault.alive(), []);
});

async function everythingHangs(t: TestContext): Promise<void> {
  const { config, app, here, examine } = await openClinic(t, await openPatient(t, false));
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const sockets = new Set<{ destroy(): void }>();
  silent.on('connection', (socket) => sockets.add(socket));
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = silent.address() as { port: number };
  const [hanging, hangingUrl] = [`127.0.0.1:${port}`, `http://127.0.0.1:${port}`];
  config.vault.address = hangingUrl;
  app.expect.issuer = hangingUrl;
  await writeFile(here('jwt'), await (await openIssuerAs(t, hangingUrl)).mint({ sub: app.expect.subject }));
  config.exchanges.chained = {
    source: { vault_identity: { exchange: 'app', role: 'federation' } },
    login: { role: 'external' },
  };
  config.ops.listen = hanging;
  const startedAt = performance.now();
  const { findings, code } = await examine();
  assert.ok(performance.now() - startedAt < 20_000);
  assert.equal(code, 5);
  assert.equal(findings[0]?.code, 'vault_timeout');
}

test('--exchange selects one of several exchanges, and refuses an unknown name', async (t) => {
  const { config, app, here } = await openClinic(t, await openPatient(t, false));
  config.exchanges.other = { ...app, login: { role: 'none' }, sinks: [] };
  await writeFile(here('config.json'), JSON.stringify(config));
  const flags = { config: here('config.json') };
  assert.equal((await invoke(doctor, { ...flags, exchange: 'app' })).code, 0);
  const other = await invoke(doctor, { ...flags, exchange: 'other' });
  assert.equal(other.code, 4);
  assert.match(other.out, /^exchange other\n {2}error {4}the role doesn't exist \(role_missing\)$/m);
  assert.equal((await invoke(doctor, { ...flags, exchange: 'x' })).err, '--exchange must be one of app, other');
});

test('shows colours on a terminal, unless NO_COLOR is set', async () => {
  const flags = { config: '/nowhere/config.json' };
  const { out } = await invoke(doctor, flags, { isTty: true });
  assert.ok(out.includes('\x1b[31merror'));
  const plain = await invoke(doctor, flags, { isTty: true, env: { NO_COLOR: '1' } });
  assert.equal(plain.out, (await invoke(doctor, flags)).out);
});
