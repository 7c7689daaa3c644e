// The diagnosis: causes and consequences, and evidence of files that needs mounts or another user.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { Secret } from '../../../src/core/secret.ts';
import { decodeWorkloadJwt, readJwt } from '../../../src/core/workload-jwt.ts';
import { CAUSES, type FindingCode } from '../../../src/doctor/diagnose/codes.ts';
import { diagnose } from '../../../src/doctor/diagnose/diagnose.ts';
import type { Evidence } from '../../../src/doctor/diagnose/evidence.ts';
import { wellFacts } from '../../../src/doctor/diagnose/well-facts.ts';
import { inspectFile } from '../../../src/doctor/probes/jwt-file.ts';
import { runInNamespace, runUnprivileged, withoutNamespaces } from '../../support/confined.ts';
import { jwtText } from '../../support/jwt-text.ts';
import { settingsOf } from '../../support/sidecar.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const WALL = 1_800_000_000_000;
const SETTINGS = settingsOf({
  vault: { address: 'https://vault:8200' },
  exchanges: { app: { source: { file: { path: '/jwt/token' } }, login: { role: 'app' } } },
});
const FILE = { path: '/jwt/token', modifiedAt: WALL, owner: '0:0, mode 600', isMount: false };

function evidenceOf(members: Partial<Evidence>): Evidence {
  const [settings, setup] = [SETTINGS.exchanges[0], SETTINGS.setup['app']];
  assert.ok(settings !== undefined && setup !== undefined);
  return { settings, setup, wall: WALL, self: '65532:65532', sinks: [], ...members };
}

const jwtEnding = (inSeconds: number): Evidence['jwt'] => {
  const [iat, exp] = [WALL / 1000 - 3600, WALL / 1000 + inSeconds];
  const jwt = decodeWorkloadJwt(new Secret(jwtText({ iat, exp })), {});
  return 'code' in jwt ? { failure: jwt } : { seen: jwt };
};

test('the graph of causes has no cycle', () => {
  const visit = (code: FindingCode, path: readonly FindingCode[]): void => {
    assert.ok(!path.includes(code), `${[...path, code].join(' -> ')}`);
    for (const cause of CAUSES[code] ?? []) visit(cause, [...path, code]);
  };
  for (const code of Object.keys(CAUSES)) visit(code as FindingCode, []);
});

test("names the file's owner and our user if the JWT can't be read", () => {
  const [finding] = diagnose(
    evidenceOf({
      file: FILE,
      jwt: { failure: { code: 'jwt_unreadable', facts: { kind: 'file', path: '/jwt/token', errno: 'EACCES' } } },
    }),
  );
  assert.equal(finding?.code, 'jwt_unreadable');
  assert.equal(finding?.evidence, '/jwt/token: EACCES; its owner is 0:0, mode 600; doctor runs as 65532:65532');
});

test('warns about a subPath mount while its JWT is valid, and reports it as the cause once the JWT has expired', () => {
  const isMount = { ...FILE, isMount: true };
  const [early] = diagnose(evidenceOf({ file: isMount, jwt: jwtEnding(3600) }));
  assert.deepEqual([early?.code, early?.severity], ['jwt_never_changes', 'warning']);
  const login = {
    failure: { code: 'jwt_expired' as const, facts: { kind: 'reply' as const, status: 400, words: '' } },
  };
  const [late, ...others] = diagnose(evidenceOf({ file: isMount, jwt: jwtEnding(-60), login }));
  assert.deepEqual([late?.code, late?.severity], ['jwt_never_changes', 'error']);
  assert.deepEqual(
    late?.consequences.map(({ code }) => code),
    ['jwt_unrotated', 'jwt_expired'],
  );
  assert.deepEqual(others, []);
});

test('compares the lease with no lifetime if the JWT ends before it was issued', () => {
  const grant = { secret: new Secret('hvs.x'), accessor: '', leaseMs: 3_600_000, renewable: true, type: 'service' };
  const login = { seen: { ...grant, numUses: 0, policies: ['app'], warnings: [] } };
  const codes = (inSeconds: number) =>
    diagnose(evidenceOf({ jwt: jwtEnding(inSeconds), login })).map(({ code }) => code);
  assert.deepEqual(codes(-1), ['jwt_in_leeway', 'token_outlives_jwt']);
  assert.deepEqual(codes(-3630), ['jwt_in_leeway']);
  assert.deepEqual(codes(1), ['jwt_unrotated']);
});

test('warns only if the issuer is unreachable from here alone', () => {
  const issuer = { state: 'unreachable' as const, url: 'https://k8s-prod.oidc.pub', words: 'ECONNREFUSED' };
  const login = { failure: { code: 'role_missing' as const } };
  const codes = diagnose(evidenceOf({ issuer, login, jwt: jwtEnding(3600) })).map((one) => [one.code, one.severity]);
  assert.deepEqual(codes, [
    ['role_missing', 'error'],
    ['issuer_unreachable_here', 'warning'],
  ]);
});

test('distinguishes an auth method of another type from a failing Vault by the reply of the mount', () => {
  const login = {
    failure: { code: 'vault_unavailable' as const, facts: { kind: 'reply' as const, status: 500, words: '' } },
  };
  const health = { seen: { version: '1.21.1', standby: false, skewMs: 0 } };
  const codes = (mount: Evidence['mount']) => diagnose(evidenceOf({ login, health, mount })).map(({ code }) => code);
  assert.deepEqual(codes({ answers: false }), ['mount_missing']);
  assert.deepEqual(codes({ answers: true }), ['vault_unavailable']);
});

test('no text from a JWT or its issuer contains control characters', () => {
  const said = 'a\u001b[31m\nb\u009b';
  const secret = new Secret(jwtText({ iss: said, sub: said.repeat(1000), aud: said }));
  const jwt = decodeWorkloadJwt(secret, {});
  assert.ok(!('code' in jwt));
  const login = {
    failure: {
      code: 'subject_mismatch' as const,
      facts: { kind: 'reply' as const, status: 400, words: 'invalid subject (sub) claim' },
    },
  };
  const issuer = { state: 'key-missing' as const, url: said, keyId: said, published: [said] };
  const evidence = evidenceOf({ jwt: { seen: jwt }, claims: readJwt(secret)?.claims, login, issuer });
  const texts = [
    ...wellFacts(evidence),
    ...diagnose(evidence).flatMap((one) => [one.evidence ?? '', one.command ?? '']),
  ];
  assert.ok(texts.length > 2);
  for (const text of texts) {
    assert.doesNotMatch(text, /\p{Cc}/u);
    assert.ok(text.length < 1000);
  }
});

test('no name in Vault, header or certificate controls the terminal', () => {
  const said = 'app\u001b[31m\n\u009b';
  const existing = { roles: [said], jwtMounts: [said], policies: [said], missingPolicies: [`${said}x`] };
  const reply = { kind: 'reply' as const, status: 400, words: 'x' };
  const health = { path: '/v1/sys/health', status: 200, contentType: said, server: said };
  const texts = [
    evidenceOf({ existing, login: { failure: { code: 'role_missing', facts: reply } } }),
    evidenceOf({ health: { failure: { code: 'bad_response', facts: { kind: 'foreign-reply', ...health } } } }),
    evidenceOf({
      health: { failure: { code: 'vault_tls', facts: { kind: 'certificate', code: 'CERT_HAS_EXPIRED' } } },
      certificate: { names: said, issuer: said },
    }),
  ].flatMap((evidence) => diagnose(evidence).flatMap((one) => [one.evidence ?? '', one.remedy]));
  assert.equal(texts.filter((text) => text.includes('app\ufffd[31m')).length, 5, texts.join('\n'));
  for (const text of texts) assert.doesNotMatch(text, /\p{Cc}/u);
});

test('prints one line for each difference from the setup, and one for each missing object', () => {
  const at = { exchange: 'app', address: 'https://vault:8200', body: {}, why: '' };
  const differences = [
    {
      step: { ...at, kind: 'trust' as const, path: 'auth/jwt/config' },
      current: { bound_issuer: 'https://a' },
      changes: [{ member: 'bound_issuer', from: 'https://a', to: 'https://b' }],
    },
    {
      step: { ...at, kind: 'role' as const, path: 'auth/jwt/role/app' },
      current: undefined,
      changes: [{ member: 'user_claim', from: undefined, to: 'sub' }],
    },
  ];
  const [finding] = diagnose(evidenceOf({ differences }));
  assert.deepEqual(
    [finding?.code, finding?.evidence],
    ['setup_differs', "auth/jwt/config bound_issuer https://a -> https://b\nauth/jwt/role/app doesn't exist"],
  );
});

const INSPECT = `
  import { inspectFile } from './src/doctor/probes/jwt-file.ts';
  console.log(JSON.stringify(await inspectFile(directory + '/a b')));`;

test('detects a subPath mount, also of a file with a space in its name', { skip: withoutNamespaces() }, async (t) => {
  const directory = await temporaryDirectory(t);
  const shell = `cd "$1"; touch other "a b"; mount --bind other "a b"; cd - > /dev/null`;
  assert.equal(JSON.parse(runInNamespace(directory, shell, INSPECT)).isMount, true);
  assert.equal((await inspectFile(`${directory}/other`))?.isMount, false);
  assert.equal(await inspectFile(`${directory}/none`), undefined);
});

test("reports the owner and mode of another user's file", async (t) => {
  const directory = await temporaryDirectory(t);
  const facts = runUnprivileged(
    directory,
    `import { writeFileSync } from 'node:fs';
    writeFileSync(directory + '/a b', '', { mode: 0o600 });${INSPECT}`,
  );
  const { uid, gid } = statSync(directory);
  assert.equal((JSON.parse(facts) as { owner: string }).owner, `${uid}:${gid}, mode 600`);
});

test("warns about a role without a bound to the workload, in Vault or in the config's setup", () => {
  const role = (current: Record<string, unknown>): Partial<Evidence> => ({
    differences: [
      {
        step: { kind: 'role', exchange: 'app', address: '', path: 'auth/jwt/role/app', body: {}, why: '' },
        current,
        changes: [],
      },
    ],
  });
  const wordsOn = (evidence: Partial<Evidence>) =>
    diagnose(evidenceOf(evidence)).map(({ code, evidence: words }) => `${code}: ${words}`);
  assert.deepEqual(wordsOn(role({ bound_subject: 'app' })), []);
  const everybody = ['role_trusts_all: every subject of the issuer may log in'];
  for (const claims of [undefined, null, {}, { aud: 'vault' }, { iss: 'https://i', '/aud': ['vault'] }])
    assert.deepEqual(wordsOn(role({ bound_subject: '', bound_claims: claims })), everybody);
  const claims = { sub: ['app', 'system:serviceaccount:*'] };
  assert.deepEqual(wordsOn(role({ bound_claims: claims, bound_claims_type: 'glob' })), [
    'role_trusts_all: the glob for sub matches nearly everything (system:serviceaccount:*)',
  ]);
  assert.deepEqual(wordsOn(role({ bound_claims: claims, bound_claims_type: 'string' })), []);
  const setup = { ...evidenceOf({}).setup, stated: true };
  assert.deepEqual(wordsOn({ setup }), [
    'role_trusts_all: setup.role in the config: every subject of the issuer may log in',
  ]);
  assert.deepEqual(
    wordsOn({ setup, ...role({ bound_subject: 'app' }) }),
    [],
    'the role in Vault is used if it could be read',
  );
});

test('reports each check that threw or is unfinished as an error, after the findings of the others', () => {
  const login = { failure: { code: 'role_missing' as const } };
  const findings = diagnose(
    evidenceOf({ login, broken: ['the first', 'the second'], unfinished: ['Vault', 'the sinks'] }),
  );
  assert.deepEqual(
    findings.map(({ code, evidence, exit }) => [code, evidence, exit]),
    [
      ['role_missing', '', 4],
      ['check_unfinished', 'Vault\nthe sinks', 3],
      ['internal', 'the first', 1],
      ['internal', 'the second', 1],
    ],
  );
});

test("detects a dead token in the sink by Vault's message, or because a new token may look itself up (K17)", () => {
  const failed = (words: string, code: 'token_rejected' | 'vault_timeout' = 'token_rejected') => ({
    name: 'the token in /vault/token',
    lookup: { failure: { code, facts: { kind: 'reply' as const, status: 403, words } } },
  });
  const grant = { secret: new Secret('x'), accessor: '', leaseMs: 1, renewable: true, type: 'service', numUses: 0 };
  const login = { seen: { ...grant, policies: ['app'], warnings: [] } };
  const codes = (members: Partial<Evidence>) => diagnose(evidenceOf(members)).map(({ code }) => code);
  assert.deepEqual(codes({ held: [failed('permission denied; invalid token')] }), ['held_token_dead']);
  assert.deepEqual(codes({ held: [failed('permission denied')] }), []);
  assert.deepEqual(codes({ held: [failed('permission denied')], login, lookup: { seen: true } }), ['held_token_dead']);
  const lookup = { failure: { code: 'token_rejected' as const } };
  assert.deepEqual(codes({ held: [failed('permission denied')], login, lookup }), ['lookup_denied']);
  assert.deepEqual(codes({ held: [failed('no reply', 'vault_timeout')] }), []);
  assert.deepEqual(codes({ held: [{ name: 'the token in /vault/token', lookup: { seen: true } }] }), []);
});

test('tells how oidc.pub publishes an issuer that it serves', () => {
  const remedy = (issuer: Evidence['issuer']) => diagnose(evidenceOf({ issuer }))[0]?.remedy ?? '';
  const [host, path] = ['https://vault-prod.oidc.pub', '/.well-known/openid-configuration'];
  const unpublished = (url: string) => remedy({ state: 'unpublished', url, words: 'status 404' });
  assert.match(
    unpublished(`${host}/v1/identity/oidc${path}`),
    /oidc_discovery_url to https:\/\/vault-prod\.oidc\.pub\. bound_issuer keeps/,
  );
  assert.match(unpublished(`${host}${path}`), /sync worker/);
  assert.doesNotMatch(unpublished(`https://issuer.example${path}`), /oidc\.pub/);
  const url = `${host}/.well-known/jwks.json`;
  assert.match(remedy({ state: 'key-missing', url, keyId: 'new', published: ['old'] }), /six minutes/);
});
