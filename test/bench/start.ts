// The time from the start of the process to the token in its file. The programs are started in turns.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { atMost, ownRow, quantile, type Row, spread, untilChanged } from './figures.ts';
import { end, type Peers } from './peers.ts';

const RUNS = 20;

export async function start({ sidecar, agent }: Peers): Promise<Row[]> {
  const [ours, theirs, empty]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < RUNS; run += 1) {
    for (const [peer, samples] of [
      [sidecar, ours],
      [agent, theirs],
    ] as const) {
      await rm(peer.tokenFile, { force: true });
      const startedAt = performance.now();
      const child = peer.start();
      await untilChanged(peer.tokenFile, undefined);
      samples.push(performance.now() - startedAt);
      await end(child);
    }
    const startedAt = performance.now();
    await once(spawn(process.execPath, ['-e', '0']), 'exit');
    empty.push(performance.now() - startedAt);
  }
  const ratio = quantile(ours, 0.5) / quantile(theirs, 0.5);
  return [
    {
      what: 'start to token in the file',
      sidecar: spread(ours),
      agent: spread(theirs),
      targets: [atMost(ratio, { most: 2, unit: "x the agent's median", digits: 2 })],
    },
    ownRow('an empty Node, to its exit', spread(empty)),
  ];
}
