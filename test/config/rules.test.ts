// Rules of the config that hold for whole families of values: what is refused, and what the config may say to allow it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configJsonSchema } from '../../src/config-schema.ts';
import { BASE, memberNames, parse, problemsOf, withSink, withVault } from '../support/configs.ts';

test('what is refused is taken where the config says that it is meant (B3, B7, B8)', () => {
  const settings = (config: unknown) => parse(config).settings;
  const plain = settings(withVault({ address: 'http://vault:8200', allow_insecure_http: true }));
  assert.equal(plain.exchanges[0]?.vault.address, 'http://vault:8200');
  const open = settings(withSink({ mode: '0644', allow_world_readable: true }));
  assert.equal(open.exchanges[0]?.sinks[0]?.mode, 0o644);
  const api = { listen: '0.0.0.0:8275', allow_non_loopback: true, caller_token_file: '/caller' };
  assert.deepEqual(settings({ ...BASE, api }).api.listen, { host: '0.0.0.0', port: 8275 });
});

test('of all modes, those that let others at the token are refused, and no other (B7)', () => {
  for (let mode = 0; mode <= 0o777; mode++) {
    const problems = problemsOf(withSink({ mode: `0${mode.toString(8).padStart(3, '0')}` }));
    assert.equal(problems.length, (mode & 0o007) === 0 ? 0 : 1, mode.toString(8));
  }
});

test('the token listener is on loopback, by whatever name, or nowhere (B8)', () => {
  const problems = (listen: string) => problemsOf({ ...BASE, api: { listen } }).length;
  for (const listen of ['127.0.0.1:1', '127.8.9.10:1', 'localhost:1', '[::1]:1'])
    assert.equal(problems(listen), 0, listen);
  for (const listen of ['0.0.0.0:1', '[::]:1', '[::ffff:0.0.0.0]:1', '10.0.0.1:1', '0:1', 'app.example.com:1'])
    assert.equal(problems(listen), 1, listen);
});

test('how to back off is not to be configured, so it has no bounds to turn round (B5)', () => {
  const backoff = { min_backoff: '5m', max_backoff: '1s' };
  assert.deepEqual(problemsOf(withVault(backoff)), [
    'config.json: /vault/min_backoff: unknown key',
    'config.json: /vault/max_backoff: unknown key',
  ]);
  assert.deepEqual(
    memberNames(configJsonSchema()).filter((name) => /backoff|retry|delay/.test(name)),
    [],
  );
});

test('the config has no place for a secret: what is one is named by its file, and a stray one is no key (B12)', () => {
  const names = memberNames(configJsonSchema());
  assert.ok(names.includes('caller_token_file') && names.includes('client_key_file'));
  // those of setup.role are what Vault calls its own settings of tokens
  const secret = /(secret|passw|credential|private|jwt|token|key)/;
  assert.deepEqual(
    names.filter((name) => secret.test(name) && !/(_file|^token_\w+|^on_new_jwt)$/.test(name)),
    [],
  );
  for (const key of ['token', 'jwt', 'caller_token', 'client_key'])
    assert.deepEqual(problemsOf(withVault({ [key]: 'hvs.CAESIsecret' })), [`config.json: /vault/${key}: unknown key`]);
});

test('a number that is none is refused wherever a duration stands (B4)', () => {
  for (const [value, most] of [
    ['NaN', 2],
    ['Infinity', 2],
    ['1e999', 1],
    ['-0', 1],
    ['null', 1],
    ['""', 1],
    ['"-5s"', 1],
    ['"1e3s"', 1],
    ['"1h 30m"', 1],
    ['"1d"', 1],
  ] as const) {
    const problems = problemsOf(JSON.stringify(withVault({ timeout: 'HERE' })).replace('"HERE"', value));
    assert.ok(problems.length > 0 && problems.length <= most, `${value}: ${problems}`);
  }
});
