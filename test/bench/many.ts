// One process with 1, 100 and 1,000 exchanges against the in-memory Vault: the time until every file has its token,
// memory and CPU time when idle, and event loop lag. The cost of an exchange is the average of those after the first.

import type { ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openIssuer } from '../../src/dev/issuer.ts';
import { openDevVault } from '../../src/dev/vault.ts';
import { reservePort } from '../support/ports.ts';
import { cpuMs, type Memory, memoryOf } from '../support/proc.ts';
import type { Scope } from '../support/scope.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { atMost, ownRow, type Row, told, untilChanged } from './figures.ts';
import { end, exchangeOf, startSidecar } from './peers.ts';

const IDLE_MS = 20_000;
const SETTLE_MS = 5000;
const PATIENCE_MS = 120_000;
/** The resolution of Node's event loop monitor. */
const LOOK_MS = 10;

interface Figures {
  readonly allMs: number;
  readonly anonymousMiB: number;
  readonly cpuPercent: number;
  readonly lagMs: Readonly<Record<'starting' | 'idle' | 'scraped', number>>;
}

export async function many(scope: Scope): Promise<Row[]> {
  const one = await measure(scope, 1);
  const rows: Row[] = [];
  for (const count of [100, 1000]) {
    const { allMs, anonymousMiB, cpuPercent, lagMs } = await measure(scope, count);
    const kib = ((anonymousMiB - one.anonymousMiB) * 1024) / (count - 1);
    const cpu = (cpuPercent - one.cpuPercent) / (count - 1);
    const late = Object.entries(lagMs).map(([when, ms]) => `${ms.toFixed(0)} ms ${when}`);
    rows.push(
      ownRow(`${count} exchanges: all tokens in their files`, `${(allMs / 1000).toFixed(1)} s`),
      ownRow(
        `${count} exchanges: each costs when idle`,
        `${kib.toFixed(0)} KiB, ${cpu.toFixed(3)} % of a core`,
        atMost(kib, { most: 60, unit: 'KiB', tolerance: 0.25 }),
        atMost(cpu, { most: 0.02, unit: '%', tolerance: 0.25, digits: 3 }),
      ),
      ownRow(
        `${count} exchanges: the event loop is late by at most`,
        late.join(', '),
        atMost(Math.max(...Object.values(lagMs)), { most: count > 100 ? 50 : 20, unit: 'ms', tolerance: 0.25 }),
      ),
    );
  }
  return rows;
}

/** Rotates 250 exchanges 40 times each. */
export async function flat(scope: Scope): Promise<Row[]> {
  const [count, rounds] = [250, 42];
  const world = await openMany(scope, count, false);
  const memory: Memory[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await pause(5200);
    if (round === 2 || round === rounds / 2 || round === rounds - 1) memory.push(memoryOf(world.child.pid ?? 0));
    for (const { jwtFile } of world.places) await replaceByRename(jwtFile, await world.issuer.mint());
  }
  await end(world.child);
  const logins = world.vault.requests.filter(({ path, status }) => path.endsWith('/login') && status === 200).length;
  const [, halfWay, last] = memory.map(({ anonymousMiB }) => anonymousMiB);
  return [
    ownRow(
      `${count} exchanges: memory at the start, half-way and after ${logins} rotations`,
      memory.map(told).join('; '),
      atMost((last ?? Number.NaN) / (halfWay ?? Number.NaN), {
        most: 1,
        unit: 'x of half-way',
        tolerance: 0.1,
        digits: 2,
      }),
    ),
  ];
}

async function measure(scope: Scope, count: number): Promise<Figures> {
  // the event loop monitor costs CPU time, so the lag is measured separately
  const { child, allMs } = await openMany(scope, count, false);
  const { pid = 0 } = child;
  await pause(SETTLE_MS);
  const before = cpuMs(pid);
  await pause(IDLE_MS);
  const cpuPercent = ((cpuMs(pid) - before) / IDLE_MS) * 100;
  const { anonymousMiB } = memoryOf(pid);
  await end(child);
  const lagMs = await measureLag(scope, count);
  return { allMs, anonymousMiB, cpuPercent, lagMs };
}

/** A scrape reports the maximum lag since the previous one; the lag that it causes itself appears in the next. */
async function measureLag(scope: Scope, count: number): Promise<Figures['lagMs']> {
  const { child, ops } = await openMany(scope, count, true);
  await pause(SETTLE_MS);
  const scrape = async (kind: 'max' | 'p99') => {
    const text = await (await fetch(`http://${ops}/metrics`)).text();
    const seconds = new RegExp(`^nodejs_eventloop_lag_${kind}_seconds (\\S+)$`, 'm').exec(text)?.[1];
    return Math.max(0, Number(seconds) * 1000 - LOOK_MS);
  };
  const starting = await scrape('p99');
  await pause(1000);
  const scraped = await scrape('max');
  await pause(IDLE_MS);
  const idle = await scrape('p99');
  await end(child);
  return { starting, idle, scraped };
}

interface Many {
  readonly child: ChildProcess;
  readonly ops: string;
  readonly allMs: number;
  readonly issuer: Awaited<ReturnType<typeof openIssuer>>;
  readonly vault: Awaited<ReturnType<typeof openDevVault>>;
  readonly places: readonly { readonly jwtFile: string; readonly tokenFile: string }[];
}

async function openMany(scope: Scope, count: number, nodeMetrics: boolean): Promise<Many> {
  const directory = await temporaryDirectory(scope);
  const [issuer, vault] = [await openIssuer(), await openDevVault()];
  scope.after(() => Promise.all([issuer.close(), vault.close()]));
  vault.trust({ issuer: issuer.issuer, role: 'app' });
  const places = Array.from({ length: count }, (_, index) => ({
    jwtFile: join(directory, `jwt-${index}`, 'token'),
    tokenFile: join(directory, `token-${index}`),
  }));
  const jwt = await issuer.mint();
  for (const [index, { jwtFile }] of places.entries()) {
    await mkdir(join(directory, `jwt-${index}`));
    await writeFile(jwtFile, jwt);
  }
  const exchanges = places.map(({ jwtFile, tokenFile }, index) => [`e${index}`, exchangeOf(jwtFile, tokenFile)]);
  const ops = `127.0.0.1:${await reservePort()}`;
  const parts = { address: vault.url, exchanges: Object.fromEntries(exchanges), ops, nodeMetrics };
  const startedAt = performance.now();
  const child = await startSidecar(directory, 'many', parts);
  for (const { tokenFile } of places) await untilChanged(tokenFile, undefined, PATIENCE_MS);
  return { child, ops, allMs: performance.now() - startedAt, issuer, vault, places };
}
