// The programs that are compared: the sidecar, started as in the image, and `vault agent`. They share a real Vault, a
// role and a JWT file. Each connects through a proxy that counts its requests, since a sealed Vault writes no audit
// log.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { sidecarCommand } from '../support/program.ts';
import type { Scope } from '../support/scope.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { findVault } from '../vault/find-vault.ts';
import { openRealVault, type RealVault } from '../vault/real-vault.ts';
import { untilChanged } from './figures.ts';

export interface Peer {
  readonly name: string;
  readonly tokenFile: string;
  /** its config, with placeholders for the directory and the address */
  readonly config: string;
  /** requests to Vault since the count was reset */
  requests: number;
  start(): ChildProcess;
}

export interface Peers {
  readonly directory: string;
  readonly jwtFile: string;
  readonly issuer: Issuer;
  readonly vault: RealVault;
  readonly sidecar: Peer;
  readonly agent: Peer;
  /** An agent that reads the JWT's file every `readPeriod` and logs in with a new JWT. */
  watchingAgent(readPeriod: string): Promise<Peer>;
  writeJwt(): Promise<void>;
  /** Sets the lease of all tokens that are granted from now on. */
  setLease(seconds: number): Promise<void>;
  /** Starts both; resolves when each has written its token. */
  startBoth(): Promise<readonly [ChildProcess, ChildProcess]>;
}

const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app' };
const HOUR_SECONDS = 3600;

export async function openPeers(scope: Scope): Promise<Peers> {
  const issuer = await openIssuer();
  scope.after(() => issuer.close());
  const vault = await openRealVault(scope);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  const setLease = async (ttl: number) => void (await vault.write('auth/jwt/role/app', { ...ROLE, ttl }));
  await setLease(HOUR_SECONDS);
  // keep JWTs and tokens in memory, as in a pod, if the machine has a tmpfs
  const directory = await temporaryDirectory(scope, existsSync('/dev/shm') ? '/dev/shm' : undefined);
  const jwtFile = join(directory, 'jwt');
  const writeJwt = async () => replaceByRename(jwtFile, await issuer.mint());
  await writeJwt();

  const openPeer = async (
    name: string,
    command: (place: { address: string; tokenFile: string }) => Promise<PeerCommand>,
  ): Promise<Peer> => {
    const tokenFile = join(directory, `${name.replaceAll(' ', '-')}-token`);
    const address = await countingProxy(scope, vault.url, () => {
      peer.requests += 1;
    });
    const { words, configFile } = await command({ address, tokenFile });
    const [program = '', ...args] = words;
    const config = (await readFile(configFile, 'utf8')).replaceAll(directory, 'PLACE').replaceAll(address, 'ADDRESS');
    const peer: Peer = { name, tokenFile, config, requests: 0, start: () => spawn(program, args, { stdio: 'ignore' }) };
    return peer;
  };
  const sidecar = await openPeer('sidecar', async ({ address, tokenFile }) => {
    const exchanges = { app: exchangeOf(jwtFile, tokenFile) };
    const configFile = await writeConfig(directory, 'sidecar', { address, exchanges });
    return { words: commandOf(configFile), configFile };
  });
  const openAgent = (name: string, readPeriod?: string) =>
    openPeer(name, async (place) => {
      const configFile = join(directory, `${name.replaceAll(' ', '-')}.hcl`);
      await writeFile(configFile, agentConfig({ ...place, jwtFile, readPeriod }));
      return { words: [findVault(), 'agent', '-config', configFile], configFile };
    });
  const agent = await openAgent('vault agent');
  return {
    directory,
    jwtFile,
    issuer,
    vault,
    sidecar,
    agent,
    watchingAgent: (readPeriod) => openAgent(`vault agent ${readPeriod}`, readPeriod),
    writeJwt,
    setLease,
    async startBoth() {
      for (const { tokenFile } of [sidecar, agent]) await rm(tokenFile, { force: true });
      const started = [sidecar.start(), agent.start()] as const;
      for (const { tokenFile } of [sidecar, agent]) await untilChanged(tokenFile, undefined);
      return started;
    },
  };
}

interface PeerCommand {
  readonly words: readonly string[];
  readonly configFile: string;
}

const commandOf = (configFile: string): readonly string[] => [...sidecarCommand(), 'run', '--config', configFile];

export const exchangeOf = (jwtFile: string, tokenFile: string) => ({
  source: { file: { path: jwtFile } },
  login: { role: 'app' },
  sinks: [{ file: { path: tokenFile } }],
});

/** Starts another sidecar; resolves before it has its tokens. */
export async function startSidecar(directory: string, name: string, parts: ConfigParts): Promise<ChildProcess> {
  const [, ...args] = commandOf(await writeConfig(directory, name, parts));
  return startProgram(args);
}

/** Starts Node with these arguments. */
export const startProgram = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });

interface ConfigParts {
  readonly address: string;
  readonly exchanges: Readonly<Record<string, unknown>>;
  readonly api?: string;
  readonly ops?: string;
  readonly nodeMetrics?: boolean;
}

/** @returns where it is */
export async function writeConfig(directory: string, name: string, parts: ConfigParts): Promise<string> {
  const configFile = join(directory, `${name}.json`);
  const anywhere = '127.0.0.1:0';
  const config = {
    vault: { address: parts.address },
    exchanges: parts.exchanges,
    api: { listen: parts.api ?? anywhere },
    ops: { listen: parts.ops ?? anywhere, node_metrics: parts.nodeMetrics ?? false },
  };
  await writeFile(configFile, JSON.stringify(config));
  return configFile;
}

interface AgentParts {
  readonly address: string;
  readonly jwtFile: string;
  readonly tokenFile: string;
  readonly readPeriod: string | undefined;
}

function agentConfig({ address, jwtFile, tokenFile, readPeriod }: AgentParts): string {
  const watches = readPeriod !== undefined;
  return `vault { address = "${address}" }
auto_auth {${watches ? '\n  enable_reauth_on_new_credentials = true' : ''}
  method "jwt" {
    mount_path = "auth/jwt"
    config = {
      path                     = "${jwtFile}"
      role                     = "app"
      remove_jwt_after_reading = false${watches ? `\n      jwt_read_period          = "${readPeriod}"` : ''}
    }
  }
  sink "file" { config = { path = "${tokenFile}" } }
}
`;
}

export async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

async function countingProxy(scope: Scope, url: string, onRequest: () => void): Promise<string> {
  const server = createServer((client) => {
    const target = connect(Number(new URL(url).port), '127.0.0.1');
    client.on('data', (bytes: Buffer) => {
      if (/^(GET|PUT|POST|LIST|DELETE) /.test(bytes.toString('latin1'))) onRequest();
    });
    client.pipe(target).pipe(client);
    client.on('error', () => target.destroy());
    target.on('error', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
