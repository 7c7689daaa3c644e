// The commands that doctor prints are pasted by people with rights: none may open a role, or take away what others set.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandFor } from '../../src/core/diagnosis-commands.ts';
import type { Evidence } from '../../src/core/evidence.ts';
import type { Step } from '../../src/core/provision.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeWorkloadJwt, readJwt } from '../../src/core/workload-jwt.ts';
import { jwtText } from '../support/jwt-text.ts';
import { settingsOf } from '../support/sidecar.ts';

const ISSUER = 'https://k8s-prod.oidc.pub';

/** Evidence of an exchange with a JWT of these claims, and what an operator's token read in Vault. */
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
  const step = (kind: Step['kind'], path: string, current: object | undefined) =>
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

test('what the JWT lacks takes no bound away', () => {
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

test('a bound claim is mended beside the others, where they are known', () => {
  const words = 'status 400, error validating claims: claim "ref" does not match any associated bound claim values';
  const jwt = { ref: 'main', project: 'p' };
  assert.equal(commandFor('claims_mismatch', evidenceOf(jwt), words), undefined);
  const bound = { bound_claims: { ref: 'release', project: 'p' } };
  for (const known of [{ role: bound }, { setup: { role: bound } }])
    assert.match(
      commandFor('claims_mismatch', evidenceOf(jwt, known), words) ?? '',
      /"bound_claims": \{\s+"ref": "main",\s+"project": "p"\s+\}/,
    );
});

test('a bound claim with "groups" in its name is not the claim of groups', () => {
  const words = 'error validating claims: claim "groups_direct" does not match any associated bound claim values';
  assert.equal(commandFor('claims_mismatch', evidenceOf({ groups_direct: ['dev'] }, { role: {} }), words), undefined);
  const groups = 'failed to fetch groups: "teams" claim not found in token';
  assert.match(commandFor('claims_mismatch', evidenceOf({}), groups) ?? '', /groups_claim=$/);
  assert.match(
    commandFor('claims_mismatch', evidenceOf({}), 'claim "groups" not found in token') ?? '',
    /user_claim=sub$/,
  );
});

test('another issuer is bound without a change to anything else that the trust config has', () => {
  const jwt = { iss: ISSUER };
  assert.equal(commandFor('issuer_mismatch', evidenceOf(jwt)), undefined, 'what is there is unknown');
  const trust = {
    jwks_url: 'https://keys',
    bound_issuer: `${ISSUER}/`,
    default_role: 'people',
    jwt_supported_algs: ['ES256'],
  };
  const command = commandFor('issuer_mismatch', evidenceOf(jwt, { trust })) ?? '';
  assert.deepEqual(command.split(/[ \\\n]+/).slice(2), [
    'auth/jwt/config',
    'default_role=people',
    'jwt_supported_algs=ES256',
    'jwks_url=https://keys',
    `bound_issuer=${ISSUER}`,
  ]);
  const stated = { trust: { oidc_discovery_url: 'https://other' } };
  assert.equal(commandFor('issuer_mismatch', evidenceOf(jwt, { setup: stated })), undefined, 'it would bind the other');
});

test('a claim that a terminal would obey makes no command; one that the CLI would take for a file goes as JSON', () => {
  assert.equal(commandFor('subject_mismatch', evidenceOf({ sub: 'a\u001b[31mb' })), undefined);
  for (const sub of ['@acme/app', '-', '\\@x'])
    assert.match(commandFor('subject_mismatch', evidenceOf({ sub })) ?? '', /^printf '%s\\n' '\{/, sub);
  assert.match(commandFor('audience_mismatch', evidenceOf({ aud: 'a,b' })) ?? '', /"bound_audiences": \[\s+"a,b"\s+\]/);
});
