// One process with 1, 100 and 1,000 exchanges against the in-memory Vault: how long until every file has its token, memory
// and CPU when idle, and how late the event loop is meanwhile. Memory and CPU are told for each exchange beyond the first.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { openBench, untilChanged } from './set-up.ts';

const IDLE_MS = 20_000;

interface Figures {
  readonly allMs: number;
  readonly anonymousKib: number;
  readonly idleCpuPercent: number;
}

const seen = new Map<number, Figures>();
for (const count of [1, 100, 1000]) seen.set(count, await measure(count));
const one = seen.get(1);
for (const [count, { allMs, anonymousKib, idleCpuPercent }] of seen) {
  const beyond = Math.max(1, count - 1);
  const memory = ((anonymousKib - (one?.anonymousKib ?? 0)) / beyond).toFixed(0);
  const cpu = ((idleCpuPercent - (one?.idleCpuPercent ?? 0)) / beyond).toFixed(4);
  console.log(
    `${String(count).padStart(5)} exchanges: all tokens in ${allMs.toFixed(0)} ms, ${(anonymousKib / 1024).toFixed(0)} MiB anonymous (${memory} KiB each), idle CPU ${idleCpuPercent.toFixed(2)} % (${cpu} % each)`,
  );
}

async function measure(count: number): Promise<Figures> {
  const bench = await openBench(count);
  const jwt = await bench.issuer.mint();
  for (const { jwtDirectory } of bench.places) await writeFile(join(jwtDirectory, 'token'), jwt);
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [...NODE_FLAGS, 'dist/vault-token-sidecar.mjs', 'run', '--config', bench.configFile],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  for (const { tokenFile } of bench.places) await untilChanged(tokenFile, undefined, 120_000);
  const allMs = performance.now() - startedAt;
  await pause(5000);
  const before = await cpuMs(child);
  await pause(IDLE_MS);
  const idleCpuPercent = (((await cpuMs(child)) - before) / IDLE_MS) * 100;
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const anonymousKib = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]);
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  await bench.close();
  return { allMs, anonymousKib, idleCpuPercent };
}

async function cpuMs({ pid }: ChildProcess): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
