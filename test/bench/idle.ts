// Left alone: memory, processor time, wake-ups. And memory after thousands of scrapes of the metrics.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../vault/real-vault.ts';
import { type Effort, effortOf, memoryOf, type Row, ratio, told, untilChanged } from './figures.ts';
import { end, type Peers, sidecarCommand, sinkAt, writeConfig } from './peers.ts';

const SCRAPES = 3000;
const SETTLE_MS = 2000;

export async function idle(peers: Peers, minutes: number): Promise<Row[]> {
  const children = await peers.startBoth();
  await pause(SETTLE_MS);
  const early = children.map(({ pid }) => memoryOf(pid));
  const before = children.map(({ pid }) => effortOf(pid));
  await pause(minutes * 60_000);
  const after = children.map(({ pid }) => effortOf(pid));
  const late = children.map(({ pid }) => memoryOf(pid));
  await Promise.all(children.map(end));
  const [sidecar, agent] = children.map((_, index) => index);
  const share = (index = 0) => {
    const ms = (after[index] as Effort).cpuMs - (before[index] as Effort).cpuMs;
    return `${(ms / (minutes * 600)).toFixed(3)} % of a core`;
  };
  const wakeUps = (index = 0) =>
    `${(((after[index] as Effort).wakeUps - (before[index] as Effort).wakeUps) / minutes).toFixed(0)} a minute`;
  const row = (what: string, of: (index?: number) => string, target: string): Row => ({
    what,
    sidecar: of(sidecar),
    agent: of(agent),
    target,
  });
  const [ours, theirs] = late;
  const resident = ratio(ours?.residentMiB ?? Number.NaN, theirs?.residentMiB ?? Number.NaN);
  return [
    row('memory 2 s after the start', (index = 0) => told(early[index] ?? NOTHING), ''),
    row(
      `memory after ${minutes} idle min`,
      (index = 0) => told(late[index] ?? NOTHING),
      `0.5 x, 70 MiB; is ${resident}`,
    ),
    row('processor time when idle', share, '0.1 %'),
    row('wake-ups when idle', wakeUps, ''),
    await scraped(peers),
  ];
}

const NOTHING = { residentMiB: Number.NaN, anonymousMiB: Number.NaN };

async function scraped({ directory, vault, sidecar }: Peers): Promise<Row> {
  const ops = `127.0.0.1:${await freePort()}`;
  const exchange = {
    source: { file: { path: `${directory}/jwt` } },
    login: { role: 'app' },
    sinks: [sinkAt(sidecar.tokenFile)],
  };
  const configFile = await writeConfig(directory, 'scraped', { address: vault.url, exchanges: { app: exchange }, ops });
  const [program = '', ...args] = sidecarCommand(configFile);
  const child = spawn(program, args, { stdio: 'ignore' });
  await untilChanged(sidecar.tokenFile, undefined);
  await pause(SETTLE_MS);
  const scrape = async () => void (await (await fetch(`http://${ops}/metrics`)).text());
  for (let count = 0; count < SCRAPES / 10; count += 1) await scrape();
  const before = memoryOf(child.pid);
  for (let count = 0; count < SCRAPES; count += 1) await scrape();
  const after = memoryOf(child.pid);
  await end(child);
  return {
    what: `memory before and after ${SCRAPES} scrapes`,
    sidecar: `${told(before)}; ${told(after)}`,
    agent: '',
    target: 'flat',
  };
}
