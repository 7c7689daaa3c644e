// Attacks on the endpoint over real sockets: DNS rebinding, cross-site requests, requests through the application or a
// proxy, smuggling, huge requests. Only the good request gets the token, and no reply echoes the request.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { type Attack, BODIES, CROSS_SITE_REQUESTS, MARKER, REBINDING, THROUGH_THE_APPLICATION } from './attacks.ts';
import { ask, portOf, request, statusesIn } from './raw-socket.ts';
import { HUGE, SMUGGLING } from './smuggling.ts';

async function setUp(t: TestContext) {
  const peers = await openPeers(t);
  const jwt = await peers.writeJwt();
  const { daemon, log } = await runDaemon(t, peers.config());
  const token = await until('a token', () => readFile(join(peers.directory, 'token'), 'utf8').catch(() => undefined));
  return { port: portOf(daemon.api), ops: portOf(daemon.ops), secrets: [token, jwt], token, log };
}

/** @param secrets that must not be in the answer */
function check(answer: string, { name, statuses }: Attack, secrets: readonly string[]): void {
  assert.deepEqual(
    statusesIn(answer).filter((status) => !statuses.includes(status)),
    [],
    `${name}: ${answer}`,
  );
  assert.ok(statusesIn(answer).length <= 1, `one reply: ${answer}`);
  assert.ok(statuses.length === 0 || statusesIn(answer).length === 1, `a reply: ${answer}`);
  for (const secret of secrets) assert.ok(!answer.includes(secret), 'a secret');
  assert.doesNotMatch(answer, SECRET_TEXT);
  assert.doesNotMatch(answer, new RegExp(`access-control|evil|${MARKER}`, 'i'));
  assert.ok(answer.length < 1000, `${answer.length} bytes`);
}

for (const [what, attacks] of [
  ['DNS rebinding', REBINDING],
  ['cross-site requests', CROSS_SITE_REQUESTS],
  ['bodies and methods', BODIES],
  ['requests through the application or a proxy', THROUGH_THE_APPLICATION],
  ['smuggling, and other protocols', SMUGGLING],
  ['huge requests', HUGE],
] as const) {
  test(`none of ${attacks.length} attacks gets the token, and no reply echoes the request: ${what}`, async (t) => {
    const { port, secrets, token, log } = await setUp(t);
    const names = new Set<string>();
    for (const attack of attacks) {
      await t.test(attack.name, async () => check(await ask(port, attack.bytes(port)), attack, secrets));
      names.add(attack.name);
    }
    assert.equal(names.size, attacks.length);
    assert.ok((await ask(port, request(port))).includes(token), 'what was wrong each time was the one thing');
    assert.deepEqual(
      log.filter((line) => !/"level":"(trace|debug|info)"/.test(line)),
      [],
    );
  });
}

test("the ops port has no token route, and can't be read by pages of other sites (G16)", async (t) => {
  const { ops, secrets } = await setUp(t);
  for (const path of ['/v1/token', '/v1/token/app', '/v1/token/app/metadata', '/v1/token/app/refresh', '/v1/token?x=1'])
    for (const method of ['GET', 'POST', 'HEAD'])
      check(
        await ask(ops, request(ops, [], `${method} ${path} HTTP/1.1`)),
        { name: path, statuses: [404], bytes: () => '' },
        secrets,
      );
  for (const path of ['/livez', '/readyz', '/startupz', '/status', '/metrics']) {
    const answer = await ask(ops, request(ops, ['Origin: http://evil.example'], `GET ${path} HTTP/1.1`));
    assert.deepEqual(statusesIn(answer), [403]);
    assert.doesNotMatch(answer, SECRET_TEXT);
    assert.doesNotMatch(answer, /access-control|evil/i);
  }
});
