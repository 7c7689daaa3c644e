// A Vault, a JWT and a config for exec, and a command that reports its token and its signals.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Role } from '../../src/dev/vault-jwt-auth.ts';
import { cli, type Ended, sidecarCommand } from '../support/program.ts';
import { openPeers, type Peers } from '../support/sidecar.ts';
import { type Started, startProgram } from '../support/started.ts';

/**
 * Prints "up" and its token, then each signal, with the content of the file in $TOKEN_FILE. Ends with 5 at the signal in $END_AT,
 * and otherwise only when it is killed.
 */
const LISTENER = `
  import { readFileSync } from 'node:fs';
  const { TOKEN_FILE, END_AT, VAULT_TOKEN } = process.env;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'])
    process.on(signal, () => {
      console.log(signal, TOKEN_FILE ? readFileSync(TOKEN_FILE, 'utf8') : '');
      if (signal === END_AT) process.exit(5);
    });
  console.log('up', VAULT_TOKEN);
  setInterval(() => {}, 1000);`;

export const LISTENING: readonly string[] = [process.execPath, '--input-type=module', '-e', LISTENER];

export interface ExecOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ExecWorld extends Peers {
  readonly tokenFile: string;
  /** Changes members of the exchange "app". */
  configure(members: Record<string, unknown>): Promise<void>;
  /** the command line of exec */
  line(words: readonly string[], flags?: readonly string[]): readonly string[];
  /** Runs a command to its end. */
  exec(words: readonly string[], options?: ExecOptions): Promise<Ended>;
  /** Starts a command that listens to signals. */
  listen(options?: ExecOptions): Started;
}

export async function openExecWorld(t: TestContext, role: Role = {}): Promise<ExecWorld> {
  const peers = await openPeers(t);
  peers.vault.trust({ issuer: peers.issuer.issuer, role: 'app', settings: role });
  await peers.writeJwt();
  const configFile = join(peers.directory, 'config.json');
  const configure = (members: Record<string, unknown>) =>
    writeFile(configFile, JSON.stringify({ ...peers.config(members), log: { level: 'info' } }));
  await configure({});
  const argsOf = (words: readonly string[], flags: readonly string[] = []) => [
    ...['exec', '--config', configFile, '--timeout', '10s'],
    ...flags,
    '--',
    ...words,
  ];
  const line: ExecWorld['line'] = (words, flags) => [...sidecarCommand(), ...argsOf(words, flags)];
  return {
    ...peers,
    tokenFile: join(peers.directory, 'token'),
    configure,
    line,
    exec: (words, { flags, env = {} } = {}) => cli(argsOf(words, flags), { env }),
    listen: ({ flags, env } = {}) => startProgram(t, line(LISTENING, flags), env),
  };
}
