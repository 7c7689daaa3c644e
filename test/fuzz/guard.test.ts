// Any headers and any bytes on the token API: only valid requests get the token. strict-request.ts decides which are
// valid, and shares no code with the guard. test/faults/fuzz.fault.ts is a longer run against a daemon.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { closeApp } from '../../src/http/limits.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { fakeView } from '../http/fake-view.ts';
import { askWithoutMore, portOf, request } from '../http/raw-socket.ts';
import { firstSeed, mutated, tokenRequests } from './mutation.ts';
import { deserving } from './strict-request.ts';

const TOKEN = 'hvs.CAESIJfuzzfuzz';
/** Few mutants get a token, so many are needed. */
const MUTANTS = 1600;

async function setUp(t: TestContext): Promise<number> {
  const view = fakeView();
  view.set(TOKEN);
  let now = 0;
  const app = buildTokenApi({
    exchanges: () => [view],
    listen: { host: '127.0.0.1', port: 0 },
    now: () => {
      // a second between two calls, so that the rate limit is never reached
      now += 1000;
      return now;
    },
  });
  t.after(() => closeApp(app));
  return portOf(await app.listen({ host: '127.0.0.1', port: 0 }));
}

const tokensIn = (answer: string): number => answer.split(TOKEN).length - 1;

const seldom = (line: string) =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(line) });
const PORT = 'PORT';
const lines = fc
  .tuple(
    fc
      .oneof(
        { weight: 5, arbitrary: fc.constantFrom('127.0.0.1:PORT', 'localhost:PORT', '[::1]:PORT', 'LocalHost:PORT') },
        fc.constantFrom('evil.example:PORT', 'localhost', '127.0.0.1:1', '', 'localhost:PORT.evil.example', '::1:PORT'),
      )
      .map((host) => `Host: ${host}`),
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('X-Vault-Request: true', 'x-vault-request:\ttrue ') },
      fc.constantFrom('X-Vault-Request: false', 'X-Vault-Request:', 'X-Vault-Requests: true', 'x_vault_request: true'),
    ),
    fc.tuple(
      ...[
        'Host: localhost:PORT',
        'X-Vault-Request: true',
        'Origin: http://localhost:PORT',
        'Sec-Fetch-Site: none',
        'Sec-Fetch-Site: same-origin',
        'Via: 1.1 a',
        'Forwarded: for=a',
        'x-forwarded-for:',
        'X-REAL-IP: 10.0.0.1',
        'Content-Length: 0',
        'Content-Length: 1',
        'Transfer-Encoding: chunked',
        'Accept: text/plain',
        'Connection: close',
        'Referer: http://localhost/',
        'Cookie: a=b',
        'Upgrade-Insecure-Requests: 1',
      ].map(seldom),
    ),
  )
  .chain(([host, header, more]) => {
    const all = [host, header, ...more.filter((line) => line !== undefined)];
    return fc.oneof(
      { weight: 5, arbitrary: fc.shuffledSubarray(all, { minLength: all.length }) },
      fc.shuffledSubarray(all),
    );
  });
const first = fc.constantFrom(
  'GET /v1/token HTTP/1.1',
  'GET /v1/token/app?x=1 HTTP/1.1',
  'GET /v1/token/a%70p HTTP/1.1',
  'GET http://localhost:PORT/v1/token HTTP/1.1',
  'GET /v1/token HTTP/1.0',
);

test('only requests with valid headers get the token (G1, G2, G3, G4, G5, G8)', async (t) => {
  const port = await setUp(t);
  let good = 0;
  const property = fc.asyncProperty(first, lines, async (start, all) => {
    const bytes = [start, ...all, '', ''].join('\r\n').replaceAll(PORT, String(port));
    const expected = deserving(bytes, port);
    assert.equal(tokensIn(await askWithoutMore(port, bytes)), expected, bytes);
    good += expected;
  });
  await fc.assert(property, { numRuns: 800 });
  assert.ok(good > 20, `${good} were valid`);
});

test('mutated requests never get more tokens than they contain valid requests (G8)', async (t) => {
  const port = await setUp(t);
  const seed = firstSeed(t);
  const requests = tokenRequests(port);
  let given = 0;
  for (let at = seed; at < seed + MUTANTS; at += 1) {
    const bytes = mutated(requests, at);
    const answer = await askWithoutMore(port, Buffer.from(bytes, 'latin1'));
    given += tokensIn(answer);
    const replay = `FUZZ_SEED=${at} sends ${JSON.stringify(bytes)}, which is answered with ${JSON.stringify(answer)}`;
    assert.ok(tokensIn(answer) <= deserving(bytes, port), replay);
    assert.doesNotMatch(answer, /^HTTP\/1\.1 5(?!03 )/m, replay);
  }
  // only the first of several pipelined requests is answered
  assert.ok(given > 10, `${given} tokens were given`);
  assert.equal(tokensIn(await askWithoutMore(port, request(port))), 1);
});
