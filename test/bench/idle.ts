// Idle processes: memory, CPU time, wake-ups. And memory after thousands of scrapes of the metrics.

import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { reservePort } from '../support/ports.ts';
import { cpuMs, memoryOf, wakeUps } from '../support/proc.ts';
import { atMost, ownRow, type Row, type Target, told, untilChanged } from './figures.ts';
import { end, exchangeOf, type Peers, startSidecar } from './peers.ts';

const SCRAPES = 3000;
const SETTLE_MS = 2000;

export async function idle(peers: Peers, minutes: number): Promise<Row[]> {
  const children = await peers.startBoth();
  await pause(SETTLE_MS);
  const [ours, theirs] = await Promise.all(children.map((child) => leaveAlone(child, minutes)));
  if (ours === undefined || theirs === undefined) throw new Error('a process is missing');
  await Promise.all(children.map(end));
  const row = (what: string, of: (one: Figures) => string, ...targets: readonly Target[]): Row => ({
    what,
    sidecar: of(ours),
    agent: of(theirs),
    targets,
  });
  const cpuPercent = (cpu: number) => cpu / (minutes * 600);
  return [
    row('memory 2 s after the start', ({ early }) => told(early)),
    row(
      `memory after ${minutes} idle min`,
      ({ late }) => told(late),
      atMost(ours.late.residentMiB / theirs.late.residentMiB, {
        most: 0.5,
        unit: 'x the agent, resident',
        tolerance: 0.05,
        digits: 2,
      }),
      atMost(ours.late.residentMiB, { most: 70, unit: 'MiB resident', tolerance: 0.05 }),
    ),
    row(
      'processor time when idle',
      ({ cpu }) => `${cpuPercent(cpu).toFixed(3)} % of a core`,
      atMost(cpuPercent(ours.cpu), { most: 0.1, unit: '%', tolerance: 0.5, digits: 3 }),
    ),
    row('wake-ups when idle', ({ woken }) => `${(woken / minutes).toFixed(0)} a minute`),
    await scraped(peers),
  ];
}

type Figures = Awaited<ReturnType<typeof leaveAlone>>;

async function leaveAlone({ pid = 0 }: ChildProcess, minutes: number) {
  const [early, cpuBefore, wokenBefore] = [memoryOf(pid), cpuMs(pid), wakeUps(pid)];
  await pause(minutes * 60_000);
  return { early, late: memoryOf(pid), cpu: cpuMs(pid) - cpuBefore, woken: wakeUps(pid) - wokenBefore };
}

async function scraped({ directory, jwtFile, vault, sidecar }: Peers): Promise<Row> {
  const ops = `127.0.0.1:${await reservePort()}`;
  const exchanges = { app: exchangeOf(jwtFile, sidecar.tokenFile) };
  const child = await startSidecar(directory, 'scraped', { address: vault.url, exchanges, ops });
  const { pid = 0 } = child;
  await untilChanged(sidecar.tokenFile, undefined);
  await pause(SETTLE_MS);
  const scrape = async () => void (await (await fetch(`http://${ops}/metrics`)).text());
  for (let count = 0; count < SCRAPES / 10; count += 1) await scrape();
  const before = memoryOf(pid);
  for (let count = 0; count < SCRAPES; count += 1) await scrape();
  const after = memoryOf(pid);
  await end(child);
  const growth = after.anonymousMiB - before.anonymousMiB;
  const flat = atMost(growth, { most: 2, unit: 'MiB of growth', tolerance: 0.5, digits: 1 });
  return ownRow(`memory before and after ${SCRAPES} scrapes`, `${told(before)}; ${told(after)}`, flat);
}
