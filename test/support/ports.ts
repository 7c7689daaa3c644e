// Reserves ports for programs that need a fixed port. They lie outside the kernel's ephemeral range, so that neither
// clients nor servers on port 0 take a port between its reservation and its use.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/** A process owns a block of ports while it listens on the first one: a lock that the kernel releases when it exits. */
const BLOCK = 64;
const LOWEST = 10_000;
const HIGHEST = 65_535;

let next = 0;
let end = 0;

/** @returns the first of `count` consecutive ports on loopback, reserved until this process exits */
export async function reservePorts(count: number): Promise<number> {
  for (;;) {
    if (next + count > end) await takeBlock();
    const first = next;
    next += count;
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
}

export const reservePort = (): Promise<number> => reservePorts(1);

async function takeBlock(): Promise<void> {
  const [from, to] = range();
  const blocks = Math.floor((to - from) / BLOCK);
  // start at a different block in each process, to avoid contention
  for (let tried = 0; tried < blocks; tried += 1) {
    const first = from + ((process.pid + tried) % blocks) * BLOCK;
    const lock = await listen(first);
    if (lock === undefined) continue;
    lock.unref();
    [next, end] = [first + 1, first + BLOCK];
    return;
  }
  throw new Error(`no block of free ports between ${from} and ${to}`);
}

/** The larger of the two ranges below and above the ephemeral ports, from 10000. */
function range(): readonly [from: number, to: number] {
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const [low = HIGHEST, high = HIGHEST] = text.trim().split(/\s+/).map(Number);
  return low - LOWEST > HIGHEST - high ? [LOWEST, low] : [Math.max(high + 1, LOWEST), HIGHEST];
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  return once(server, 'listening').then(
    () => server,
    () => undefined,
  );
}
