// From a new JWT in its file to the new token in its file. Ten exchanges of one process take turns, since one logs in every
// five seconds at most; half of the JWTs come by rename, half by kubelet's swap. The agent gets one JWT, and a minute.

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createProjectedVolume } from '../support/kubelet-volume.ts';
import { replaceByRename } from '../support/temporary.ts';
import { quantile, type Row, spread, untilChanged } from './figures.ts';
import { end, exchangeOf, type Peers, startSidecar } from './peers.ts';

const EXCHANGES = 10;
const ROUNDS = 10;
const LOGIN_GAP_MS = 5200;
const AGENT_LIMIT_MS = 60_000;

export async function rotation(peers: Peers): Promise<Row[]> {
  const theirs = agentsRotation(peers);
  const ours = await ourRotations(peers);
  const p99 = quantile(ours, 0.99).toFixed(0);
  return [
    {
      what: 'new JWT to new token in the file',
      sidecar: `${spread(ours)}, p99 ${p99} ms`,
      agent: await theirs,
      target: 'p50 50 ms, p99 150 ms',
    },
  ];
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

async function agentsRotation({ agent, writeJwt }: Peers): Promise<string> {
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
