// Certificates over real TLS: reasons of refusals, rotation of the client certificate, and redirects from https to
// http.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { VaultSettings } from '../../src/core/settings.ts';
import { openVaultClient, type VaultClient } from '../../src/vault/client.ts';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

function openClient(t: TestContext, address: string, settings: Partial<VaultSettings>): VaultClient {
  const rest = { timeoutMs: 5000, redirectHosts: [], useProxyEnv: false, ...settings };
  const client = openVaultClient({ address, tls: {}, ...rest });
  t.after(() => client.close());
  return client;
}

/** "code: evidence", or the status with the body. */
const outcome = (client: VaultClient): Promise<string> =>
  client
    .send({
      method: 'POST',
      path: '/v1/auth/jwt/login',
      token: new Secret('hvs.CAESIsecret'),
      body: new Secret('{"jwt":"eyJsecret"}'),
    })
    .then(
      ({ status, body }) => `${status} ${body.reveal()}`,
      (error) => {
        assert.ok(error instanceof ExchangeError, String(error));
        return `${error.failure.code}: ${explain(error.failure).evidence}`;
      },
    );

async function tlsPeer(t: TestContext, options: ServerOptions): Promise<string> {
  const server = createServer(options, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    response.end(subject?.CN ?? 'nobody');
  });
  return `https://127.0.0.1:${await listen(t, server)}`;
}

test('refuses expired, not yet valid and self-signed certificates with the reason (E4)', async (t) => {
  const directory = await temporaryDirectory(t);
  const [ca, self] = [makeCa(directory), makeCa(directory, 'self')];
  const tls = { caFile: join(directory, 'ca.pem') };
  for (const [reason, pair] of [
    ['expired (CERT_HAS_EXPIRED)', ca.issue({ days: [-20, -10] })],
    ['not yet valid (CERT_NOT_YET_VALID)', ca.issue({ days: [10, 20] })],
    ['self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)', self],
  ] as const)
    assert.equal(
      await outcome(openClient(t, await tlsPeer(t, pair), { tls })),
      `vault_tls: the certificate is ${reason}`,
    );
});

test('uses a rotated client certificate, and keeps the old pair while only half of it has changed (E6)', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  const address = await tlsPeer(t, { ...ca.issue(), ca: ca.cert, requestCert: true, rejectUnauthorized: true });
  const tls = {
    caFile: join(directory, 'ca.pem'),
    clientCertFile: join(directory, 'client.pem'),
    clientKeyFile: join(directory, 'client.key'),
  };
  const [first, second] = [ca.issue({ name: 'first' }), ca.issue({ name: 'second' })];
  await writeFile(tls.clientCertFile, first.cert);
  await writeFile(tls.clientKeyFile, first.key);
  const client = openClient(t, address, { tls });
  assert.equal(await outcome(client), '200 first');
  await writeFile(tls.clientCertFile, second.cert);
  assert.equal(await outcome(client), '200 first');
  await writeFile(tls.clientKeyFile, second.key);
  assert.equal(await outcome(client), '200 second');
  assert.notEqual(await outcome(openClient(t, address, { tls: { caFile: tls.caFile } })), '200');
});

test('blocks a redirect from https to http to any host, so that no secret is sent in the clear (C5)', async (t) => {
  const directory = await temporaryDirectory(t);
  let leaked = 0;
  const clear = createHttpServer((_request, response) => {
    leaked += 1;
    response.end();
  });
  const port = await listen(t, clear);
  for (const location of [`http://127.0.0.1:${port}/v1/x`, `HTTP://127.0.0.1:${port}/v1/x`]) {
    const server = createServer(
      makeCa(directory).issue(),
      (_request, response) => void response.writeHead(307, { location }).end(),
    );
    const address = `https://127.0.0.1:${await listen(t, server)}`;
    const settings = { tls: { caFile: join(directory, 'ca.pem') }, redirectHosts: ['127.0.0.1', `127.0.0.1:${port}`] };
    assert.equal(await outcome(openClient(t, address, settings)), 'redirect_blocked: from https:// to http://');
  }
  assert.equal(leaked, 0);
});

test('verifies the configured server name, and sends it as SNI (E4)', async (t) => {
  const directory = await temporaryDirectory(t);
  const ca = makeCa(directory);
  let asked = '';
  const SNICallback: ServerOptions['SNICallback'] = (name, done) => {
    asked = name;
    done(null);
  };
  const address = await tlsPeer(t, { ...ca.issue({ name: 'vault.example' }), SNICallback });
  const caFile = join(directory, 'ca.pem');
  assert.equal(await outcome(openClient(t, address, { tls: { caFile, serverName: 'vault.example' } })), '200 nobody');
  assert.equal(asked, 'vault.example');
  assert.match(
    await outcome(openClient(t, address, { tls: { caFile, serverName: 'other.example' } })),
    /^vault_tls: the certificate is issued for another name/,
  );
  // the CA as text, from doctor's own commands
  const byText = { tls: { ca: readFileSync(caFile, 'utf8'), serverName: 'vault.example' } };
  assert.equal(await outcome(openClient(t, address, byText)), '200 nobody');
});
