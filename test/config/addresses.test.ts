// Which addresses count as loopback: only there is plain http allowed, and only there does the token API listen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APP, BASE, parse, problemsOf, withApp, withVault } from '../support/configs.ts';

const REFUSED = 'must be https, as http sends the JWT in the clear; allow_insecure_http permits http';

/** hosts as a config may write them -> what the URL standard makes of them */
const LOOPBACK: Readonly<Record<string, string>> = {
  localhost: 'localhost',
  LocalHost: 'localhost',
  '127.0.0.1': '127.0.0.1',
  '127.255.255.254': '127.255.255.254',
  '127.1': '127.0.0.1',
  '2130706433': '127.0.0.1',
  '017700000001': '127.0.0.1',
  '0x7f.0.0.1': '127.0.0.1',
  '[::1]': '[::1]',
  '[0:0:0:0:0:0:0:1]': '[::1]',
};

const ELSEWHERE = [
  '127.evil.example',
  '127.0.0.1.evil.example',
  '127.0.0.1.nip.io',
  'localhost.evil.example',
  'localhost.localdomain',
  'evil-localhost',
  'notlocalhost',
  'xlocalhost.example',
  'vault.localhost',
  '0.0.0.0',
  '10.0.0.1',
  '126.255.255.255',
  '128.0.0.1',
  '2130706432.example',
  '3232235521',
  '0xa.0.0.1',
  '[::]',
  '[::2]',
  '[::11]',
  '[2001:db8::1]',
  '[fe80::1]',
  // an IPv4 address in IPv6 may be routed elsewhere
  '[::ffff:127.0.0.1]',
  '[::ffff:10.0.0.1]',
  '[64:ff9b::7f00:1]',
];

test('accepts and normalises http addresses of loopback in every spelling (B3, B14)', () => {
  for (const [host, normal] of Object.entries(LOOPBACK)) {
    const { settings } = parse(withVault({ address: `http://${host}:8200` }));
    assert.equal(settings.exchanges[0]?.vault.address, `http://${normal}:8200`, host);
  }
});

test('refuses http to any other host, also if its name resembles loopback (B3)', () => {
  for (const host of ELSEWHERE) {
    assert.deepEqual(
      problemsOf(withVault({ address: `http://${host}:8200` })),
      [`config.json: vault.address: ${REFUSED}`],
      host,
    );
    assert.deepEqual(problemsOf(withVault({ address: `https://${host}:8200` })), [], host);
  }
  // credentials or a path that read like loopback
  for (const address of ['http://127.0.0.1@evil.example', 'http://localhost:80@evil.example'])
    assert.deepEqual(problemsOf(withVault({ address })), ['config.json: vault.address: must not contain credentials']);
});

test("refuses http for an exchange's own Vault, from a variable, and for the issuing Vault (B3)", () => {
  const address = 'http://127.evil.example';
  const own = { ...BASE, exchanges: { app: { ...APP, vault: { address } } } };
  assert.deepEqual(problemsOf(own), [`config.json: exchanges.app.vault.address: ${REFUSED}`]);
  const shared = problemsOf({ exchanges: { app: APP } }, { VAULT_ADDR: address });
  assert.deepEqual(shared, [`VAULT_ADDR: ${REFUSED}`]);
  // allow_insecure_http of another Vault doesn't count here
  const source = { vault_identity: { role: 'r', token_file: '/t', address } };
  assert.deepEqual(problemsOf({ ...withApp({ source }), vault: { address: 'https://v', allow_insecure_http: true } }), [
    `config.json: exchanges.app.source.vault_identity.address: ${REFUSED}`,
  ]);
});

test('refuses an address with more than scheme, host and port, without quoting it (B14)', () => {
  const bare = 'must be scheme://host[:port] alone, without a path or query';
  for (const [address, problem] of [
    ['https://vault/?a=canary', bare],
    ['https://vault/#canary', bare],
    ['https://canary@vault', 'must not contain credentials'],
    ['https://:canary@vault', 'must not contain credentials'],
    ['ftp://canary', 'must be a URL such as https://vault.example.com:8200'],
  ])
    assert.deepEqual(problemsOf(withVault({ address })), [`config.json: vault.address: ${problem}`]);
});

test('the token API accepts only loopback addresses, not names that resemble them (B8)', () => {
  const count = (listen: string) => problemsOf({ ...BASE, api: { listen } }).length;
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.8.9.10', '[::1]'])
    assert.equal(count(`${host}:1`), 0, host);
  for (const host of ['127.evil.example', 'localhost.evil.example', 'vault.localhost', '[::2]', '[::ffff:127.0.0.1]'])
    assert.equal(count(`${host}:1`), 1, host);
  assert.equal(parse({ ...BASE, api: { listen: 'LocalHost:1' } }).settings.api.listen.host, '127.0.0.1');
});

test('a port is at most 65535', () => {
  assert.deepEqual(problemsOf({ ...BASE, ops: { listen: '127.0.0.1:65535' } }), []);
  for (const port of ['65536', '99999', '-1', ''])
    assert.equal(problemsOf({ ...BASE, ops: { listen: `127.0.0.1:${port}` } }).length, 1, port);
});

test('refuses two listeners on one port if their addresses overlap', () => {
  const token = { allow_non_loopback: true, caller_token_file: '/caller' };
  const count = (api: string, ops: string) =>
    problemsOf({ ...BASE, api: { listen: api, ...token }, ops: { listen: ops } }).length;
  for (const [api, ops] of [
    ['127.0.0.1:1', '127.0.0.1:1'],
    ['127.0.0.1:1', '0.0.0.0:1'],
    ['127.0.0.1:1', '[::]:1'],
    ['0.0.0.0:1', '127.0.0.1:1'],
    ['[::]:1', '127.0.0.1:1'],
  ] as const)
    assert.equal(count(api, ops), 1, `${api} ${ops}`);
  for (const [api, ops] of [
    ['127.0.0.1:1', '127.0.0.1:2'],
    ['127.0.0.1:1', '127.0.0.2:1'],
    ['127.0.0.1:0', '127.0.0.1:0'],
  ] as const)
    assert.equal(count(api, ops), 0, `${api} ${ops}`);
});
