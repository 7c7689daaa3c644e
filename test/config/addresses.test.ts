// Which addresses count as loopback: only there is plain http allowed, and only there does the token API listen. And the
// addresses of listeners, also on unix sockets.

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
  assert.deepEqual(parse({ ...BASE, api: { listen: 'LocalHost:1' } }).settings.api.listen, {
    host: '127.0.0.1',
    port: 1,
  });
});

test('a port is at most 65535', () => {
  assert.deepEqual(problemsOf({ ...BASE, ops: { listen: '127.0.0.1:65535' } }), []);
  for (const port of ['65536', '99999', '-1', ''])
    assert.equal(problemsOf({ ...BASE, ops: { listen: `127.0.0.1:${port}` } }).length, 1, port);
});

test('an address or range that a token is bound to is spelled as Vault spells it', () => {
  const bound = (cidr: string) => withApp({ setup: { role: { token_bound_cidrs: [cidr] } } });
  for (const [cidr, spelled] of [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['10.0.0.0/31', '10.0.0.0/31'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::1', '::1'],
    ['FD00:0::/8', 'fd00::/8'],
    ['fd00::1/128', 'fd00::1'],
  ] as const)
    assert.deepEqual(parse(bound(cidr)).settings.setup['app']?.role.boundCidrs, [spelled], cidr);
  const refused = ['10.0.0.0/33', 'fd00::/129', '10.0.0.0/8/8', '010.0.0.1', '10.1', 'host', '::ffff:1.2.3.4', '/8'];
  for (const cidr of refused)
    assert.deepEqual(
      problemsOf(bound(cidr)),
      [
        'config.json: exchanges.app.setup.role.token_bound_cidrs[0]: must be an IP address or a range, such as 10.0.0.0/8',
      ],
      cidr,
    );
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

test('a listener is on a unix socket with a mode and a group', () => {
  const { settings, origins } = parse({
    ...BASE,
    api: { listen: 'unix:/run/app/api.sock', socket_mode: '0660', socket_gid: 1000 },
    ops: { listen: 'unix:///run/app//ops.sock' },
  });
  assert.deepEqual(settings.api.listen, { path: '/run/app/api.sock', mode: 0o660, gid: 1000 });
  assert.deepEqual(settings.ops.listen, { path: '/run/app/ops.sock', mode: 0o600 });
  assert.deepEqual(
    origins().filter(({ key }) => key.includes('socket_')),
    [
      { key: 'api.socket_gid', value: '1000', origin: 'file' },
      { key: 'api.socket_mode', value: '0660', origin: 'file' },
      { key: 'ops.socket_mode', value: '0600', origin: 'default' },
    ],
  );
  const open = parse({ ...BASE, ops: { listen: 'unix:/run/app/ops.sock', socket_mode: '0666' } });
  assert.deepEqual(open.settings.ops.listen, { path: '/run/app/ops.sock', mode: 0o666 });
});

test('refuses a path that cannot be that of a socket', () => {
  const path = (bytes: number) => `/run/${'x'.repeat(bytes - 5)}`;
  const listen = (text: string) => problemsOf({ ...BASE, ops: { listen: text } });
  const absolute = 'config.json: ops.listen: must be unix: and an absolute path, in a directory other than /';
  for (const text of ['unix:', 'unix:ops.sock', 'unix:/ops.sock', 'unix:/run/app/', 'unix:/', 'unix:/run/../ops.sock'])
    assert.deepEqual(listen(text), [absolute], text);
  for (const text of ['/run/app/ops.sock', '@ops'])
    assert.match(listen(text)[0] ?? '', /ops\.listen: must be host:port, .* or unix:\/path$/);
  assert.deepEqual(listen(`unix:${path(100)}`), []);
  const long = 'config.json: ops.listen: must be a path of at most 100 bytes, as Linux limits the paths of sockets';
  assert.deepEqual(listen(`unix:${path(101)}`), [long]);
  assert.deepEqual(listen(`unix:/run/${'ä'.repeat(48)}`), [long]);
});

test('refuses a mode that would open the token API to all users, and members of a socket without one', () => {
  const problems = (api: object) => problemsOf({ ...BASE, api });
  const listen = 'unix:/run/app/api.sock';
  const modes = 'config.json: api.socket_mode: must be one of "0600", "0660"';
  for (const socket_mode of ['0666', '0606', '0640', '660', ''])
    assert.deepEqual(problems({ listen, socket_mode }), [modes], socket_mode);
  const unix = 'is for a unix socket: set listen to unix:/path';
  assert.deepEqual(problems({ socket_mode: '0660', socket_gid: 0 }), [
    `config.json: api.socket_mode: ${unix}`,
    `config.json: api.socket_gid: ${unix}`,
  ]);
  // one problem for one mistake
  assert.equal(problems({ listen: 'unix:api.sock', socket_mode: '0660' }).length, 1);
});

test('refuses a path for two listeners, or for a listener and a sink', () => {
  const listen = 'unix:/run/app/api.sock';
  assert.deepEqual(problemsOf({ ...BASE, api: { listen }, ops: { listen: 'unix:/run/./app/api.sock' } }), [
    'config.json: ops.listen: must differ from api.listen',
  ]);
  assert.deepEqual(problemsOf({ ...BASE, api: { listen }, ops: { listen: 'unix:/run/app/ops.sock' } }), []);
  const sinks = [{ file: { path: '/run/app/api.sock' } }];
  assert.deepEqual(problemsOf({ ...withApp({ sinks }), api: { listen } }), [
    'config.json: exchanges.app.sinks[0].file.path: is also the path of api.listen',
  ]);
  assert.deepEqual(problemsOf(withApp({ sinks, proxy: { listen } })), [
    'config.json: exchanges.app.sinks[0].file.path: is also the path of exchanges.app.proxy.listen',
  ]);
});
