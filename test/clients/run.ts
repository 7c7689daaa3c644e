// npm run test:clients: runs the examples of docs/clients.md against a real Vault with short leases. Installs the clients, and
// fails if one is unavailable.

import { spawnSync } from 'node:child_process';
import { runTests } from '../run.ts';
import { findVault } from '../vault/find-vault.ts';

const env = { ...process.env, VAULT_BIN: findVault() };
const build = spawnSync('npm', ['run', '-s', 'build', '--', '--log-level=warning'], { stdio: 'inherit', env });
process.exitCode = build.status || (await runTests(['--test-timeout=600000', 'test/clients/*.client.ts'], env));
