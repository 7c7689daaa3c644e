// Untrusted text (a JWT's claims, Vault's errors, a daemon's reply) in the log, in /status and in the commands' output.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { command as init } from '../../src/commands/init.ts';
import { command as status } from '../../src/commands/status.ts';
import { command as validate } from '../../src/commands/validate.ts';
import { listenOn } from '../../src/dev/listen.ts';
import type { ExchangeReply, StatusReply } from '../../src/http/status-reply.ts';
import { invoke } from '../support/invoke.ts';
import { cli } from '../support/program.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';

const HOSTILE = 'a\u001b[31m\u202eb\u2028c\u0085\nd';
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;

test('the log and /status shorten claims and replace control characters (K18)', async (t) => {
  const peers = await openPeers(t);
  const audience = ['vault', HOSTILE, ...Array.from({ length: 998 }, (_, index) => `aud-${index}`)];
  await peers.writeJwt({ aud: audience, sub: HOSTILE.repeat(1000) });
  const { daemon, log } = await runDaemon(t, peers.config());
  const line = await until('the JWT is logged', () => log.find((one) => one.includes('"jwt_changed"')));
  const { audience: told, subject } = JSON.parse(line) as { audience: string[]; subject: string };
  assert.deepEqual([told.length, told[1], told.at(-1)], [11, 'a\ufffd[31m\ufffdb\ufffdc\ufffd\ufffdd', 'and 990 more']);
  assert.ok(subject.length <= 203);
  await until('it is ready', () => daemon.exchanges.views().every((view) => view.status().ready));
  for (const json of [false, true]) {
    const { out } = await invoke(status, { ops: daemon.ops, json });
    assert.doesNotMatch(out.replaceAll('\n', ''), UNPRINTABLE);
    assert.ok(out.length < 4000, `${out.length}`);
  }
  for (const one of log) assert.doesNotMatch(one.replace(/\n$/, ''), /\\u00|\\n/);
});

test('no command prints control characters of another server on the port of the sidecar (K18)', async (t) => {
  const exchanges = [
    { exchange: HOSTILE, phase: 'active', ready: true, reasons: [], jwt: null, token: null, sinks: [] },
  ];
  const body = {
    ...{ version: HOSTILE, api: { failure: null }, exchanges, next_action: null, failure: null },
    ...{ ready: false, reasons: [HOSTILE], access_token: HOSTILE, error: 'not_found', error_description: HOSTILE },
  };
  const server = await listenOn({}, () => ({ status: 404, body }));
  const fine = await listenOn({}, () => ({ status: 200, body }));
  t.after(() => Promise.all([server.close(), fine.close()]));
  for (const { url } of [server, fine])
    for (const [name, flag, ...rest] of [
      ['status', 'ops', 'no-such-exchange'],
      ['status', 'ops'],
      ['wait', 'ops', '--timeout', '1s'],
      ['token', 'api'],
      ['refresh', 'api'],
    ] as const) {
      const { code, out, err } = await cli([name, `--${flag}`, url, ...rest]);
      assert.notEqual(code, 0, `${name}: ${out}`);
      assert.notEqual(err, '', name);
      assert.doesNotMatch((out + err).replaceAll('\n', ''), UNPRINTABLE, name);
      assert.doesNotMatch(out + err, /^d/m, `${name}: the second line of the hostile text`);
    }
});

test('status prints no control characters from the reply (K18)', async (t) => {
  const at = '2026-11-26T10:00:00Z';
  const trouble = { code: HOSTILE, title: HOSTILE, hint: HOSTILE, evidence: HOSTILE };
  const exchange: ExchangeReply = {
    exchange: HOSTILE,
    phase: HOSTILE,
    ready: true,
    reasons: [HOSTILE],
    jwt: { issuer: HOSTILE, subject: HOSTILE, audience: [HOSTILE], expires_at: at },
    token: null,
    next_action: { kind: HOSTILE, at },
    failure: { ...trouble, since: at, attempts: 1, retry_at: null },
    sinks: [{ id: HOSTILE, current: true, written_at: null, failure: trouble }],
  };
  const body: StatusReply = { version: HOSTILE, api: { failure: null }, exchanges: [exchange] };
  const server = await listenOn({}, () => ({ status: 200, body }));
  t.after(() => server.close());
  const table = await invoke(status, { ops: server.url });
  assert.equal(table.out.split('\n').length, 2 + 4);
  assert.doesNotMatch(table.out.replaceAll('\n', ''), UNPRINTABLE);
  const json = (await invoke(status, { ops: server.url, json: true })).out;
  assert.doesNotMatch(json.replaceAll('\n', ''), UNPRINTABLE);
});

test('validate warns about a setup that trusts every subject, if the config has a setup', async (t) => {
  const peers = await openPeers(t);
  const config = join(peers.directory, 'config.json');
  const warnings = async (members: object) => {
    await writeFile(config, JSON.stringify(peers.config({ expect: { issuer: 'https://i' }, ...members })));
    return (await invoke(validate, { config })).err;
  };
  assert.equal(await warnings({}), '');
  const policies = { token_policies: ['p'] };
  const aud = { role: { ...policies, bound_claims: { aud: 'vault' } } };
  assert.match(await warnings({ setup: aud }), /^warning: exchange app: every subject of the issuer may log in: set/);
  const glob = { role: { ...policies, bound_claims: { sub: 'repo:*' }, bound_claims_type: 'glob' } };
  assert.match(await warnings({ setup: glob }), /the glob for sub matches nearly everything \(repo:\*\)/);
});

test('validate shows no text of an http source that may be a credential', async (t) => {
  const peers = await openPeers(t);
  const config = join(peers.directory, 'config.json');
  const http = {
    url: 'https://issuer.example/jwt?key=SECRET#?SECRET',
    query: { 'a/key': 'SECRET' },
    method: 'POST',
    headers: { 'X-Key': 'SECRET', Authorization: { env: 'TOKEN', prefix: 'Bearer ' } },
    body: '{"key":"SECRET"}',
  };
  await writeFile(config, JSON.stringify(peers.config({ source: { http } })));
  const { code, out } = await invoke(validate, { config });
  assert.equal(code, 0);
  assert.doesNotMatch(out, /SECRET/);
  const at = (key: string, value: string) =>
    new RegExp(`^exchanges\\.app\\.source\\.http\\.${key} +${value} +file$`, 'm');
  for (const [key, value] of [
    ['url', 'https://issuer\\.example/jwt\\?\\(set\\)'],
    ['query\\["a/key"\\]', '\\(set\\)'],
    ['headers\\.X-Key', '\\(set\\)'],
    ['headers\\.Authorization\\.env', 'TOKEN'],
    ['body', '\\(set\\)'],
  ] as const)
    assert.match(out, at(key, value));
});

test('init refuses flags with unprintable characters, since it prints them in commands', async (t) => {
  const { directory } = await openPeers(t);
  const flags = {
    argument: 'kubernetes',
    config: join(directory, 'new.json'),
    issuer: 'k8s',
    'vault-address': 'https://v',
  };
  const { code, err } = await invoke(init, { ...flags, 'service-account': 'app', namespace: 'a\nb' });
  assert.deepEqual([code, err], [2, '--namespace contains an unprintable character (U+000A)']);
});
