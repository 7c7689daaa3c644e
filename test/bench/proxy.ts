// The API proxy beside those of `vault agent` and `vault proxy`, and beside a direct connection: reads of a secret with wrk on 1, 16
// and 64 connections, in turns; then a reply of 1 GiB.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openFrontVault, sendLarge } from '../support/front-vault.ts';
import { reservePort } from '../support/ports.ts';
import { cpuMs, memoryOf, procText } from '../support/proc.ts';
import { openScope, type Scope } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { debian } from '../support/tools.ts';
import { findVault } from '../vault/find-vault.ts';
import { atMost, ownRow, quantile, type Row, type Target } from './figures.ts';
import { end, exchangeOf, type Peers, startSidecar } from './peers.ts';

const CONNECTIONS = [1, 16, 64];
const SECONDS = 4;
const ROUNDS = 3;
const GIB = 1024 ** 3;
const SECRET = 'v1/kv/app';

interface Contender {
  readonly name: string;
  readonly url: string;
  /** undefined for the direct connection */
  readonly child?: ChildProcess;
}

interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** processor time of the proxy for each request, in microseconds */
  readonly cpuUs: number;
}

export async function proxy(peers: Peers): Promise<Row[]> {
  debian('wrk');
  const { vault } = peers;
  await vault.write('sys/mounts/kv', { type: 'kv' });
  await vault.write('sys/policies/acl/app', { policy: 'path "kv/*" { capabilities = ["read"] }' });
  await vault.write(SECRET.slice(3), { greeting: 'hello' });
  const scope = openScope();
  try {
    const contenders = [{ name: 'direct', url: vault.url }, ...(await openContenders(peers, vault.url, scope))];
    const rows: Row[] = [];
    // the first thousands of requests are compiled
    for (const one of contenders) await load(one, 16, vault.root);
    for (const connections of CONNECTIONS) rows.push(...(await compare(contenders, connections, vault.root)));
    for (const { name, child } of contenders)
      if (child !== undefined)
        rows.push(ownRow(`memory of ${name} after that`, mebibytes(memoryOf(child.pid ?? 0).residentMiB)));
    return [...rows, ...(await largeReplies(peers, scope))];
  } finally {
    await scope.end();
  }
}

/** Starts the three proxies, with a pause until each serves. @param target the Vault that they log in to and forward to */
async function openContenders({ directory, jwtFile }: Peers, target: string, scope: Scope): Promise<Contender[]> {
  const [ours, agent, vaultProxy] = [await reservePort(), await reservePort(), await reservePort()];
  const name = `proxy-${ours}`;
  const exchange = { ...exchangeOf(jwtFile, join(directory, `${name}-token`)), proxy: { listen: `127.0.0.1:${ours}` } };
  const hcl = (port: number) => `vault { address = "${target}" }
auto_auth {
  method "jwt" {
    mount_path = "auth/jwt"
    config = { path = "${jwtFile}", role = "app", remove_jwt_after_reading = false }
  }
}
api_proxy { use_auto_auth_token = true }
listener "tcp" {
  address     = "127.0.0.1:${port}"
  tls_disable = true
}
`;
  const open = async (command: string, port: number) => {
    const file = join(directory, `${name}-${command}.hcl`);
    await writeFile(file, hcl(port));
    return {
      name: `vault ${command}`,
      port,
      child: spawn(findVault(), [command, '-config', file], { stdio: 'ignore' }),
    };
  };
  const sidecar = await startSidecar(directory, name, { address: target, exchanges: { app: exchange } });
  const started = [
    { name: 'sidecar', port: ours, child: sidecar },
    await open('agent', agent),
    await open('proxy', vaultProxy),
  ];
  for (const { child } of started) scope.after(() => end(child));
  return Promise.all(
    started.map(async ({ port, ...one }) => {
      const url = `http://127.0.0.1:${port}`;
      const serves = () =>
        fetch(`${url}/v1/auth/token/lookup-self`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until(`${one.name} serves`, serves);
      return { ...one, url };
    }),
  );
}

async function compare(contenders: readonly Contender[], connections: number, root: string): Promise<Row[]> {
  const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const one of contenders) rounds.get(one.name)?.push(await load(one, connections, root));
  const median = (name: string, of: (round: Round) => number) => quantile((rounds.get(name) ?? []).map(of), 0.5);
  const figures = ({ name, child }: Contender) => {
    const [perSecond, p50, p99, cpu] = [
      median(name, (one) => one.perSecond),
      median(name, (one) => one.p50Ms),
      median(name, (one) => one.p99Ms),
      median(name, (one) => one.cpuUs),
    ];
    const cost = child === undefined ? '' : `, ${cpu.toFixed(0)} µs of processor time each`;
    return `${perSecond.toFixed(0)} requests/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(1)} ms${cost}`;
  };
  const ratio = (of: (round: Round) => number) => median('sidecar', of) / median('vault agent', of);
  const what = `reads on ${connections} connection${connections === 1 ? '' : 's'}`;
  const [direct, sidecar, agent, other] = contenders.map(figures);
  return [
    {
      what,
      sidecar: sidecar ?? '',
      agent: agent ?? '',
      targets: [
        atLeast(
          ratio(({ perSecond }) => perSecond),
          "x the agent's requests/s",
        ),
        lower(
          ratio(({ p50Ms }) => p50Ms),
          "x the agent's p50",
        ),
        lower(
          ratio(({ p99Ms }) => p99Ms),
          "x the agent's p99",
        ),
        lower(
          ratio(({ cpuUs }) => cpuUs),
          "x the agent's processor time",
        ),
      ],
    },
    ownRow(`${what}: direct`, direct ?? ''),
    ownRow(`${what}: vault proxy`, other ?? ''),
  ];
}

const TOLERANCE = 0.15;
const atLeast = (value: number, unit: string): Target => ({
  text: `at least 1 ${unit}, is ${value.toFixed(2)}`,
  isMissed: !(value >= 1 - TOLERANCE),
});
const lower = (value: number, unit: string): Target =>
  atMost(value, { most: 1, unit, tolerance: TOLERANCE, digits: 2 });

/** Runs wrk against one of them for a few seconds. */
async function load({ name, url, child }: Contender, connections: number, root: string): Promise<Round> {
  const before = cpuMs(child?.pid ?? 0);
  const token = name === 'direct' ? ['-H', `X-Vault-Token: ${root}`] : [];
  const words = ['-t1', `-c${connections}`, `-d${SECONDS}s`, '--latency', ...token, `${url}/${SECRET}`];
  const { stdout } = await promisify(execFile)('wrk', words);
  if (/Non-2xx/.test(stdout)) throw new Error(`${name}: ${stdout}`);
  const find = (pattern: RegExp) => pattern.exec(stdout)?.slice(1) ?? [];
  const [count = ''] = find(/(\d+) requests in/);
  return {
    perSecond: Number(find(/Requests\/sec: +([\d.]+)/)[0]),
    p50Ms: milliseconds(find(/50% +([\d.]+)(us|ms|s)/)),
    p99Ms: milliseconds(find(/99% +([\d.]+)(us|ms|s)/)),
    cpuUs: ((cpuMs(child?.pid ?? 0) - before) * 1000) / Number(count),
  };
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };
const milliseconds = ([value, unit = '']: readonly string[]): number => Number(value) * (UNITS[unit] ?? Number.NaN);
const mebibytes = (value: number): string => `${value.toFixed(0)} MiB`;

/** One GiB through each proxy, as a raft snapshot: how long, and the peak of memory. */
async function largeReplies(peers: Peers, scope: Scope): Promise<Row[]> {
  const contenders = await openContenders(peers, await openSnapshotServer(peers.vault.url, scope), scope);
  const figures: string[] = [];
  for (const { url, child } of contenders) {
    const startedAt = performance.now();
    const { stdout } = await promisify(execFile)('curl', [
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      `${url}/v1/sys/storage/raft/snapshot`,
    ]);
    if (Number(stdout) !== GIB) throw new Error(`${stdout} bytes of ${GIB}`);
    const peak = Number(/^VmHWM:\s+(\d+)/m.exec(procText(child?.pid ?? 0, 'status'))?.[1]) / 1024;
    figures.push(`${((performance.now() - startedAt) / 1000).toFixed(1)} s, peak ${mebibytes(peak)}`);
  }
  const [sidecar = '', agent = '', other = ''] = figures;
  return [{ what: 'a reply of 1 GiB', sidecar, agent, targets: [] }, ownRow('a reply of 1 GiB: vault proxy', other)];
}

const openSnapshotServer = (vault: string, scope: Scope): Promise<string> =>
  openFrontVault(scope, vault, (asked, response) => {
    const isSnapshot = asked.url === '/v1/sys/storage/raft/snapshot';
    if (isSnapshot) sendLarge(response, GIB);
    return isSnapshot;
  });
