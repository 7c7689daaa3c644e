// The setup of end-to-end tests: an issuer, a Vault that trusts it, a directory with the JWT, and the daemon in this
// process, with its log in an array.

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseConfig } from '../../src/config/parse.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { type DevVault, openDevVault } from '../../src/dev/vault.ts';
import { openObserver } from '../../src/observe/observe.ts';
import { scopeOf } from './scope.ts';
import { replaceByRename, temporaryDirectory } from './temporary.ts';

export interface Peers {
  readonly directory: string;
  readonly issuer: Issuer;
  readonly vault: DevVault;
  /** Replaces the JWT's file with a new JWT, by rename, and returns the JWT. */
  writeJwt(claims?: Record<string, unknown>): Promise<string>;
  /** a config with one exchange "app"; `members` override its keys */
  config(members?: Record<string, unknown>): Record<string, unknown>;
}

export async function openPeers(t: TestContext): Promise<Peers> {
  const directory = await temporaryDirectory(t);
  const issuer = await openIssuer();
  const vault = await openDevVault();
  scopeOf(t).after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'app' });
  return {
    directory,
    issuer,
    vault,
    async writeJwt(claims) {
      const jwt = await issuer.mint(claims);
      await replaceByRename(join(directory, 'jwt'), jwt);
      return jwt;
    },
    config: (members = {}) => ({
      vault: { address: vault.url },
      exchanges: {
        app: {
          source: { file: { path: join(directory, 'jwt') } },
          login: { role: 'app' },
          sinks: [{ file: { path: join(directory, 'token') } }],
          ...members,
        },
      },
      api: { listen: '127.0.0.1:0' },
      ops: { listen: '127.0.0.1:0' },
      log: { level: 'trace' },
    }),
  };
}

export const settingsOf = (config: unknown): Settings =>
  parseConfig(JSON.stringify(config), { fileName: 'config.json', env: {} }).settings;

export interface RunningDaemon {
  readonly daemon: Daemon;
  /** all lines logged so far */
  readonly log: string[];
  stop(): Promise<void>;
}

export async function runDaemon(t: TestContext, config: unknown): Promise<RunningDaemon> {
  const settings = settingsOf(config);
  const log: string[] = [];
  const observer = openObserver({
    version: '0',
    nodeVersion: '0',
    nodeMetrics: false,
    level: 'trace',
    target: (line) => void log.push(line),
  });
  const daemon = await startDaemon({ settings, openObserver: async () => observer, env: {}, version: '0' });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= daemon.stop();
    return stopped;
  };
  scopeOf(t).after(stop);
  return { daemon, log, stop };
}
