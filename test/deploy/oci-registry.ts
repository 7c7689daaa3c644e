// A registry for images and charts, in memory and without TLS, that stands in for registry.example.com.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { goInstall } from '../support/tools.ts';

/** @returns its host and port */
export async function openRegistry(t: Scope): Promise<string> {
  const config = join(await temporaryDirectory(t), 'config.json');
  writeFileSync(config, JSON.stringify({ version: 0.1, storage: { inmemory: {} }, http: { addr: '127.0.0.1:0' } }));
  const program = goInstall('github.com/distribution/distribution/v3/cmd/registry', 'v3.0.0');
  const child = spawn(program, ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  return until('the registry listens', () => /listening on (\S+:\d+)"/.exec(said)?.[1]);
}
