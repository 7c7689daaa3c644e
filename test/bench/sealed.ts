// Requests to Vault while it is sealed, until after the tokens have expired, and over a simulated day.

import { setTimeout as pause } from 'node:timers/promises';
import { atMost, type Row } from './figures.ts';
import { end, type Peers } from './peers.ts';

/** Seals Vault; tokens expire after two fifths of the outage. */
export async function sealed(peers: Peers, minutes: number): Promise<Row[]> {
  await peers.setLease(minutes * 24);
  const children = await peers.startBoth();
  await peers.vault.seal();
  const [ours, theirs] = await requestsIn(peers, minutes * 60_000);
  await Promise.all(children.map(end));
  await peers.vault.unseal();
  return [
    {
      what: `requests while Vault is sealed for ${minutes} min`,
      sidecar: `${ours}`,
      agent: `${theirs}`,
      // not relative to the agent, whose requests depend on how its lease ends
      targets: [atMost(ours, { most: 12 + 3 * minutes, unit: 'requests', tolerance: 0.25 })],
    },
  ];
}

const HOUR_SECONDS = 60;

/** Counts requests over 24 leases: a day with leases of an hour, scaled to minutes. */
export async function day(peers: Peers): Promise<Row[]> {
  await peers.setLease(HOUR_SECONDS);
  for (const peer of [peers.sidecar, peers.agent]) peer.requests = 0;
  const children = await peers.startBoth();
  await pause(24 * HOUR_SECONDS * 1000);
  const [ours, theirs] = [peers.sidecar.requests, peers.agent.requests];
  await Promise.all(children.map(end));
  return [
    {
      what: 'requests in 24 leases, start included',
      sidecar: `${ours}`,
      agent: `${theirs}`,
      targets: [atMost(ours / theirs, { most: 1, unit: "x the agent's", tolerance: 0.05, digits: 2 })],
    },
  ];
}

async function requestsIn({ sidecar, agent }: Peers, ms: number): Promise<readonly [number, number]> {
  for (const peer of [sidecar, agent]) peer.requests = 0;
  await pause(ms);
  return [sidecar.requests, agent.requests];
}
