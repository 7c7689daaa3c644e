// Any reply of Vault, or of another server, gives a grant within all bounds, or a failure without secrets and without
// control characters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ERRORS, explain, type Failure } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  judgeGrant,
  judgeIdentity,
  judgeRefusal,
  judgeRevocation,
  type VaultReply,
} from '../../src/core/vault-protocol.ts';

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl';
const TOKEN = 'hvs.CAESIJfuzzfuzzfuzz';
/** a token that matches no pattern */
const PLAIN = '6f1c2c1e-8f5b-0d6a-bb2e-plain"\\quoted';
const SENT = [JWT, TOKEN, PLAIN].map((text) => new Secret(text));
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

/** text with a secret in it, as from a server that echoes the request */
const words = fc
  .tuple(fc.string({ unit: 'binary' }), fc.constantFrom('', JWT, TOKEN, PLAIN), fc.string())
  .map((all) => all.join(''));
const anything = fc.oneof(fc.jsonValue(), words, fc.array(words, { maxLength: 3 }));
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -0, 1e308, Number.MAX_VALUE, 1e-320, 0.0001));
const auth = fc.record(
  {
    client_token: fc.oneof({ weight: 4, arbitrary: fc.stringMatching(/^hvs\.[\w-]{10,30}$/) }, anything),
    lease_duration: fc.oneof({ weight: 4, arbitrary: number }, anything),
    accessor: anything,
    renewable: fc.oneof(fc.boolean(), anything),
    token_type: anything,
    num_uses: fc.oneof(number, anything),
    policies: anything,
    mfa_requirement: fc.option(anything),
  },
  { requiredKeys: [] },
);
const answer = fc.record(
  {
    auth: fc.oneof({ weight: 5, arbitrary: auth }, anything),
    errors: anything,
    warnings: anything,
    wrap_info: fc.option(anything),
    data: fc.oneof(fc.record({ token: anything, ttl: fc.oneof(number, anything) }), anything),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  { weight: 6, arbitrary: answer.map((value) => JSON.stringify(value)) },
  // JSON that JSON.stringify can't produce: infinite numbers, __proto__ as a key, deep nesting
  fc.constantFrom(
    '{"auth":{"client_token":"hvs.aaaaaaaaaa","lease_duration":1e999}}',
    '{"auth":{"client_token":"hvs.aaaaaaaaaa","lease_duration":1e308,"num_uses":1e999}}',
    '{"data":{"token":"x","ttl":1e999}}',
    '{"data":{"token":"x","ttl":1e308}}',
    '{"__proto__":{"auth":{"client_token":"hvs.aaaaaaaaaa","lease_duration":1}}}',
    `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
  ),
  fc.string({ unit: 'binary' }),
);
const headers = fc.dictionary(
  fc.constantFrom('retry-after', 'date', 'content-type', 'location'),
  fc.oneof(
    fc.string(),
    fc.date().map((date) => (Number.isNaN(date.getTime()) ? '' : date.toUTCString())),
    number.map(String),
  ),
);
const reply: fc.Arbitrary<VaultReply> = fc
  .tuple(fc.oneof({ weight: 2, arbitrary: fc.constant(200) }, fc.integer({ min: 100, max: 999 })), headers, body)
  .map(([status, given, text]) => ({ status, headers: given, body: new Secret(text), durationMs: 1 }));

function checkFailure({ code, facts, retryAfterMs = 0 }: Failure): void {
  assert.ok(code in ERRORS, code);
  checkWords(explain(facts === undefined ? { code } : { code, facts }).evidence ?? '');
  assert.ok(Number.isFinite(retryAfterMs) && retryAfterMs >= 0, String(retryAfterMs));
}

function checkWords(shown: string): void {
  for (const secret of [JWT, TOKEN, PLAIN]) assert.ok(!shown.includes(secret), shown);
  assert.match(shown, /^\P{Cc}*$/u, 'no control characters');
  assert.ok(shown.length < 400);
}

test('any reply to a login or renewal gives a grant within bounds, or a failure without secrets (C19, C22, C23, C24)', () => {
  let granted = 0;
  const property = fc.property(reply, fc.constantFrom('login', 'renew'), (given, operation) => {
    const outcome = judgeGrant(operation as 'login' | 'renew', given, SENT);
    if ('code' in outcome) return checkFailure(outcome);
    granted += 1;
    assert.match(outcome.secret.reveal(), /^[\x21-\x7e]{8,8192}$/);
    assert.ok(Number.isInteger(outcome.leaseMs) && outcome.leaseMs >= 1 && outcome.leaseMs <= TEN_YEARS_MS);
    assert.ok(outcome.numUses >= 0);
    assert.equal(typeof outcome.renewable, 'boolean');
    for (const shown of [outcome.accessor, outcome.type, ...outcome.policies, ...outcome.warnings]) checkWords(shown);
  });
  fc.assert(property, { numRuns: 1500 });
  assert.ok(granted > 50, `some replies must be grants: ${granted} were`);
});

test('any reply to a revocation, a setup or an identity request gives a result within bounds', () => {
  fc.assert(
    fc.property(reply, (given) => {
      const revoked = judgeRevocation(given, SENT);
      if (revoked !== undefined) checkFailure(revoked);
      checkFailure(judgeRefusal('setup', given, SENT));
      const identity = judgeIdentity(given, SENT);
      if ('code' in identity) checkFailure(identity);
    }),
    { numRuns: 800 },
  );
});
