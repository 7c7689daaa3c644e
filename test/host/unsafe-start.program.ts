// The Node flags and variables that the built program refuses, when started with the image's flags.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { PROGRAM } from './start.ts';

const [SECURITY, SOURCE] = ['SECURITY.md', 'src/host/unsafe-start.ts'];

interface Start {
  readonly options?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs `version`, which succeeds if the program accepts its flags and environment. */
function start({ options, flags = NODE_FLAGS, env = {}, cwd }: Start) {
  assert.ok(existsSync(PROGRAM), `there is no ${PROGRAM}: npm run build makes it`);
  const variables = { PATH: process.env['PATH'], ...(options === undefined ? {} : { NODE_OPTIONS: options }), ...env };
  const ended = spawnSync(process.execPath, [...flags, PROGRAM, 'version'], { encoding: 'utf8', env: variables, cwd });
  return { code: ended.status, out: ended.stdout, err: ended.stderr };
}

/** Checks the last line of stderr, since a preloaded module and Node may print before the program starts. */
function assertRefused(ended: ReturnType<typeof start>, flag: string, place: string): void {
  assert.equal(ended.code, 2, `${flag}: ${ended.err}`);
  assert.equal(ended.out, '');
  const line = ended.err.trim().split('\n').at(-1) ?? '';
  assert.ok(line.startsWith(`vault-token-sidecar: ${place}: `), line);
  assert.ok(line.includes(` ${flag} `), line);
  assert.match(line, /: remove it/);
}

test('refuses NODE_OPTIONS that can expose secrets, in every spelling that Node accepts (K15)', async (t) => {
  const cwd = await temporaryDirectory(t);
  await writeFile(join(cwd, 'x y.cjs'), '');
  const cases: Readonly<Record<string, string>> = {
    '--require "./x y.cjs"': '--require',
    '"--require" "./x y.cjs"': '--require',
    '-r "./x y.cjs"': '-r',
    '--import "./x y.cjs"': '--import',
    '"--inspect=127.0.0.1:0"': '--inspect',
    '--ins"pect=127.0.0.1:0"': '--inspect',
    '"--in\\spect=127.0.0.1:0"': '--inspect',
    '--inspect_port=0': '--inspect_port',
    '--max-semi-space-size=1  "--inspect_publish_uid=http"': '--inspect_publish_uid',
    '--debug-port=0': '--debug-port',
    '--tls_keylog=keys': '--tls_keylog',
    '"--tls-keylog" keys': '--tls-keylog',
    '--report-on-signal': '--report-on-signal',
    '--report-uncaught-exception': '--report-uncaught-exception',
    '--report_on_fatalerror': '--report_on_fatalerror',
    '--trace-tls': '--trace-tls',
    '--trace-env': '--trace-env',
    '--trace-event-categories=node.http': '--trace-event-categories',
    '--heapsnapshot-signal=SIGUSR2': '--heapsnapshot-signal',
    '--heapsnapshot_near_heap_limit=1': '--heapsnapshot_near_heap_limit',
    '--heap-prof': '--heap-prof',
    '--cpu-prof': '--cpu-prof',
    '--perf-basic-prof': '--perf-basic-prof',
    '--diagnostic-dir=.': '--diagnostic-dir',
    '--redirect-warnings=warnings': '--redirect-warnings',
    '--abort-on-uncaught-exception': '--abort-on-uncaught-exception',
    '--insecure-http-parser': '--insecure-http-parser',
    '--tls-min-v1.0': '--tls-min-v1.0',
    '--no-disable-sigusr1': '--no-disable-sigusr1',
    '--no-warnings --trace-exit': '--trace-exit',
  };
  for (const [options, flag] of Object.entries(cases)) assertRefused(start({ options, cwd }), flag, 'NODE_OPTIONS');
});

test("refuses the same flags on the command line, and those that NODE_OPTIONS doesn't allow (K15)", async (t) => {
  const cwd = await temporaryDirectory(t);
  await writeFile(join(cwd, 'env'), 'A=1\n');
  for (const flag of ['--inspect=127.0.0.1:0', '--inspect_port=0', '--prof', '--env-file=env', '--heap_prof'])
    assertRefused(start({ flags: [...NODE_FLAGS, flag], cwd }), flag.split('=')[0] ?? '', "node's command line");
  // with the value as a separate argument
  assertRefused(start({ flags: ['--env-file', 'env', ...NODE_FLAGS], cwd }), '--env-file', "node's command line");
});

test('refuses environment variables that write or print secrets of the process (B15)', async (t) => {
  const cwd = await temporaryDirectory(t);
  for (const [name, value] of Object.entries({
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    SSLKEYLOGFILE: 'keys',
    NODE_DEBUG: 'http',
    NODE_DEBUG_NATIVE: 'diagnostics',
    NODE_REDIRECT_WARNINGS: 'warnings',
    NODE_V8_COVERAGE: 'coverage',
  })) {
    const { code, out, err } = start({ env: { [name]: value }, cwd });
    assert.deepEqual([code, out], [2, ''], name);
    const line = err.trim().split('\n').at(-1) ?? '';
    assert.match(line, new RegExp(`^vault-token-sidecar: ${name}(=0)? .*: unset it`));
  }
  // Node creates the coverage directory at exit
  assert.deepEqual(
    (await readdir(cwd)).filter((name) => name !== 'coverage'),
    [],
  );
});

test('SECURITY.md lists exactly the allowed flags and the refused variables', async () => {
  const [, section = ''] = /^## Node flags and variables$([\s\S]*?)^## /m.exec(await readFile(SECURITY, 'utf8')) ?? [];
  const [, allowed = '', variables = ''] = section.trim().split('\n\n');
  const source = await readFile(SOURCE, 'utf8');
  const listed = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name);
  assert.deepEqual(listed(allowed, /`(--[^`]+)`/g), listed(source, /^ {2}'(--[^']+)',$/gm));
  assert.deepEqual(listed(variables, /`([^`]+)`/g), listed(source, /^ {2}'?([A-Z][A-Z0-9_=]+)'?: '/gm));
});

test('a refusal never shows the value of a flag or control characters (K15)', () => {
  const { code, err } = start({ options: '"--disable-warning=\u001b[31mhvs.secret" "--icu-data-dir=hvs.secret"' });
  assert.equal(code, 2);
  assert.ok(!err.includes('hvs.'), err);
  assert.ok(!err.includes('\u001b'), err);
});

test('accepts harmless flags in every spelling that Node accepts', () => {
  for (const options of [
    '',
    '--max-old-space-size=64 --max_semi_space_size=1',
    '"--max-old-space-size=64" "--disable-warning=a --inspect"',
    '--dns-result-order ipv4first --no-warnings',
    '--use-system-ca --max-http-header-size=8192 --enable-source-maps --disable-sigusr1',
    '--use-openssl-ca --tls-min-v1.3',
  ]) {
    const { code, err } = start({ options });
    assert.equal(code, 0, `${options}: ${err}`);
  }
  const env = { NODE_NO_WARNINGS: '1', NODE_EXTRA_CA_CERTS: '', UV_THREADPOOL_SIZE: '2', NODE_DEBUG: '' };
  assert.equal(start({ env }).code, 0);
  assert.equal(start({ flags: ['--permission', '--allow-fs-read=*', ...NODE_FLAGS] }).code, 0);
});
