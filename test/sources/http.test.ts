// The http source with stand-ins of the endpoints that issue JWTs: it sends what each of them asks for, and explains refusals
// without showing a secret.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import type { HeaderSettings, HttpSourceSettings } from '../../src/core/settings.ts';
import { openHttpSource } from '../../src/sources/http.ts';
import { makeCa } from '../support/certificates.ts';
import {
  type Failing,
  openActionsEndpoint,
  openAzureMetadata,
  openGoogleMetadata,
  openSpiffeEngine,
} from '../support/jwt-endpoints.ts';
import { jwtText } from '../support/jwt-text.ts';
import { listen } from '../support/listening.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SECRET = 'request-token-of-the-job';
const jwtFor = (aud: string) => jwtText({ aud });
const mint = async (audience: string) => jwtFor(audience);

const settingsOf = (url: string, changes: Partial<HttpSourceSettings> = {}): HttpSourceSettings => ({
  kind: 'http',
  url: { text: url },
  query: {},
  method: 'GET',
  headers: {},
  jsonPointer: '',
  tls: {},
  timeoutMs: 300,
  useProxyEnv: false,
  ...changes,
});

/** Reads once: the JWT, or "code: evidence". */
async function read(t: TestContext, settings: HttpSourceSettings, env: Record<string, string> = {}): Promise<string> {
  const source = openHttpSource(settings, env);
  t.after(() => source.close());
  try {
    return (await source.read()).reveal();
  } catch (error) {
    assert.ok(error instanceof ExchangeError, String(error));
    assert.ok(!error.message.includes(SECRET), error.message);
    return `${error.failure.code}: ${explain(error.failure).evidence}`;
  }
}

const GOOGLE = '/computeMetadata/v1/instance/service-accounts/default/identity';
const AZURE = '/metadata/identity/oauth2/token';
const BEARER = { authorization: { env: 'REQUEST_TOKEN', prefix: 'bearer ' } };

test("gets a JWT from Google's metadata service, and explains its refusals", async (t) => {
  const { origin, requests } = await openGoogleMetadata(t, mint);
  const headers = { 'Metadata-Flavor': { text: 'Google' } };
  const full = settingsOf(`${origin}${GOOGLE}?audience=vault&format=full`, { headers });
  assert.equal(await read(t, full), jwtFor('vault'));
  assert.deepEqual(requests, [`GET ${GOOGLE}?audience=vault&format=full`]);
  const host = new URL(origin).host;
  assert.equal(
    await read(t, settingsOf(`${origin}${GOOGLE}`, { headers })),
    `jwt_endpoint_refused: ${host}: status 400, non-empty audience parameter required`,
  );
  assert.equal(await read(t, settingsOf(`${origin}${GOOGLE}?audience=a`)), `jwt_endpoint_refused: ${host}: status 403`);
  assert.equal(await read(t, settingsOf(origin, { headers })), `jwt_endpoint_failing: ${host}: status 404`);
});

test("gets an access token from Azure's metadata service", async (t) => {
  const { origin } = await openAzureMetadata(t, mint);
  const settings = settingsOf(`${origin}${AZURE}?api-version=2018-02-01`, {
    query: { resource: 'api://vault' },
    headers: { Metadata: { text: 'true' } },
    jsonPointer: '/access_token',
  });
  assert.equal(await read(t, settings), jwtFor('api://vault'));
  assert.match(
    await read(t, { ...settings, query: {} }),
    /^jwt_endpoint_refused: .*: status 400, Required query variable 'resource' is missing$/,
  );
  assert.match(
    await read(t, { ...settings, jsonPointer: '/token' }),
    /^jwt_endpoint_unusable: .*: no text at json_pointer/,
  );
});

test('gets an ID token from GitHub and Forgejo Actions, whose URL and credentials are variables', async (t) => {
  const { origin, requests } = await openActionsEndpoint(t, { token: SECRET, mint });
  const settings = settingsOf('', {
    url: { env: 'REQUEST_URL' },
    query: { audience: 'vault' },
    headers: BEARER,
    jsonPointer: '/value',
  });
  const env = { REQUEST_URL: `${origin}/idtoken?api-version=2.0`, REQUEST_TOKEN: SECRET };
  assert.equal(await read(t, settings, env), jwtFor('vault'));
  assert.deepEqual(requests, ['GET /idtoken?api-version=2.0&audience=vault']);
  const refused = await read(t, settings, { ...env, REQUEST_TOKEN: `${SECRET}x` });
  assert.equal(refused, `jwt_endpoint_refused: ${new URL(origin).host}: status 401`, 'it quotes the credential');
  for (const [changed, evidence] of [
    [{ REQUEST_TOKEN: SECRET }, 'environment variable REQUEST_URL is not set'],
    [{ ...env, REQUEST_TOKEN: ' ' }, 'environment variable REQUEST_TOKEN is empty'],
    [{ ...env, REQUEST_TOKEN: 'a\r\nb' }, 'environment variable REQUEST_TOKEN is not printable'],
    [{ ...env, REQUEST_TOKEN: 'clé' }, 'environment variable REQUEST_TOKEN is not ASCII'],
    [{ ...env, REQUEST_URL: 'http://10.0.0.1/' }, 'environment variable REQUEST_URL is not an https URL'],
    [{ ...env, REQUEST_URL: 'idtoken' }, 'environment variable REQUEST_URL is not a URL'],
  ] as const)
    assert.equal(await read(t, settings, changed), `jwt_request_incomplete: ${evidence}`);
});

test("posts a body with a token from a file, as Vault's SPIFFE engine needs", async (t) => {
  const { origin } = await openSpiffeEngine(t, { token: SECRET, mint });
  const file = join(await temporaryDirectory(t), 'token');
  const settings = settingsOf(`${origin}/v1/spiffe/role/app/mintjwt`, {
    method: 'POST',
    headers: { 'X-Vault-Token': { file, prefix: '' } },
    body: '{"audience":"vault"}',
    jsonPointer: '/data/token',
  });
  assert.equal(await read(t, settings), `jwt_request_incomplete: ${file}: ENOENT`);
  await writeFile(file, '\n');
  assert.equal(await read(t, settings), `jwt_request_incomplete: ${file}: empty`);
  await writeFile(file, 'clé');
  assert.equal(await read(t, settings), `jwt_request_incomplete: ${file}: contains characters other than ASCII`);
  await writeFile(file, `${SECRET}\n`);
  assert.equal(await read(t, settings), jwtFor('vault'));
  assert.match(await read(t, { ...settings, body: '{}' }), /^jwt_endpoint_refused: .*: status 400, missing audience$/);
});

/** An endpoint that refuses each request with `words` of it: exactly as sent, decoded, or escaped. */
async function openEcho(t: TestContext, words: (request: { url: URL; authorization: string; body: string }) => string) {
  const server = createHttpServer(async (request, reply) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const url = new URL(request.url ?? '', 'http://endpoint');
    const { authorization = '' } = request.headers;
    reply.writeHead(400).end(JSON.stringify({ message: words({ url, authorization, body }) }));
  });
  return `http://127.0.0.1:${await listen(t, server)}`;
}

test('shows nothing of an error message that quotes the request', async (t) => {
  const password = 'p"a/ss&1';
  const env = { REQUEST_TOKEN: 'q1w2', WHOLE: 'Bearer q1w2', PASSWORD: password };
  const post = (body: string) => ({ method: 'POST', body }) as const;
  const header = (setting: HeaderSettings) => ({ headers: { Authorization: setting } });
  const withPassword = header({ env: 'PASSWORD', prefix: 'Basic ' });
  for (const [changes, words] of [
    [header({ env: 'REQUEST_TOKEN', prefix: 'Bearer ' }), ({ authorization }) => `bad ${authorization}`],
    [header({ env: 'WHOLE', prefix: '' }), ({ authorization }) => `bad ${authorization.split(' ')[1]}!`],
    [header({ text: 'Bearer q1w2 ' }), () => 'bad token Q1W2'],
    [withPassword, ({ authorization }) => JSON.stringify({ authorization })],
    [withPassword, () => `bad ${encodeURIComponent(password)}`],
    [withPassword, () => `bad ${encodeURIComponent(encodeURIComponent(password))}`],
    [withPassword, () => 'bad p&quot;a/ss&amp;1'],
    [withPassword, () => 'bad p\\u0022a/ss\\u00261'],
    [withPassword, () => `${'x'.repeat(400)}${password}`],
    [header({ text: '***' }), () => 'bad ***'],
    [header({ text: 'a%2' }), () => 'bad a%2e'],
    [{ query: { key: 'a b/c' } }, ({ url }) => `bad ${url.search}`],
    [{ query: { key: 'a b/c' } }, ({ url }) => `bad ${url.searchParams.get('key')}`],
    [{ query: { 'a-key': '' } }, ({ url }) => `bad ${url.href}`],
    [post('{"user":{"keys":["k-1"]}}'), () => 'bad k-1'],
    [post('{"pin":1234}'), () => 'bad 1234'],
    [post('user=me'), ({ body }) => `bad ${body}`],
  ] as [Partial<HttpSourceSettings>, Parameters<typeof openEcho>[1]][]) {
    const url = await openEcho(t, words);
    const shown = `jwt_endpoint_refused: ${new URL(url).host}: status 400`;
    assert.equal(await read(t, settingsOf(url, changes), env), shown, JSON.stringify(changes));
    const other = await openEcho(t, () => 'not a quote');
    assert.match(await read(t, settingsOf(other, changes), env), /: status 400, not a quote$/);
  }
  const inUrl = settingsOf('', { url: { env: 'URL' } });
  const URL_ = `${await openEcho(t, ({ url }) => `bad ${url.searchParams.get('sig')}`)}/?sig=s3cr3t`;
  assert.match(await read(t, inUrl, { URL: URL_ }), /: status 400$/);
});

test('shows an error message that quotes the audience, or what is no secret', async (t) => {
  const url = await openEcho(t, ({ url }) => `no application ${url.searchParams.get('resource')}`);
  const headers = { Metadata: { text: 'true' }, 'Metadata-Flavor': { text: 'Google' } };
  const azure = settingsOf(`${url}/?api-version=2018-02-01`, { query: { resource: 'api://vault' }, headers });
  assert.match(await read(t, azure), /: status 400, no application api:\/\/vault$/);
  const google = await openEcho(t, () => 'true: Google knows no 2018-02-01');
  assert.match(await read(t, { ...azure, url: { text: google } }), /: status 400, true: Google knows no 2018-02-01$/);
  const spiffe = await openEcho(t, () => 'audience vault is not allowed');
  const post = settingsOf(spiffe, { method: 'POST', body: '{"audience":"vault"}' });
  assert.match(await read(t, post), /: status 400, audience vault is not allowed$/);
  const vault = await openEcho(t, () => 'hvs.CAESIJabcdefgh is over');
  assert.match(await read(t, settingsOf(vault)), /: status 400, \[redacted\] is over$/);
});

test('follows no redirect, and distinguishes temporary failures from refusals', async (t) => {
  const endpoint = await openActionsEndpoint(t, { token: SECRET, mint });
  const elsewhere = await openActionsEndpoint(t, { token: SECRET, mint });
  const settings = settingsOf(endpoint.origin, { headers: BEARER, jsonPointer: '/value' });
  const env = { REQUEST_TOKEN: SECRET };
  for (const [reply, code] of [
    [{ status: 302, headers: { location: elsewhere.origin } }, 'jwt_endpoint_refused'],
    [{ status: 302, headers: { location: elsewhere.origin }, body: '{"value":"a.b.c"}' }, 'jwt_endpoint_refused'],
    [{ status: 410 }, 'jwt_endpoint_failing'],
    [{ status: 429 }, 'jwt_endpoint_failing'],
    [{ status: 500, body: '{"error":{"message":"later"}}' }, 'jwt_endpoint_failing'],
    [{ status: 200, body: '{"value":' }, 'jwt_endpoint_unusable'],
    [{ status: 200, body: '{"value":7}' }, 'jwt_endpoint_unusable'],
    [{ status: 200, body: 'x'.repeat(300_000) }, 'jwt_endpoint_unusable'],
  ] as [Failing, string][]) {
    endpoint.fail(reply);
    assert.match(await read(t, settings, env), new RegExp(`^${code}: `), JSON.stringify(reply.status));
  }
  assert.deepEqual(elsewhere.requests, []);
  endpoint.fail({ status: 429, headers: { 'retry-after': '7' } });
  const source = openHttpSource(settings, env);
  t.after(() => source.close());
  await assert.rejects(source.read(), (error) => {
    assert.ok(error instanceof ExchangeError);
    assert.equal(error.failure.retryAfterMs, 7000);
    return true;
  });
  for (const [body, evidence] of [
    ['', '127.0.0.1:\\d+: the reply is empty'],
    ['<title>Sign in</title>', 'it has 1 part instead of 3'],
    [`{"token":"${jwtFor('vault')}"}`, 'it is in a JSON document'],
    [`Bearer ${jwtFor('vault')}`, 'it begins with "Bearer"'],
    ['a.b.c', "its header or payload isn't a JSON object"],
  ] as const) {
    endpoint.fail({ status: 200, body });
    const whole = new RegExp(`^jwt_endpoint_unusable: ${evidence}$`);
    assert.match(await read(t, { ...settings, jsonPointer: '' }, env), whole);
  }
});

test('reports an endpoint that is unreachable, silent, or has an unknown CA', async (t) => {
  const silent = await listen(t, createServer());
  assert.match(
    await read(t, settingsOf(`http://127.0.0.1:${silent}`)),
    /^jwt_endpoint_unreachable: no reply within 0.3 s$/,
  );
  assert.match(await read(t, settingsOf('http://127.0.0.1:1')), /^jwt_endpoint_unreachable: connect ECONNREFUSED/);
  const directory = await temporaryDirectory(t);
  const pair = makeCa(directory).issue({ name: 'localhost' });
  const port = await listen(
    t,
    createHttpsServer(pair, (_request, reply) => void reply.end(`${jwtFor('vault')}\n`)),
  );
  const url = `https://localhost:${port}`;
  assert.match(await read(t, settingsOf(url)), /^jwt_endpoint_tls: the certificate is signed by an unknown CA/);
  const caFile = join(directory, 'none.pem');
  assert.equal(await read(t, settingsOf(url, { tls: { caFile } })), `jwt_endpoint_tls: ${caFile}: ENOENT`);
  assert.equal(await read(t, settingsOf(url, { tls: { caFile: join(directory, 'ca.pem') } })), jwtFor('vault'));
});
