// Doctor's checks of issuers that are unusual but valid.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Secret } from '../../src/core/secret.ts';
import { type Handler, listenOn } from '../../src/dev/listen.ts';
import { inspectIssuer } from '../../src/doctor/probes/issuer.ts';

const LOOKING = { timeoutMs: 5000, fetchIssuer: false };

async function serve(t: TestContext, handle: Handler): Promise<string> {
  const { url, close } = await listenOn({}, handle);
  t.after(close);
  return url;
}

async function makeKeys(count: number) {
  const pairs = await Promise.all(Array.from({ length: count }, () => generateKeyPair('ES256', { extractable: true })));
  const keys = await Promise.all(
    pairs.map(async ({ publicKey }, index) => ({ ...(await exportJWK(publicKey)), kid: `k${index}`, alg: 'ES256' })),
  );
  const sign = async (index: number) => {
    const key = pairs[index]?.privateKey;
    assert.ok(key);
    return new Secret(await new SignJWT({ sub: 'app' }).setProtectedHeader({ alg: 'ES256' }).sign(key));
  };
  return { keys, sign };
}

test('verifies a JWT without a key id against all keys of the issuer', async (t) => {
  const { keys, sign } = await makeKeys(3);
  const jwksUrl = `${await serve(t, () => ({ status: 200, body: { keys: keys.slice(0, 2) } }))}/keys`;
  assert.equal((await inspectIssuer(await sign(1), { jwksUrl }, LOOKING))?.state, 'verified');
  assert.equal((await inspectIssuer(await sign(2), { jwksUrl }, LOOKING))?.state, 'forged');
});

test("doesn't follow a redirect of the issuer, and reports no error, since Vault follows it (K20)", async (t) => {
  const { sign } = await makeKeys(1);
  const discoveryUrl = await serve(t, () => ({
    status: 302,
    body: '',
    headers: { location: 'https://other.example/' },
  }));
  const facts = await inspectIssuer(await sign(0), { discoveryUrl }, LOOKING);
  assert.equal(facts?.state, 'unfetched');
});
