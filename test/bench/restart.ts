// A restart, from the start of the process to readiness: with the token of the process before, and with a login. In turns.

import { spawn } from 'node:child_process';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sidecarCommand } from '../support/program.ts';
import { atMost, ownRow, quantile, type Row, spread } from './figures.ts';
import { end, exchangeOf, type Peers, writeConfig } from './peers.ts';

const RUNS = 20;
const HOUR_AGO = new Date(Date.now() - 3600_000);

export async function restart({ directory, jwtFile, vault }: Peers): Promise<Row[]> {
  const variants = [];
  for (const onStart of ['reuse', 'login']) {
    const tokenFile = join(directory, `token-${onStart}`);
    const { sinks, ...exchange } = exchangeOf(jwtFile, tokenFile);
    const files = [tokenFile, `${tokenFile}.json`];
    const json = { file: { path: `${tokenFile}.json`, format: 'json' } };
    const exchanges = { app: { ...exchange, on_start: onStart, sinks: [...sinks, json] } };
    const config = await writeConfig(directory, `restart-${onStart}`, { address: vault.url, exchanges });
    await untilReady(config);
    variants.push({ config, files, samples: [] as number[], logins: 0 });
  }
  for (let run = 0; run < RUNS; run += 1) {
    for (const variant of variants) {
      // as after an hour: a login right after the last one would wait
      for (const file of variant.files) await utimes(file, HOUR_AGO, HOUR_AGO);
      const before = loginsAt(vault);
      variant.samples.push(await untilReady(variant.config));
      variant.logins += loginsAt(vault) - before;
    }
  }
  const [reuse, login] = variants.map(({ samples, logins }) => ({
    samples,
    text: `${spread(samples)}, ${logins} logins`,
  }));
  const ratio = quantile(reuse?.samples ?? [], 0.5) / quantile(login?.samples ?? [], 0.5);
  return [
    ownRow(
      'restart to ready, on_start reuse',
      reuse?.text ?? '',
      atMost(ratio, { most: 1.1, unit: 'x a login', digits: 2 }),
    ),
    ownRow('restart to ready, on_start login', login?.text ?? ''),
  ];
}

const loginsAt = (vault: Peers['vault']): number => vault.audited().filter((path) => path === 'auth/jwt/login').length;

/** Starts the sidecar, waits until it logs that it is ready, and stops it. @returns the time to readiness */
async function untilReady(config: string): Promise<number> {
  const startedAt = performance.now();
  const [program = '', ...args] = [...sidecarCommand(), 'run', '--config', config];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
    if (out.includes('"event":"ready"')) resolve();
  });
  child.once('exit', () => reject(new Error(`the sidecar ended before it was ready: ${out}`)));
  await ready;
  const ms = performance.now() - startedAt;
  await end(child);
  return ms;
}
