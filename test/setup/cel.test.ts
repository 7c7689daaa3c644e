// login.cel: a login with a CEL role of OpenBao. OpenBao can't be installed for tests, so a server answers as its
// builtin/credential/jwt/path_cel_login.go does.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { command as once } from '../../src/commands/once.ts';
import { invoke } from '../support/invoke.ts';
import { openGate } from './gate.ts';
import { setUp } from './set-up.ts';

/** An OpenBao whose CEL role "app" grants a token, or refuses with `refusal`; its other paths are those of the dev Vault. */
async function withCelRole(t: TestContext) {
  const world = await setUp(t);
  const bao = await openGate(t, world.vault.url);
  const state: { refusal: string | undefined } = { refusal: undefined };
  bao.answer = ({ path, body }) => {
    if (path !== '/v1/auth/jwt/cel/login') return undefined;
    const { role } = JSON.parse(body || '{}') as { role?: string };
    const words =
      role === undefined ? 'missing role' : role === 'app' ? state.refusal : `role "${role}" could not be found`;
    if (words !== undefined) return { status: 400, body: { errors: [words] } };
    const auth = { client_token: 's.of-the-cel-role', accessor: 'a', policies: ['default'], lease_duration: 3600 };
    return { status: 200, body: { auth: { ...auth, renewable: true, token_type: 'service' } } };
  };
  const login = { role: 'app', cel: true };
  const setup = { policies: { 'app-read': 'path "secret/app" { capabilities = ["read"] }' } };
  const write = (over: Record<string, unknown> = {}) =>
    world.write({ vault: { address: bao.url }, login, setup, ...over });
  await write();
  const logIn = () => invoke(once, { config: world.config, timeout: '5s' });
  const operator = { VAULT_ADDR: bao.url, VAULT_TOKEN: world.operator.VAULT_TOKEN };
  return { ...world, bao, state, write, logIn, operator };
}

test('logs in at cel/login with the same body, and delivers the token', async (t) => {
  const { bao, logIn, directory } = await withCelRole(t);
  const { code, out } = await logIn();
  assert.equal(code, 0, out);
  assert.equal(await readFile(join(directory, 'token'), 'utf8'), 's.of-the-cel-role');
  const [login] = bao.requests.filter(({ path }) => path.startsWith('/v1/auth/jwt/'));
  assert.equal(login?.path, '/v1/auth/jwt/cel/login');
  assert.deepEqual(JSON.parse(login?.body ?? ''), { role: 'app', jwt: await readFile(join(directory, 'jwt'), 'utf8') });
});

test('a denial by the program has a code, a hint with the path of the role, and the words of the program', async (t) => {
  const { state, logIn } = await withCelRole(t);
  for (const words of [
    "error executing cel program: Cel role 'app' blocked authorization with boolean false return",
    "error executing cel program: CEL role 'app' blocked authorization with message: the claim team is missing",
    'error executing cel program: Cel role auth program failed: no such key: team',
    'error converting proto auth: invalid',
  ]) {
    state.refusal = words;
    const { code, err } = await logIn();
    assert.equal(code, 4, err);
    assert.ok(err.includes(`the CEL role denies the login: status 400, ${words}`), err);
    assert.match(err, /auth\/jwt\/cel\/role\/app/);
  }
});

test('a missing CEL role: the hint names the path of CEL roles', async (t) => {
  const { write, logIn } = await withCelRole(t);
  await write({ login: { role: 'other', cel: true } });
  const { code, err } = await logIn();
  assert.equal(code, 4);
  assert.match(err, /the role doesn't exist: .*"vault write auth\/jwt\/cel\/role\/other \.\.\."/);
});

test('setup makes all but the CEL role, and says how to write that', async (t) => {
  const { run, operator, admin } = await withCelRole(t);
  const byHand =
    'warning: exchange app: setup can\'t write a CEL role: write it with "bao write auth/jwt/cel/role/app @role.json", with cel_program and bound_audiences in role.json';
  const { code, out, err } = await run();
  assert.deepEqual([code, err], [0, byHand]);
  assert.doesNotMatch(out, /role/);
  const applied = await run({ apply: true, yes: true }, { env: operator });
  assert.deepEqual([applied.code, applied.err], [0, byHand]);
  assert.match(applied.out, /3 of 3 changed$/);
  assert.equal((await admin.call('GET', 'auth/jwt/role/app')).status, 404);
});

test('setup.role and login.cel exclude each other', async (t) => {
  const { run, write } = await withCelRole(t);
  await write({ setup: { role: { token_policies: ['p'] } } });
  const { code, err } = await run();
  assert.deepEqual(
    [code, err],
    [2, "config.json: exchanges.app.setup.role: must not be set with login.cel: setup can't write a CEL role"],
  );
});

test('doctor finds nothing wrong with a CEL role that grants a token, and suggests no command for a role', async (t) => {
  const { run, state, operator, config } = await withCelRole(t);
  assert.equal((await run({ apply: true, yes: true }, { env: operator })).code, 0);
  const examined = async () => {
    const { code, out } = await invoke(doctor, { config, json: true }, { env: operator });
    const { reports } = JSON.parse(out) as {
      reports: { about: string; findings: { code: string; command?: string }[] }[];
    };
    const findings = reports.find(({ about }) => about === 'exchange app')?.findings ?? [];
    return {
      code,
      codes: findings.map((finding) => finding.code),
      commands: findings.flatMap(({ command }) => command ?? []),
    };
  };
  const well = await examined();
  assert.deepEqual([well.code, well.codes.filter((code) => /role|setup|mount/.test(code)), well.commands], [0, [], []]);
  state.refusal = "error executing cel program: Cel role 'app' blocked authorization with boolean false return";
  assert.deepEqual((await examined()).codes, ['cel_denied']);
  state.refusal = 'role "app" could not be found';
  const missing = await examined();
  assert.deepEqual([missing.codes, missing.commands], [['role_missing'], []]);
});
