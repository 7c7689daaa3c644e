// The attacks on the token API, against the proxy: none makes it ask Vault with the token, and no reply echoes the request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attack, CROSS_SITE_REQUESTS, MARKER, REBINDING, THROUGH_THE_APPLICATION } from '../http/attacks.ts';
import { ask, request, statusesIn } from '../http/raw-socket.ts';
import { HUGE, SMUGGLING } from '../http/smuggling.ts';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { openProxy } from './open-proxy.ts';

function checkReply(answer: string, { name, statuses }: Attack): void {
  assert.ok(statusesIn(answer).length <= 1, `${name}, one reply: ${answer}`);
  for (const status of statusesIn(answer)) assert.ok(statuses.includes(status), `${name}: ${answer}`);
  assert.doesNotMatch(answer, SECRET_TEXT);
  assert.doesNotMatch(answer, new RegExp(`access-control|evil|${MARKER}`, 'i'));
}

for (const [what, attacks] of [
  ['DNS rebinding', REBINDING],
  ['cross-site requests', CROSS_SITE_REQUESTS],
  ['requests through the application or a proxy', THROUGH_THE_APPLICATION],
] as const) {
  test(`none of ${attacks.length} attacks reaches Vault: ${what} (L9)`, async (t) => {
    const { port, received } = await openProxy(t, { proxy: { requireRequestHeader: true } });
    for (const attack of attacks) checkReply(await ask(port, attack.bytes(port)), attack);
    assert.deepEqual(received, []);
    await ask(port, request(port));
    assert.equal(received.length, 1, 'what was wrong each time was the one thing');
  });
}

test('a request hidden in another one never reaches Vault (L10)', async (t) => {
  const { port, received } = await openProxy(t);
  for (const attack of [...SMUGGLING, ...HUGE]) {
    const before = received.length;
    const answer = await ask(port, attack.bytes(port));
    assert.ok(statusesIn(answer).length <= 1, `${attack.name}: ${answer}`);
    const reached = received.slice(before);
    assert.ok(reached.length <= 1, attack.name);
    // the outer request may pass, as one whose body is none of the proxy's business
    for (const { headers } of reached) assert.equal(headers['x-marker'], undefined, attack.name);
  }
});

test('without require_request_header, a client needs no header, but a page is still refused', async (t) => {
  const { url, received } = await openProxy(t);
  assert.equal((await fetch(`${url}/v1/x`)).status, 200);
  assert.equal((await fetch(`${url}/v1/x`, { headers: { Origin: 'http://evil.example' } })).status, 403);
  assert.equal(received.length, 1);
});
