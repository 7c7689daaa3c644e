// Which config counts: --config, VTS_CONFIG or the environment; and the warnings about variables that don't count.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { command as status } from '../../src/commands/status.ts';
import { command as validate } from '../../src/commands/validate.ts';
import { BASE } from '../support/configs.ts';
import { invoke } from '../support/invoke.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const FULL = {
  VAULT_ADDR: 'https://vault:8200',
  VTS_JWT_FILE: '/jwt',
  VTS_ROLE: 'from-environment',
  VTS_TOKEN_FILE: '/vault/token',
};

test('--config takes precedence over VTS_CONFIG, and VTS_CONFIG over the other variables', async (t) => {
  const directory = await temporaryDirectory(t);
  const [flag, variable] = [join(directory, 'flag.json'), join(directory, 'variable.json')];
  const withRole = (role: string) =>
    JSON.stringify({ ...BASE, exchanges: { app: { ...BASE.exchanges.app, login: { role } } } });
  await writeFile(flag, withRole('from-flag'));
  await writeFile(variable, withRole('from-variable'));
  const role = async (flags: object, env: Record<string, string>) =>
    / ((?:from)-\w+) /.exec((await invoke(validate, { ...flags }, { env })).out)?.[1];
  assert.equal(await role({ config: flag }, { ...FULL, VTS_CONFIG: variable }), 'from-flag');
  assert.equal(await role({}, { ...FULL, VTS_CONFIG: variable }), 'from-variable');
  assert.equal(await role({}, { ...FULL, VTS_CONFIG: '' }), 'from-environment');
  const missing = await invoke(validate, {}, { env: { VTS_CONFIG: '/none.json' } });
  assert.equal(missing.err, "can't read /none.json: ENOENT; VTS_CONFIG names the config file");
});

test('VTS_CONFIG also tells the commands that ask the daemon where it listens', async (t) => {
  const config = join(await temporaryDirectory(t), 'config.json');
  await writeFile(config, JSON.stringify({ ...BASE, ops: { listen: '127.0.0.1:1' } }));
  const { code, err } = await invoke(status, {}, { env: { VTS_CONFIG: config, VTS_OPS_LISTEN: '127.0.0.1:2' } });
  assert.equal(code, 3);
  assert.match(err, /no sidecar answers at http:\/\/127\.0\.0\.1:1\b/);
  assert.ok(err.startsWith(`warning: VTS_OPS_LISTEN: ignored, since the config comes from the file ${config}\n`), err);
});

test('warns on stderr of variables that are unknown, also if the config is invalid', async () => {
  const line = 'warning: VTS_JWTFILE is unknown and ignored; did you mean "VTS_JWT_FILE"?';
  const { VTS_JWT_FILE, ...rest } = FULL;
  const invalid = await invoke(validate, {}, { env: { ...rest, VTS_JWTFILE: '/jwt' } });
  assert.deepEqual(invalid.err.split('\n'), [
    line,
    'VTS_JWT_FILE: is required without --config (the file with the workload JWT)',
  ]);
  const asked = await invoke(status, {}, { env: { VTS_JWTFILE: '/jwt', VTS_OPS_LISTEN: '127.0.0.1:1' } });
  assert.ok(asked.err.startsWith(`${line}\n`), asked.err);
});

test('validate --json prints the values, or the problems with exit code 2', async () => {
  const valid = await invoke(validate, { json: true }, { env: { ...FULL, VAULT_SKIP_VERIFY: '1' } });
  const { values, warnings, ...result } = JSON.parse(valid.out);
  assert.deepEqual([valid.code, valid.err, result], [0, '', { valid: true, problems: [] }]);
  assert.deepEqual(
    values.find(({ key }: { key: string }) => key === 'exchanges.default.login.role'),
    { key: 'exchanges.default.login.role', value: 'from-environment', origin: 'environment VTS_ROLE' },
  );
  assert.match(String(warnings), /^VAULT_SKIP_VERIFY is ignored; /);
  assert.match(valid.out, /^\{\n {2}"valid": true,\n/);
  const invalid = await invoke(validate, { json: true }, { env: { ...FULL, VTS_TOKEN_MODE: '0644', VAULT_ADDR: '' } });
  assert.equal(invalid.code, 2);
  assert.deepEqual(JSON.parse(invalid.out), {
    valid: false,
    values: [],
    warnings: [],
    problems: [{ origin: 'VAULT_ADDR', message: "is required without --config (Vault's address)" }],
  });
});
