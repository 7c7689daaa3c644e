// npm run test:deploy: checks everything in deploy/ and the image with the platforms' tools, and starts it. Each suite
// installs the tools that it needs, and fails if one is unavailable. An argument selects a suite:
// npm run test:deploy -- kubernetes

import { spawnSync } from 'node:child_process';
import { runTests } from '../run.ts';
import { findVault } from '../vault/find-vault.ts';

const [only = '*'] = process.argv.slice(2);
const env = { ...process.env, VAULT_BIN: findVault() };
const build = spawnSync('npm', ['run', '-s', 'build', '--', '--log-level=warning'], { stdio: 'inherit', env });
// one at a time, since the suites share the machine's package manager, ports and cores
const flags = ['--test-concurrency=1', '--test-timeout=600000'];
process.exitCode = build.status || (await runTests([...flags, `test/deploy/${only}.deploy.ts`], env));
