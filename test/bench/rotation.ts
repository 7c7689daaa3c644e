// The time from a new JWT in its file to the new token in its file. Ten exchanges of one process take turns, since each
// logs in at most every five seconds; half of the JWTs are replaced by rename, half by kubelet's swap. The agent is
// measured with its default settings, for one rotation and up to a minute, and then with short read periods.

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { replaceByRename } from '../support/temporary.ts';
import { atMost, quantile, type Row, spread, untilChanged } from './figures.ts';
import { end, exchangeOf, type Peer, type Peers, startSidecar } from './peers.ts';

const EXCHANGES = 10;
const ROUNDS = 10;
const LOGIN_GAP_MS = 5200;
const AGENT_LIMIT_MS = 60_000;
const READ_PERIODS_MS = [100, 500];
const AGENT_ROUNDS = 20;

export async function rotation(peers: Peers): Promise<Row[]> {
  const what = 'new JWT to new token in the file';
  const unset = agentsOnlyRotation(peers);
  const ours = await ourRotations(peers);
  const [p50, p99] = [quantile(ours, 0.5), quantile(ours, 0.99)];
  const rows: Row[] = [
    {
      what,
      sidecar: `${spread(ours)}, p99 ${p99.toFixed(0)} ms`,
      agent: await unset,
      targets: [
        atMost(p50, { most: 50, unit: 'ms p50', tolerance: 0.25 }),
        atMost(p99, { most: 150, unit: 'ms p99', tolerance: 0.25 }),
      ],
    },
  ];
  for (const periodMs of READ_PERIODS_MS) {
    const agent = await peers.watchingAgent(`${periodMs}ms`);
    const theirs = await agentsRotations(peers, agent, periodMs);
    rows.push({ what: `${what}, jwt_read_period ${periodMs} ms`, sidecar: '', agent: spread(theirs), targets: [] });
  }
  return rows;
}

async function ourRotations({ directory, issuer, vault }: Peers): Promise<number[]> {
  const places = await Promise.all(
    Array.from({ length: EXCHANGES }, async (_, index) => {
      const volume = join(directory, `rotated-${index}`);
      await mkdir(volume);
      const swapped = index % 2 === 1 ? await createProjectedVolume(volume) : undefined;
      const rotate = (jwt: string) => swapped?.swap('token', jwt) ?? replaceByRename(join(volume, 'token'), jwt);
      await rotate(await issuer.mint());
      return { volume, rotate, tokenFile: join(directory, `rotated-token-${index}`) };
    }),
  );
  const exchanges = places.map(({ volume, tokenFile }, index) => [
    `e${index}`,
    exchangeOf(join(volume, 'token'), tokenFile),
  ]);
  const parts = { address: vault.url, exchanges: Object.fromEntries(exchanges) };
  const child = await startSidecar(directory, 'rotated', parts);
  for (const { tokenFile } of places) await untilChanged(tokenFile, undefined);
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await pause(LOGIN_GAP_MS);
    for (const { rotate, tokenFile } of places) {
      const before = await readFile(tokenFile, 'utf8');
      const jwt = await issuer.mint();
      const startedAt = performance.now();
      await rotate(jwt);
      await untilChanged(tokenFile, before);
      samples.push(performance.now() - startedAt);
    }
  }
  await end(child);
  return samples;
}

async function agentsOnlyRotation({ agent, writeJwt }: Peers): Promise<string> {
  await rm(agent.tokenFile, { force: true });
  const child = agent.start();
  const before = await untilChanged(agent.tokenFile, undefined);
  await pause(LOGIN_GAP_MS);
  const startedAt = performance.now();
  await writeJwt();
  const changed = await untilChanged(agent.tokenFile, before, AGENT_LIMIT_MS).catch(() => undefined);
  const tookMs = performance.now() - startedAt;
  await end(child);
  return changed === undefined ? `not within ${AGENT_LIMIT_MS / 1000} s` : `${tookMs.toFixed(0)} ms`;
}

async function agentsRotations({ writeJwt }: Peers, agent: Peer, periodMs: number): Promise<number[]> {
  const child = agent.start();
  let before = await untilChanged(agent.tokenFile, undefined);
  const samples: number[] = [];
  for (let round = 0; round < AGENT_ROUNDS; round += 1) {
    // at a random point of its period
    await pause(1000 + Math.random() * periodMs);
    const startedAt = performance.now();
    await writeJwt();
    before = await untilChanged(agent.tokenFile, before, AGENT_LIMIT_MS);
    samples.push(performance.now() - startedAt);
  }
  await end(child);
  return samples;
}
