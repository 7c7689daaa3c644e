// npm run test:node: runs the manifests on a Kubernetes node with kubelet and containerd, which starts on this machine in
// namespaces of its own. An argument selects a suite: npm run test:node -- pods. Without one, the slow kubelet-away is left out.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { openScope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { findVault } from '../vault/find-vault.ts';
import { makeParts } from './parts.ts';
import { inWorld } from './world.ts';

const SUITES = ['pods', 'fleet'];

const [only] = process.argv.slice(2);
const env = { ...process.env, VAULT_BIN: findVault() };
const build = spawnSync('npm', ['run', '-s', 'build', '--', '--log-level=warning'], { stdio: 'inherit', env });
if (build.status !== 0) process.exit(1);
const scope = openScope();
try {
  const archive = join(await temporaryDirectory(scope), 'sidecar.tar');
  await makeParts(archive);
  for (const suite of only === undefined ? SUITES : [only]) {
    const flags = ['--test-concurrency=1', '--test-timeout=900000'];
    const tests = [process.execPath, 'test/run.ts', ...flags, `test/node/${suite}.node.ts`];
    process.exitCode ||= await inWorld(tests, { ...env, SIDECAR_IMAGE: archive });
  }
} finally {
  await scope.end();
}
