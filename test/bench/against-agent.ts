// The bundled sidecar and `vault agent` side by side: one machine, one real Vault, one role, one JWT file, one run. Each
// reaches Vault through a proxy that counts its requests. --minutes N: how long the idle and the sealed phase take (5).

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openIssuer } from '../../src/dev/issuer.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { findVault } from '../vault/find-vault.ts';
import { openRealVault } from '../vault/real-vault.ts';
import { figures, residentMemory, untilChanged } from './set-up.ts';

const START_RUNS = 10;
const ROTATIONS = 10;
const AGENT_ROTATION_LIMIT_MS = 150_000;
const LOGIN_GAP_MS = 5200;
const MINUTES = Number(process.argv[process.argv.indexOf('--minutes') + 1]) || 5;
const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app' };

const ends: (() => unknown)[] = [];
const scope = { after: (done: () => unknown) => void ends.unshift(done) };

interface Peer {
  readonly name: string;
  readonly tokenFile: string;
  requests: number;
  start(): ChildProcess;
}

const issuer = await openIssuer();
const vault = await openRealVault(scope);
await vault.write('sys/auth/jwt', { type: 'jwt' });
await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
await setTtl('1h');
const directory = await temporaryDirectory(scope);
const jwtFile = join(directory, 'jwt');
await writeJwt();
const peers = [await sidecar(), await agent()];

const starts = new Map(peers.map((peer) => [peer, [] as number[]]));
for (let run = 0; run < START_RUNS; run += 1) {
  for (const peer of peers) {
    await rm(peer.tokenFile, { force: true });
    const startedAt = performance.now();
    const child = peer.start();
    await untilChanged(peer.tokenFile, undefined);
    starts.get(peer)?.push(performance.now() - startedAt);
    await end(child);
  }
}
for (const peer of peers) console.log(`${peer.name}: start to first token   ${figures(starts.get(peer) ?? [])}`);

let children = await startAll();
await rotations();
const ticks = await Promise.all(children.map(cpuTicks));
await pause(MINUTES * 60_000);
for (const [index, peer] of peers.entries()) {
  const child = children[index] as ChildProcess;
  const seconds = ((await cpuTicks(child)) - (ticks[index] ?? 0)) / 100;
  const share = ((seconds / (MINUTES * 60)) * 100).toFixed(3);
  console.log(
    `${peer.name}: idle for ${MINUTES} min   CPU ${seconds.toFixed(2)} s (${share} % of a core)   ${await residentMemory(child.pid)}`,
  );
}
await Promise.all(children.map(end));

await setTtl('2m');
children = await startAll();
await vault.seal();
for (const peer of peers) peer.requests = 0;
await pause(MINUTES * 60_000);
for (const peer of peers)
  console.log(`${peer.name}: requests while Vault was sealed for ${MINUTES} min   ${peer.requests}`);
await Promise.all(children.map(end));
for (const done of ends) await done();
await issuer.close();

async function setTtl(ttl: string): Promise<void> {
  await vault.write('auth/jwt/role/app', { ...ROLE, ttl });
}

async function writeJwt(): Promise<void> {
  await replaceByRename(jwtFile, await issuer.mint());
}

async function startAll(): Promise<ChildProcess[]> {
  for (const { tokenFile } of peers) await rm(tokenFile, { force: true });
  const started = peers.map((peer) => peer.start());
  for (const { tokenFile } of peers) await untilChanged(tokenFile, undefined);
  return started;
}

async function rotations(): Promise<void> {
  const [ours, theirs] = peers as [Peer, Peer];
  const samples: number[] = [];
  for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
    await pause(LOGIN_GAP_MS);
    samples.push(await rotate(ours, 15_000));
  }
  console.log(`${ours.name}: new JWT to new token   ${figures(samples)}`);
  const agentMs = await rotate(theirs, AGENT_ROTATION_LIMIT_MS).catch(() => undefined);
  const told = agentMs === undefined ? `never within ${AGENT_ROTATION_LIMIT_MS / 1000} s` : figures([agentMs]);
  console.log(`${theirs.name}: new JWT to new token   ${told}`);
}

async function rotate({ tokenFile }: Peer, limitMs: number): Promise<number> {
  const before = await readFile(tokenFile, 'utf8');
  const startedAt = performance.now();
  await writeJwt();
  await untilChanged(tokenFile, before, limitMs);
  return performance.now() - startedAt;
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** User and system time so far, in hundredths of a second. */
async function cpuTicks({ pid }: ChildProcess): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function countingProxy(onRequest: () => void): Promise<string> {
  const server = createServer((client) => {
    const target = connect(Number(new URL(vault.url).port), '127.0.0.1');
    client.on('data', (bytes: Buffer) => {
      if (/^(GET|PUT|POST|LIST|DELETE) /.test(bytes.toString('latin1'))) onRequest();
    });
    client.pipe(target).pipe(client);
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const)
      one.on('error', () => other.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function sidecar(): Promise<Peer> {
  execFileSync('npm', ['run', '-s', 'build', '--', '--log-level=warning'], { stdio: 'inherit' });
  const configFile = join(directory, 'sidecar.json');
  const tokenFile = join(directory, 'sidecar-token');
  const app = { source: { file: { path: jwtFile } }, login: { role: 'app' }, sinks: [{ file: { path: tokenFile } }] };
  const address = await countingProxy(() => {
    peer.requests += 1;
  });
  const listen = { listen: '127.0.0.1:0' };
  await writeFile(configFile, JSON.stringify({ vault: { address }, exchanges: { app }, api: listen, ops: listen }));
  const args = [...NODE_FLAGS, 'dist/vault-token-sidecar.mjs', 'run', '--config', configFile];
  const peer: Peer = {
    name: 'sidecar    ',
    tokenFile,
    requests: 0,
    start: () => spawn(process.execPath, args, { stdio: 'ignore' }),
  };
  return peer;
}

async function agent(): Promise<Peer> {
  const configFile = join(directory, 'agent.hcl');
  const tokenFile = join(directory, 'agent-token');
  const address = await countingProxy(() => {
    peer.requests += 1;
  });
  const config = `
    vault { address = "${address}" }
    auto_auth {
      method "jwt" {
        mount_path = "auth/jwt"
        config = { path = "${jwtFile}", role = "app", remove_jwt_after_reading = false }
      }
      sink "file" { config = { path = "${tokenFile}" } }
    }`;
  await writeFile(configFile, config);
  const peer: Peer = {
    name: 'vault agent',
    tokenFile,
    requests: 0,
    start: () => spawn(findVault(), ['agent', '-config', configFile], { stdio: 'ignore' }),
  };
  return peer;
}
