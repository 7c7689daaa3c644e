// The token API: requests within the rate limit, a flood on fifty connections, and 60 long polls (of at most 64
// connections) that a new JWT answers.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';
import { reservePort } from '../support/ports.ts';
import { atMost, ownRow, quantile, type Row, untilChanged } from './figures.ts';
import { end, exchangeOf, type Peers, startSidecar } from './peers.ts';

const CONNECTIONS = 50;
const FLOOD_MS = 10_000;
const PACED = 400;
const PACE_MS = 25;
const WAITING = 60;

export async function api({ directory, jwtFile, vault, writeJwt }: Peers): Promise<Row[]> {
  const listen = `127.0.0.1:${await reservePort()}`;
  const tokenFile = join(directory, 'api-token');
  const exchanges = { app: exchangeOf(jwtFile, tokenFile) };
  const child = await startSidecar(directory, 'api', { address: vault.url, exchanges, api: listen });
  await untilChanged(tokenFile, undefined);
  await pause(3000);
  const pool = new Pool(`http://${listen}`, { connections: WAITING, pipelining: 1 });
  const ask = async (query = '') => {
    const startedAt = performance.now();
    const { statusCode, headers, body } = await pool.request({
      path: `/v1/token/app${query}`,
      method: 'GET',
      headers: { 'x-vault-request': 'true' },
    });
    await body.text();
    return { statusCode, etag: String(headers['etag']), tookMs: performance.now() - startedAt };
  };
  const paced = await askPaced(ask);
  const { etag } = await ask();
  const polls = Array.from({ length: WAITING }, async () => {
    await ask(`?wait_for_change=true&last_etag=${encodeURIComponent(etag)}&timeout_sec=30`);
    return performance.now();
  });
  await pause(2000);
  const changedAt = performance.now();
  await writeJwt();
  const woken = (await Promise.all(polls)).map((at) => at - changedAt);
  const flood = await askAsFastAsPossible(ask);
  await pool.close();
  await end(child);
  const served = flood.samples.length / (flood.ms / 1000);
  const within = flood.granted / (flood.ms / 1000);
  const p99 = (samples: readonly number[]) => quantile(samples, 0.99).toFixed(1);
  return [
    ownRow(
      `token API, ${1000 / PACE_MS} requests/s`,
      `p50 ${quantile(paced, 0.5).toFixed(1)} ms, p99 ${p99(paced)} ms`,
    ),
    ownRow(
      `token API, ${CONNECTIONS} connections as fast as they can`,
      `${served.toFixed(0)} answers/s, ${within.toFixed(0)} of them tokens (the limit is 50), p99 ${p99(flood.samples)} ms`,
    ),
    ownRow(
      `${WAITING} long polls: new JWT to the first and last answer`,
      `${Math.min(...woken).toFixed(0)} ms, ${Math.max(...woken).toFixed(0)} ms`,
      atMost(Math.max(...woken), { most: 100, unit: 'ms to the last', tolerance: 0.5 }),
    ),
  ];
}

type Ask = () => Promise<{ readonly statusCode: number; readonly tookMs: number }>;

async function askPaced(ask: Ask): Promise<number[]> {
  const asked: ReturnType<Ask>[] = [];
  for (let count = 0; count < PACED; count += 1) {
    asked.push(ask());
    await pause(PACE_MS);
  }
  return (await Promise.all(asked)).map(({ statusCode, tookMs }) => {
    if (statusCode !== 200) throw new Error(`${statusCode} within the rate`);
    return tookMs;
  });
}

async function askAsFastAsPossible(ask: Ask) {
  const samples: number[] = [];
  let granted = 0;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() - startedAt < FLOOD_MS) {
        const { statusCode, tookMs } = await ask();
        samples.push(tookMs);
        if (statusCode === 200) granted += 1;
      }
    }),
  );
  return { samples, granted, ms: performance.now() - startedAt };
}
