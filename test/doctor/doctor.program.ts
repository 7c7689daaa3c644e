// Doctor as a process: it reports checks that fail or hang, exits in time, and sends tokens only where they belong.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { listenOn, type PlainRequest } from '../../src/dev/listen.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { reportsIn, runProgram } from './program.ts';

/** Opens a working exchange, and doctor for it. */
async function setUp(t: TestContext, members: Record<string, unknown> = {}) {
  const peers = await openPeers(t);
  const { directory, issuer, vault } = peers;
  const here = (name: string) => join(directory, name);
  await mkdir(here('sink'), { mode: 0o700 });
  const config = peers.config({
    expect: { issuer: issuer.issuer, audience: 'vault' },
    sinks: [{ file: { path: here('sink/token') } }],
    ...members,
  });
  const write = (value: unknown = config) => writeFile(here('config.json'), JSON.stringify(value));
  await write();
  await peers.writeJwt();
  vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_policies: ['app'] } });
  const doctor = (surroundings: Parameters<typeof runProgram>[2] = {}) =>
    runProgram(t, ['doctor', '--config', here('config.json'), '--json'], surroundings);
  return { ...peers, here, members: config, write, doctor };
}

const codesIn = (out: string) => reportsIn(out).flatMap(({ findings }) => findings.map(({ code }) => code));

const BOOM = `() => { throw new TypeError('boom') }`;
const patch = (of: string, name: string, replacement: string) =>
  `import { syncBuiltinESMExports } from 'node:module'; import of from 'node:${of}';
  const original = of.${name}; of.${name} = ${replacement}; syncBuiltinESMExports();`;

test('reports a check that throws as an error, and runs the other checks', async (t) => {
  const { doctor } = await setUp(t);
  const fine = await doctor();
  assert.deepEqual([fine.code, codesIn(fine.out)], [0, []], fine.out);
  for (const [module, words] of [
    [patch('fs/promises', 'stat', BOOM), /^the check of the workload JWT's file failed: TypeError: boom$/],
    [patch('net', 'createServer', BOOM), /^the check of the listeners failed: TypeError: boom$/],
  ] as const) {
    const { code, out } = await doctor({ module });
    assert.deepEqual([code, codesIn(out)], [1, ['internal']], out);
    const findings = reportsIn(out).flatMap((report) => report.findings);
    assert.match(findings[0]?.evidence ?? '', words);
    assert.ok(reportsIn(out)[0]?.facts.some((fact) => /login at auth\/jwt as app/.test(fact)));
  }
});

test("prints a verdict and exits although the operator's token file, the CA or the JWT is a FIFO (K3)", async (t) => {
  const { doctor, here, members, write } = await setUp(t);
  const makeFifo = (name: string) => execFileSync('mkfifo', [here(name)]);
  makeFifo('.vault-token');
  const operator = await doctor({ env: { HOME: here('.'), VAULT_ADDR: 'https://vault:8200' } });
  assert.equal(operator.code, 0, operator.out);
  await rm(here('jwt'));
  makeFifo('jwt');
  const jwt = await doctor();
  assert.deepEqual([jwt.code, codesIn(jwt.out)[0]], [6, 'jwt_not_a_file'], jwt.out);
  makeFifo('ca.pem');
  await write({ ...members, vault: { ...(members['vault'] as object), tls: { ca_file: here('ca.pem') } } });
  const ca = await doctor();
  assert.notEqual(ca.code, 0);
  for (const { seconds, out } of [operator, jwt, ca]) {
    assert.ok(seconds < 20, `${seconds} s`);
    assert.ok(reportsIn(out).length > 0);
  }
});

test('exits with its exit code while a file system call hangs (K3)', async (t) => {
  const { doctor, here } = await setUp(t);
  await rm(here('jwt'));
  execFileSync('mkfifo', [here('jwt')]);
  // opening a FIFO for reading blocks a thread of the pool, as a dead NFS mount does
  const module = patch('fs/promises', 'open', `(path, flags) => original(path, /jwt$/.test(path) ? 'r' : flags)`);
  const { code, out, seconds } = await doctor({ module });
  assert.ok(seconds < 20, `${seconds} s`);
  assert.ok(code === 3 || code === 6, `${code}`);
  assert.match(codesIn(out).join(), /jwt_read_stuck|check_unfinished/);
});

test("sends the operator's token only to the Vault of VAULT_ADDR, and to none without it (K19)", async (t) => {
  const { doctor, members, write, vault } = await setUp(t);
  const seen: string[] = [];
  const other = await listenOn({}, ({ path, headers }: PlainRequest) => {
    if (headers['x-vault-token'] !== undefined) seen.push(path);
    return { status: 403, body: { errors: ['permission denied'] } };
  });
  t.after(() => other.close());
  const [app] = Object.values(members['exchanges'] as Record<string, { sinks: unknown }>);
  const elsewhere = { ...app, vault: { address: other.url }, sinks: [] };
  await write({
    ...members,
    exchanges: { app, elsewhere, team: { ...elsewhere, login: { role: 'app', namespace: 'team' } } },
  });
  const noteOf = (out: string, about: string) =>
    reportsIn(out)
      .find((report) => report.about === `exchange ${about}`)
      ?.notes.join('\n') ?? '';
  const token = { VAULT_TOKEN: 'dev-root' };
  const unset = await doctor({ env: token });
  assert.match(
    noteOf(unset.out, 'app'),
    new RegExp(`doctor didn't compare Vault's side: .*set VAULT_ADDR=${vault.url}$`),
  );
  assert.ok(!vault.requests.some(({ path }) => path === '/v1/sys/auth'));
  const set = await doctor({ env: { ...token, VAULT_ADDR: vault.url } });
  assert.equal(noteOf(set.out, 'app'), '');
  assert.match(noteOf(set.out, 'elsewhere'), /is for VAULT_ADDR .* but the exchange logs in to/);
  assert.ok(vault.requests.some(({ path }) => path === '/v1/sys/auth'));
  assert.deepEqual(seen, []);
});

test("calls no issuer that the config doesn't name, unless --fetch-issuer is given (K20)", async (t) => {
  const { here, doctor, directory, members, write, vault } = await setUp(t);
  const foreign = await openIssuer();
  const asked: string[] = [];
  const trap = await listenOn({}, ({ path }) => {
    asked.push(path);
    return { status: 200, body: { issuer: trap.url, jwks_uri: `${foreign.url}/keys`, keys: [] } };
  });
  t.after(() => Promise.all([foreign.close(), trap.close()]));
  const posing = await openIssuer({ issuer: trap.url });
  t.after(() => posing.close());
  await writeFile(here('jwt'), await posing.mint({ sub: 'foreign', aud: 'urn:foreign' }));
  const [app] = Object.values(members['exchanges'] as Record<string, object>);
  await write({ ...members, exchanges: { app: { ...app, expect: {} } } });
  for (const prepare of [
    () => {},
    () => vault.mount('jwt').roles.clear(),
    () => {
      vault.mount('jwt').config = undefined;
    },
  ]) {
    prepare();
    const { out } = await doctor();
    assert.deepEqual(asked, []);
    for (const { command } of reportsIn(out).flatMap(({ findings }) => findings))
      assert.doesNotMatch(command ?? '', /foreign|oidc_discovery_url/);
    assert.match(
      reportsIn(out)[0]?.notes.join('\n') ?? '',
      /set expect\.issuer or setup\.trust, or allow .*--fetch-issuer/,
    );
  }
  // with the issuer in the config, its document is fetched, but not the keys at another host
  await write({ ...members, exchanges: { app: { ...app, expect: { issuer: trap.url } } } });
  const named = await doctor();
  assert.deepEqual(asked, ['/.well-known/openid-configuration']);
  assert.match(
    reportsIn(named.out)[0]?.notes.join('\n') ?? '',
    /the jwks_uri of .*a host that the config doesn't name/,
  );
  const args = ['doctor', '--config', join(directory, 'config.json'), '--json', '--fetch-issuer'];
  const fetched = await runProgram(t, args);
  assert.match(fetched.out, /issuer_(key_missing|signature)/);
});

test("reports a dead token in the sink, checked with the exchange's own Vault (K17)", async (t) => {
  const { here, doctor, vault, issuer } = await setUp(t);
  await writeFile(here('sink/token'), 'hvs.from-before-the-storage-was-lost');
  const dead = await doctor();
  assert.deepEqual([dead.code, codesIn(dead.out)], [4, ['held_token_dead']], dead.out);
  assert.doesNotMatch(dead.out, /from-before/);
  // the login fails, so only Vault's message on the token decides
  vault.mount('jwt').roles.clear();
  assert.deepEqual(codesIn((await doctor()).out), ['role_missing', 'held_token_dead']);
  vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_policies: ['app'], token_num_uses: 3 } });
  const before = vault.requests.filter(({ path }) => path.endsWith('/lookup-self')).length;
  assert.deepEqual(codesIn((await doctor()).out), ['token_uses_limited']);
  assert.equal(vault.requests.filter(({ path }) => path.endsWith('/lookup-self')).length, before + 1, 'its own alone');
  vault.trust({
    issuer: issuer.issuer,
    role: 'app',
    settings: { token_policies: ['app'], token_no_default_policy: true },
  });
  assert.ok(codesIn((await doctor()).out).includes('lookup_denied'));
});

test('reports that the token of the running sidecar is revoked, also without a sink, and sends the caller token', async (t) => {
  const { here, doctor, members, write, vault } = await setUp(t);
  await writeFile(here('caller'), 'caller-secret', { mode: 0o600 });
  const [app] = Object.values(members['exchanges'] as Record<string, object>);
  const config = {
    ...members,
    exchanges: { app: { ...app, sinks: [] } },
    api: { listen: '127.0.0.1:0', caller_token_file: here('caller') },
  };
  const { daemon } = await runDaemon(t, config);
  await until('it holds a token', () => daemon.exchanges.views()[0]?.status().ready);
  const listening = (url: string) => ({ listen: new URL(url).host });
  await write({
    ...config,
    api: { ...config.api, ...listening(daemon.api) },
    ops: listening(daemon.ops),
  });
  const fine = await doctor();
  assert.deepEqual([fine.code, codesIn(fine.out)], [0, []], fine.out);
  assert.ok(reportsIn(fine.out)[0]?.facts.includes('Vault knows the token of the running sidecar'), fine.out);
  vault.forget();
  const dead = await doctor();
  assert.deepEqual([dead.code, codesIn(dead.out)], [4, ['held_token_dead']], dead.out);
  const [finding] = reportsIn(dead.out)[0]?.findings ?? [];
  assert.match(finding?.evidence ?? '', /^the token of the running sidecar: status 403/);
  assert.doesNotMatch(dead.out, /hvs\.|caller-secret/);
});

test('looks up each sink, and equal tokens once', async (t) => {
  const { here, doctor, members, write, vault } = await setUp(t);
  const [app] = Object.values(members['exchanges'] as Record<string, object>);
  const sinks = ['token', 'same', 'other'].map((name) => ({ file: { path: here(`sink/${name}`) } }));
  await write({ ...members, exchanges: { app: { ...app, sinks } } });
  for (const [name, token] of [
    ['token', 'hvs.first-dead-token'],
    ['same', 'hvs.first-dead-token'],
    ['other', 'hvs.second-dead-token'],
  ] as const)
    await writeFile(here(`sink/${name}`), token);
  const { out } = await doctor();
  assert.deepEqual(codesIn(out), ['held_token_dead', 'held_token_dead'], out);
  const lookups = vault.requests.filter(({ path }) => path.endsWith('/lookup-self'));
  assert.equal(lookups.length, 3, 'two, and that of its own token');
});

test("doesn't report an empty sink, or one with other content, as a dead token", async (t) => {
  const { here, doctor } = await setUp(t);
  for (const content of ['', 'two words', 'x'.repeat(20_000)]) {
    await writeFile(here('sink/token'), content);
    assert.deepEqual(codesIn((await doctor()).out), [], content.slice(0, 10));
  }
});

const HOSTILE = 'a\u001b[31m\u202eb\u2028c\u0085d';

test('shows untrusted text from Vault and the JWT with U+FFFD and a bounded length, in text and JSON (K18)', async (t) => {
  const { here, issuer, doctor, members, write, vault } = await setUp(t);
  const [app] = Object.values(members['exchanges'] as Record<string, object>);
  await write({ ...members, exchanges: { app: { ...app, expect: { issuer: issuer.issuer } } } });
  const audience = ['vault', HOSTILE, ...Array.from({ length: 999 }, (_, index) => `aud-${index}`)];
  await writeFile(here('jwt'), await issuer.mint({ sub: HOSTILE.repeat(1200), aud: audience }));
  const answers = { version: `1.2${HOSTILE}`, initialized: true, sealed: false };
  vault.setFault(({ path }) =>
    path === '/v1/sys/health'
      ? { status: 200, body: { ...answers, server_time_utc: Date.now() / 1000 } }
      : { status: 400, body: { errors: [`${HOSTILE} invalid subject (sub) claim`] } },
  );
  const json = await doctor();
  const text = await runProgram(t, ['doctor', '--config', here('config.json')]);
  for (const { out } of [json, text]) {
    assert.doesNotMatch(out.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\u2028\u2029]|\\u00|\\n.*hence/u);
    assert.ok(out.includes('a\ufffd[31m\ufffdb'), out);
    assert.ok(out.length < 8000, `${out.length}`);
  }
  assert.match(text.out, /and 991 more/);
});

test("checks each exchange's token with its own Vault when there are several (K17)", async (t) => {
  const { here, doctor, members, write, issuer } = await setUp(t);
  const second = await openDevVault();
  t.after(() => second.close());
  second.trust({ issuer: issuer.issuer, role: 'app', settings: { token_policies: ['app'] } });
  const [app] = Object.values(members['exchanges'] as Record<string, object>);
  const other = { ...app, vault: { address: second.url }, sinks: [{ file: { path: here('sink/other') } }] };
  await write({ ...members, exchanges: { app, other } });
  await writeFile(here('sink/other'), 'hvs.of-the-second-vault');
  const { out } = await doctor();
  const dead = reportsIn(out).filter(({ findings }) => findings.some(({ code }) => code === 'held_token_dead'));
  assert.deepEqual(
    dead.map(({ about }) => about),
    ['exchange other'],
  );
});
