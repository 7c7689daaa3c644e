// npm run test:deploy: everything under deploy/, and the image, checked by the platforms' own tools and really started.
// Each suite installs what it needs by itself; what can't be had on this machine fails with its name and the reason.
// Arguments narrow it: npm run test:deploy -- kubernetes

import { spawnSync } from 'node:child_process';
import { runTests } from '../run.ts';
import { findVault } from '../vault/find-vault.ts';

const [only = '*'] = process.argv.slice(2);
const env = { ...process.env, VAULT_BIN: findVault() };
const build = spawnSync('npm', ['run', '-s', 'build', '--', '--log-level=warning'], { stdio: 'inherit', env });
// one after the other: they share the machine's package manager, its ports and its two cores
const flags = ['--test-concurrency=1', '--test-timeout=600000'];
process.exitCode = build.status || (await runTests([...flags, `test/deploy/${only}.deploy.ts`], env));
