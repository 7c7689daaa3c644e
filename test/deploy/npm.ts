// Installs the archive with npm into an empty directory, and runs it with npx.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';

export async function installsByNpm(t: TestContext, archive: string): Promise<void> {
  const cwd = await temporaryDirectory(t);
  // without a registry: the archive contains its dependencies
  const options = { cwd, env: { ...process.env, npm_config_offline: 'true', PATH: pathWithNode() } } as const;
  execFileSync('npm', ['install', '--silent', archive], { ...options, stdio: ['ignore', 'ignore', 'inherit'] });
  assert.deepEqual(
    readdirSync(join(cwd, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['vault-token-sidecar'],
  );
  const version = ['vault-token-sidecar', 'version', '--json'];
  const shown = JSON.parse(execFileSync('npx', version, { ...options, encoding: 'utf8' }));
  assert.partialDeepStrictEqual(shown, { version: packageJson.version, node_version: process.versions.node });

  const child = spawn('npx', ['vault-token-sidecar', 'dev'], {
    ...options,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const group = -(child.pid ?? 0);
  const closed = once(child, 'close');
  t.after(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(group, 'SIGKILL');
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  await until('it is ready', () => / {2}ready /.test(output), 30_000);
  process.kill(group, 'SIGINT');
  await closed;
}

/** The project's node first, as the hashbang of the program finds it on the PATH. */
const pathWithNode = (): string => `${dirname(process.execPath)}:${process.env['PATH']}`;
