// Operators run the commands that doctor prints: no command may widen a role's trust or remove existing settings.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../../src/core/errors.ts';
import type { Facts } from '../../../src/core/facts.ts';
import { Secret } from '../../../src/core/secret.ts';
import { decodeWorkloadJwt, readJwt } from '../../../src/core/workload-jwt.ts';
import { DIAGNOSES, type FindingCode } from '../../../src/doctor/diagnose/codes.ts';
import { commandFor } from '../../../src/doctor/diagnose/commands.ts';
import type { Evidence } from '../../../src/doctor/diagnose/evidence.ts';
import type { SetupStep } from '../../../src/setup/plan.ts';
import { jwtText } from '../../support/jwt-text.ts';
import { settingsOf } from '../../support/sidecar.ts';

const ISSUER = 'https://k8s-prod.oidc.pub';

/** A reply with which Vault refused a login. */
const refused = (words: string): Facts => ({ kind: 'reply', status: 400, words });

/** Evidence of an exchange with a JWT of these claims; `role` and `trust` are what an operator's token read in Vault. */
function evidenceOf(
  claims: Record<string, unknown>,
  { role, trust, setup }: { role?: object; trust?: object; setup?: object } = {},
): Evidence {
  const { exchanges, setup: all } = settingsOf({
    vault: { address: 'https://vault:8200' },
    exchanges: {
      app: {
        source: { file: { path: '/jwt/token' } },
        login: { role: 'app' },
        ...(setup === undefined ? {} : { setup }),
      },
    },
  });
  const [settings, own] = [exchanges[0], all['app']];
  assert.ok(settings !== undefined && own !== undefined);
  const secret = new Secret(jwtText(claims));
  const jwt = decodeWorkloadJwt(secret, {});
  assert.ok(!('code' in jwt));
  const step = (kind: SetupStep['kind'], path: string, current: object | undefined) =>
    current === undefined
      ? []
      : [
          {
            step: { kind, path, exchange: 'app', address: '', body: {}, why: '' },
            current: { ...current },
            changes: [],
          },
        ];
  return {
    settings,
    setup: own,
    wall: 0,
    self: '1:1',
    jwt: { seen: jwt },
    claims: readJwt(secret)?.claims,
    sinks: [],
    differences: [...step('role', 'auth/jwt/role/app', role), ...step('trust', 'auth/jwt/config', trust)],
  };
}

test('suggests no command that removes a bound because the JWT lacks the claim', () => {
  const none = evidenceOf({ iss: ISSUER, email: 'a@b', sub: undefined, aud: undefined });
  for (const code of [
    'subject_mismatch',
    'role_trusts_all',
    'audience_mismatch',
    'audience_unbound',
    'role_missing',
  ] as const)
    assert.equal(commandFor(code, none), undefined, code);
  const setup = { role: { bound_subject: 'app' } };
  assert.match(commandFor('role_trusts_all', evidenceOf({ sub: undefined }, { setup })) ?? '', /bound_subject=app$/);
});

test("sets a bound claim to the config's value, and keeps the other bound claims", () => {
  const words = refused('error validating claims: claim "ref" does not match any associated bound claim values');
  const jwt = { ref: 'main', project: 'p' };
  assert.equal(commandFor('claims_mismatch', evidenceOf(jwt), words), undefined);
  const role = { bound_claims: { ref: 'release', project: 'p' } };
  assert.equal(
    commandFor('claims_mismatch', evidenceOf(jwt, { role }), words),
    undefined,
    'a value from the JWT is never used',
  );
  const setup = { role: { bound_claims: { ref: ['main', 'next'] } } };
  assert.match(
    commandFor('claims_mismatch', evidenceOf(jwt, { role, setup }), words) ?? '',
    /"bound_claims": \{\s+"ref": \[\s+"main",\s+"next"\s+\],\s+"project": "p"\s+\}/,
  );
  const other = { role: { bound_claims: { ref: 'release' } } };
  assert.equal(commandFor('claims_mismatch', evidenceOf(jwt, { role, setup: other }), words), undefined, 'no help');
  const globs = { role: { bound_claims: { ref: 'ma*' }, bound_claims_type: 'glob' } };
  assert.match(
    commandFor('claims_mismatch', evidenceOf(jwt, { setup: globs }), words) ?? '',
    /"bound_claims_type": "glob",\s+"bound_claims": \{\s+"ref": "ma\*"\s+\}/,
  );
});

test('distinguishes a bound claim with "groups" in its name from the groups claim', () => {
  const words = refused(
    'error validating claims: claim "groups_direct" does not match any associated bound claim values',
  );
  assert.equal(commandFor('claims_mismatch', evidenceOf({ groups_direct: ['dev'] }, { role: {} }), words), undefined);
  const groups = refused('failed to fetch groups: "teams" claim not found in token');
  assert.match(commandFor('claims_mismatch', evidenceOf({}), groups) ?? '', /groups_claim=$/);
  assert.match(
    commandFor('claims_mismatch', evidenceOf({}), refused('claim "groups" not found in token')) ?? '',
    /user_claim=sub$/,
  );
});

test('the command for another issuer keeps the other fields of the trust config', () => {
  const jwt = { iss: ISSUER };
  const setup = { trust: { oidc_discovery_url: ISSUER } };
  assert.equal(commandFor('issuer_mismatch', evidenceOf(jwt)), undefined, 'the config names no issuer');
  const trust = {
    jwks_url: 'https://keys',
    bound_issuer: `${ISSUER}/`,
    default_role: 'people',
    jwt_supported_algs: ['ES256'],
    unheard_of: ['a', 'b'],
    status: 'valid',
    provider_config: {},
  };
  assert.equal(
    commandFor('issuer_mismatch', evidenceOf(jwt, { trust })),
    undefined,
    'a value from the JWT is never used',
  );
  const command = commandFor('issuer_mismatch', evidenceOf(jwt, { trust, setup })) ?? '';
  assert.deepEqual(command.split(/[ \\\n]+/).slice(2), [
    'auth/jwt/config',
    `bound_issuer=${ISSUER}`,
    'default_role=people',
    'jwt_supported_algs=ES256',
    'unheard_of=a,b',
    'jwks_url=https://keys',
  ]);
  const stated = { trust: { oidc_discovery_url: 'https://other' } };
  assert.equal(
    commandFor('issuer_mismatch', evidenceOf(jwt, { setup: stated })),
    undefined,
    'it would bind another issuer',
  );
});

test('no command grants anything to values taken from the JWT (K20)', () => {
  const mark = 'urn:of-the-jwt';
  const jwt = { iss: `https://${mark}`, sub: mark, aud: mark, ref: mark, email: mark };
  const words = [
    'error validating claims: claim "ref" does not match any associated bound claim values',
    'claim "email" not found in token',
    `/vault: ${mark}`,
  ];
  const issuer = { state: 'renamed' as const, url: 'https://k', published: `https://${mark}` };
  const read = { role: { bound_claims: { ref: 'main' } }, trust: { oidc_discovery_url: ISSUER, bound_issuer: ISSUER } };
  for (const given of [{}, read, { ...read, setup: {} }, { setup: { trust: { oidc_discovery_url: ISSUER } } }]) {
    const evidence: Evidence = { ...evidenceOf(jwt, given), issuer };
    for (const code of [...Object.keys(ERRORS), ...Object.keys(DIAGNOSES)] as FindingCode[]) {
      if (code.startsWith('sink_')) continue;
      for (const word of words)
        assert.ok(!(commandFor(code, evidence, refused(word)) ?? '').includes(mark), `${code}: ${word}`);
    }
  }
});

test('a command keeps bound_claims_type, which a write would reset', () => {
  const jwt = { sub: 'app', aud: 'vault' };
  const role = { bound_claims: { ref: 'v*' }, bound_claims_type: 'glob' };
  assert.match(commandFor('token_batch', evidenceOf(jwt, { role })) ?? '', /bound_claims_type=glob/);
  assert.doesNotMatch(
    commandFor('token_batch', evidenceOf(jwt, { role: { ...role, bound_claims_type: 'string' } })) ?? '',
    /bound_claims_type/,
  );
});

test('binds a role that allows every subject to the subject that logged in (K20)', () => {
  const evidence = evidenceOf({ sub: 'app' });
  assert.equal(commandFor('role_trusts_all', evidence), undefined);
  const grant = { secret: new Secret('hvs.x'), accessor: '', leaseMs: 1, renewable: true, type: 'service' };
  const login = { seen: { ...grant, numUses: 0, policies: [], warnings: [] } };
  assert.match(commandFor('role_trusts_all', { ...evidence, login }) ?? '', /bound_subject=app$/);
});

test('suggests no command for unprintable values, and passes values that the CLI would read as a file as JSON (K18)', () => {
  const bound = (value: string) => ({ role: { bound_claims: { ref: value } } });
  const words = refused('error validating claims: claim "ref" does not match any associated bound claim values');
  const role = (value: string) => ({ bound_claims: { other: value, ref: 'x' } });
  for (const bad of ['a\u001b[31mb', 'a\u202eb', 'a\nb', 'a\u2028b', 'a\u0085b', 'a\ud800b', 'a\u200bb'])
    assert.equal(
      commandFor('claims_mismatch', evidenceOf({ ref: 'main' }, { setup: bound('main'), role: role(bad) }), words),
      undefined,
      JSON.stringify(bad),
    );
  const subject = (sub: string) => ({ setup: { role: { bound_subject: sub, bound_audiences: ['a,b'] } } });
  for (const sub of ['@acme/app', '-', '\\@x'])
    assert.match(commandFor('subject_mismatch', evidenceOf({ sub }, subject(sub))) ?? '', /^printf '%s\\n' '\{/, sub);
  assert.match(
    commandFor('audience_mismatch', evidenceOf({ aud: 'a,b' }, subject('x'))) ?? '',
    /"bound_audiences": \[\s+"a,b"\s+\]/,
  );
});
